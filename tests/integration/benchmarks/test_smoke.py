"""The benchmarks run from end to end, small, so that they cannot rot. What is fast on this machine now is not asked."""

import asyncio
import re
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.peers.connect_sink import schema
from benchmarks.peers.messages import FLAT
from benchmarks.ticks import Workload
from benchmarks.upserting import flat
from tests.conftest import ROOT

SMALL = ("--ticks", "2000", "--listings", "200", "--rounds", "1", "--chunk", "500")
OURS = ("--only", "Kasparro", "--only", "Faust")
"""Peers with packages of their own would have to be fetched."""
ROW = re.compile(r"^\| 500 \| (?P<name>[^|]+) \| .* \| (?P<missing>\d+) \| (?P<wrong>\d+) \|$", re.MULTILINE)

CUT_ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| \d+ \| (\d+) \| (\d+) \| [\d.]+ \|$", re.MULTILINE)


@pytest.mark.timeout(600)
async def test_every_contender_that_is_here_works_and_the_page_says_what_it_left(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "ticks", *SMALL, *OURS)
    rows = {row["name"]: (int(row["missing"]), int(row["wrong"])) for row in ROW.finditer(page)}
    assert rows == dict.fromkeys(("R: serial loop", "Kasparro, common work", "Kasparro, all the work", "Faust, plain"), (0, 0))
    assert "<svg" in (tmp_path / "benchmarks-ticks.svg").read_text()


@pytest.mark.timeout(600)
async def test_sessions_are_cut_in_the_middle_of_work_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "loss", *SMALL, "--ticks", "20000", "--only", "Kasparro")
    rows = {row[1]: (int(row[2]), int(row[3]), int(row[4])) for row in CUT_ROW.finditer(page)}
    assert {name: left for name, (_, *left) in rows.items()} == {
        name: [0, 0] for name in ("R: serial loop", "Kasparro, all the work")
    }
    assert all(cut >= 3 for cut, *_ in rows.values())


@pytest.mark.timeout(600)
async def test_quotes_alone_are_measured_and_an_old_one_that_comes_again_is_seen_through(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "quotes", *SMALL, "--ticks", "30000", "--only", "R")
    assert re.findall(r"^\| 500 \| (R, quotes alone) \| 1.00 \| .* \| (\d+) \|$", page, re.MULTILINE) == [
        ("R, quotes alone", "0")
    ]


def test_the_connector_is_told_of_every_field_of_a_quote() -> None:
    quote = msgspec.json.decode(FLAT.encode(next(flat(Workload(1, 10)))))
    assert {field["field"] for field in schema()["fields"]} == set(quote)


@pytest.mark.timeout(600)
async def test_a_poll_is_measured_when_every_row_is_new_and_when_none_has_changed(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "producer", "--polled", "600", "--rounds", "1")
    assert re.findall(r"\| (every row new|nothing changed) \| [1-9]", page) == 3 * ["every row new", "nothing changed"]
    assert "<svg" in (tmp_path / "benchmarks-producer.svg").read_text()


@pytest.mark.timeout(600)
async def test_the_time_until_a_tick_is_seen_is_measured_in_a_stream_and_alone(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "freshness", "--listings", "1000", "--rate", "100", "--rate", "200", "--seconds", "2")
    told = re.findall(r"^\| (.*) \| [\d,]+ \| [1-9]\d* \| [1-9]\d* \| [1-9]\d* \| \d+ \|$", page, re.MULTILINE)
    assert told == ["in a stream of 100/s", "in a stream of 200/s", "a lone tick"]
    assert "<svg" in (tmp_path / "benchmarks-freshness.svg").read_text()


@pytest.mark.timeout(600)
async def test_every_list_is_walked_to_its_end_in_every_order(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "paging", "--listings", "450", "--ticks", "2000", "--rounds", "1")
    walked = dict(re.findall(r"^\| ([^|]+) \| (\d+) \|(?: \d+\.\d\d \|){7}$", page, re.MULTILINE))
    orders = [sign + order for order in ("rank", "market_cap", "price", "volume", "updated_at", "uid") for sign in ("", "-")]
    assert walked == {"rank, nothing rendered before": "9"} | dict.fromkeys(orders, "9") | {"raw rows, newest first": "4"}
    assert "<svg" in (tmp_path / "benchmarks-paging.svg").read_text()


