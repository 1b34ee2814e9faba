"""What the providers really sent travels the whole way: every listing arrives, the right coins win, no digit is lost."""

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.acceptance.conftest import ROOT, StartUp, Up
from tests.acceptance.recorded_provider import serve_recorded
from tests.recorded import FIXTURES, RECORDED, needs_full_recordings

pytestmark = pytest.mark.timeout(600)

Rows = list[dict[str, Any]]
FULL = (
    RECORDED / "payloads" / "coingecko_markets_2022-02-23_250rows.json",
    RECORDED / "payloads" / "coinpaprika_tickers_full_2021-08-12_3795rows.json",
)
TRIMMED = (FIXTURES / "coingecko_markets.json", FIXTURES / "coinpaprika_tickers.json")


def read(path: Path) -> Rows:
    rows: Rows = json.loads(path.read_bytes(), parse_float=Decimal)
    return rows


def pages(up: Up, path: str) -> Iterator[dict[str, Any]]:
    """Walk everything by cursor."""
    cursor = ""
    while True:
        page = up.get(f"{path}?limit=500{cursor}")
        yield from page["data"]
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def body_of(up: Up, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{up.port}{path}", timeout=10) as answer:
        body: bytes = answer.read()
        return body


def run_of(up: Up, source: str) -> dict[str, Any] | None:
    runs = up.get(f"/stats?source={source}")["runs"]
    return next((run for run in runs if run["status"] in {"succeeded", "failed", "skipped"}), None)


def all_assets(up: Up) -> dict[str, dict[str, Any]]:
    walked = list(pages(up, "/data"))
    assets = {asset["asset_uid"]: asset for asset in walked}
    assert len(assets) == len(walked)
    up.wait_until(lambda: up.get("/data/count")["total"] == len(assets), 5, "the count of what was walked")
    return assets


def subscribed(up: Up, count: int) -> dict[str, str]:
    """Run the example of docs/examples against the broker; return asset_uid -> the line that it showed."""
    servers = json.loads(next(up.state.rglob("addresses.json")).read_text())["kafka_bootstrap_servers"]
    line = [sys.executable, "docs/examples/subscribe_assets.py", "--from-beginning", "--stop-after", str(count)]
    shown = subprocess.run(
        [*line, "--bootstrap-servers", servers], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return {row.split(": ", 1)[0]: row for row in shown.splitlines()}


@pytest.mark.parametrize(
    ("coingecko", "coinpaprika"),
    [pytest.param(*TRIMMED, id="trimmed"), pytest.param(*FULL, id="full", marks=needs_full_recordings)],
)
def test_every_recorded_listing_arrives(start_up: StartUp, coingecko: Path, coinpaprika: Path, tmp_path: Path) -> None:
    gecko, paprika = read(coingecko), read(coinpaprika)
    with serve_recorded(coingecko.read_bytes(), coinpaprika.read_bytes()) as provider:
        up = start_up(
            SANDBOX="never",
            COINGECKO_BASE_URL=f"{provider}/api/v3",
            COINPAPRIKA_BASE_URL=f"{provider}/v1",
            COINGECKO_TOP_N="250",
            CSV_PATH=str(tmp_path / "nothing.csv"),
        )
        up.wait_for_banner()
        assert "sandbox: true" not in up.said
        for source in ("coingecko", "coinpaprika", "csv"):
            up.wait_until(lambda source=source: run_of(up, source) is not None, 60, f"the end of {source}'s run")  # type: ignore[misc] # bound early
        check_runs(up, gecko, paprika)
        assets = all_assets(up)
        expected = {row["symbol"].strip().lower() for row in [*gecko, *paprika]}
        assert set(assets) == expected
        assert sum(asset["listings_total"] for asset in assets.values()) == len(gecko) + len(paprika)
        check_coins(up, gecko, paprika)
        check_digits(up, paprika)
        assert set(subscribed(up, len(expected))) <= expected


def check_runs(up: Up, gecko: Rows, paprika: Rows) -> None:
    for source, rows in (("coingecko", gecko), ("coinpaprika", paprika)):
        run = run_of(up, source)
        assert run is not None
        none_but = {"fetched": len(rows), "published": len(rows), "stored": len(rows)}
        assert run["status"] == "succeeded"
        assert run["counts"] == {"unchanged": 0, "duplicate": 0, "dead_lettered": 0} | none_but
    skipped = run_of(up, "csv")
    assert skipped is not None
    assert (skipped["status"], "nothing.csv" in skipped["error"]) == ("skipped", True)


def check_coins(up: Up, gecko: Rows, paprika: Rows) -> None:
    names = {"vet": "VeChain", "dash": "Dash", "dai": "Dai"}
    present = {row["symbol"].lower() for row in [*gecko, *paprika]}
    assert present >= set(names)
    assert {uid: up.get(f"/data/{uid}")["name"] for uid in names} == names


def check_digits(up: Up, paprika: Rows) -> None:
    tiniest = next(row for row in paprika if row["id"] == "tiktok-tiktok-coin")
    assert tiniest["quotes"]["USD"]["price"] == Decimal("3.84e-18")
    largest = next(row for row in paprika if 9223372036854775807 in (row["max_supply"], row["total_supply"]))
    for row, digits in ((tiniest, b"3.84e-18"), (largest, b"9223372036854775807")):
        uid = quote(row["symbol"].strip().lower(), safe="")
        raw = body_of(up, f"/data/raw/coinpaprika/{record_of(up, row)}")
        assert digits in body_of(up, f"/data/{uid}"), row["id"]
        assert digits in raw
        assert json.loads(raw, parse_float=Decimal)["payload"] == row


def record_of(up: Up, row: dict[str, Any]) -> int:
    """The record id of a listing's raw row, found by paging."""
    records = pages(up, "/data/raw/coinpaprika")
    return next(int(record["record_id"]) for record in records if record["source_id"] == row["id"])