@pytest.mark.timeout(600)
async def test_pages_of_history_are_read_whole(tmp_path: Path) -> None:
    page = await _page(tmp_path, "--part", "history", "--held", "4", "--months", "2", "--rounds", "1")
    pages = re.findall(r"^\| `interval=(\w+)`, [\w ]+ \| (\d+) \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", page, re.MULTILINE)
    assert pages == [("1h", "720"), ("1d", "30"), ("5m", "288"), ("1m", "288"), ("raw", "576")]
    assert "<svg" in (tmp_path / "benchmarks-history.svg").read_text()


@pytest.mark.timeout(600)
async def test_a_backlog_and_the_listings_grow_and_cost_and_memory_are_told_of_each(tmp_path: Path) -> None:
    growing = ("--backlog", "1000", "--backlog", "3000", "--spread", "100", "--spread", "900", "--ticks", "2000")
    holding = ("--crowd", "1", "--crowd", "5")
    page = await _page(tmp_path, "--part", "growth", "--listings", "200", "--chunk", "200", *growing, *holding)
    assert re.findall(r"^\| ([\d,]+) \|(?: [\d,-]+ \|){8} [1-9]\d+ \|$", page, re.MULTILINE) == ["1,000", "3,000"]
    held = r"^\| ([\d,]+) \| [1-9][\d,]* \| [1-9]\d*\.\d \| [1-9]\d*\.\d \| (\d\.\d\d) \| [1-9]\d+ \|$"
    assert dict(re.findall(held, page, re.MULTILINE)).keys() == {"200", "1,000"}
    beside_r = r"^\| ([\d,]+) \| [1-9].* \| [1-9]\d+ \| [1-9][\d,]* \| [1-9]\d* \| \d+\.\d\d \|$"
    assert re.findall(beside_r, page, re.MULTILINE) == ["100", "900"]
    assert "<svg" in (tmp_path / "benchmarks-growth.svg").read_text()


@pytest.mark.timeout(600)
async def test_replicas_do_no_work_twice(tmp_path: Path) -> None:
    few = ("--ticks", "2000", "--listings", "200", "--polled", "600", "--replicas", "1", "--replicas", "2")
    page = await _page(tmp_path, "--part", "scaling", *few)
    assert re.findall(r"^\| (\d) \| .* \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", page, re.MULTILINE) == [
        *[(replicas, "2,000", "2,000", "0") for replicas in "12"],  # records handled, rows, how far behind
        *[(replicas, "3", "3", "0") for replicas in "1212"],  # requests, pages, asked for twice; answered slowly, and at once
    ]
    assert "<svg" in (tmp_path / "benchmarks-scaling.svg").read_text()


async def _page(folder: Path, *arguments: str) -> str:
    page = folder / "benchmarks.md"
    command = (sys.executable, "-m", "benchmarks", *arguments, "--report", str(page))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return page.read_text()


@pytest.mark.timeout(600)
async def test_every_kind_of_client_of_the_stream_is_told_of_changes_and_what_that_costs_is_said(tmp_path: Path) -> None:
    small = ("--listings", "300", "--clients", "20", "--changes", "100", "--seconds", "2")
    page = await _page(tmp_path, "--part", "stream", *small)
    told = re.findall(r"^\| ([^|]+) \| 100 \| [1-9][\d,]* \| \d+\.\d \|(?: \d+ \|){3} 0\.0% \| \d\.\d\d \|", page, re.MULTILINE)
    assert told == [
        "20 of its own, all change",
        "the 100 of the best rank, all change",
        "20 of its own, of the 300 that change",
        "everything",
    ]
    assert "<svg" in (tmp_path / "benchmarks-stream.svg").read_text()
