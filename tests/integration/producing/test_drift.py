"""A provider whose rows change their shape: told once, over restarts and by whichever replica sees it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from libs.contracts.cursors import ShapeCursor
from libs.contracts.run_events import FieldDrifted
from libs.domain.shapes import DriftKind
from libs.sources.csv_file import SOURCE as CSV
from services.producers.csv.fetcher import CsvFiles
from tests.integration.producing.bench import Bench, Story, coins
from tests.integration.producing.test_runs import coingecko, serve_pages

NEW, MISSING, RETYPED = DriftKind.NEW, DriftKind.MISSING, DriftKind.RETYPED


def shaped(numbers: Sequence[int], price: object, **more: object) -> list[dict[str, object]]:
    return [row | more for row in coins(numbers, price=price)]


def drift(story: Story) -> list[tuple[str, str]]:
    return [(one.kind, one.field) for event in story.published for one in event.drift]


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def shape(bench: Bench) -> ShapeCursor:
    cursor = (await bench.cursors())[f"{bench.source}/#shape"]
    assert isinstance(cursor, ShapeCursor)
    return cursor


async def test_each_change_of_a_field_is_told_once_and_not_again_after_a_restart(bench: Bench) -> None:
    with capture_logs([merge_contextvars]) as logs:
        replica = bench.start(coingecko(bench, 100))
        serve_pages(bench, shaped(range(100), 1, market_cap=5))
        assert drift(await bench.run()) == [], "what nobody knew before is no drift"

        serve_pages(bench, shaped(range(100), "1", roi={"times": 2}))
        changed = await bench.run()
        assert drift(changed) == [(RETYPED, "current_price"), (NEW, "roi"), (NEW, "roi.times"), (MISSING, "market_cap")]
        assert changed.published[0].drift[0] == FieldDrifted(
            kind=RETYPED, field="current_price", was=("number",), now=("string",)
        )
        serve_pages(bench, shaped(range(100), "2", roi={"times": 3}))
        assert drift(await bench.run()) == []

        await stop(replica)
        bench.start(coingecko(bench, 100))
        serve_pages(bench, shaped(range(100), "3", roi={"times": 4}))
        again = await bench.run()
        assert (again.counts(), drift(again)) == ((100, 0, 100, 0), [])
    (line,) = [line for line in logs if line["event"] == "schema_drifted"]
    assert line["log_level"] == "warning"
    assert (line["source"], line["shard"], line["run_id"]) == (bench.source, "1", str(changed.events[0].run_id))
    assert line["new"] == ["roi", "roi.times"]
    assert line["missing"] == ["market_cap"]
    assert line["retyped"] == {"current_price": "number -> string"}


async def test_pages_of_two_replicas_tell_of_it_once_between_them(bench: Bench) -> None:
    pages = [range(number, number + 250) for number in (0, 250, 500, 750)]
    serve_pages(bench, *(shaped(page, 1, market_cap=5) for page in pages))
    for _ in range(2):
        bench.start(coingecko(bench, 1_000))
    await bench.joined(2)
    assert drift(await bench.run()) == []
    serve_pages(bench, *(shaped(page, 2, volume=5) for page in pages))
    told = drift(await bench.run())
    assert sorted(told) == [(MISSING, "market_cap"), (NEW, "volume")]
    serve_pages(bench, *(shaped(page, 3, volume=5) for page in pages))
    assert drift(await bench.run()) == []
    known = await shape(bench)
    assert ({one.field for one in known.fields}, known.lacking) == (
        {"id", "symbol", "name", "current_price", "last_updated", "volume"},
        {},
    )


async def test_a_field_that_one_page_of_two_still_has_is_not_missing(bench: Bench) -> None:
    serve_pages(bench, shaped(range(250), 1, market_cap=5), shaped(range(250, 500), 1, market_cap=5))
    bench.start(coingecko(bench, 500))
    await bench.run()
    serve_pages(bench, shaped(range(250), 2), shaped(range(250, 500), 2, market_cap=5))
    assert drift(await bench.run()) == []
    assert (await shape(bench)).lacking == {"1": ("market_cap",)}
    serve_pages(bench, shaped(range(250), 3), shaped(range(250, 500), 3))
    assert drift(await bench.run()) == [(MISSING, "market_cap")]


async def test_one_bad_row_is_a_dead_letter_and_no_drift(bench: Bench) -> None:
    serve_pages(bench, shaped(range(100), 1))
    bench.start(coingecko(bench, 100))
    await bench.run()
    serve_pages(bench, [{"id": 7, "symbol": 5, "odd": True}, *shaped(range(99), 2)])
    story = await bench.run()
    assert (story.counts(), drift(story)) == ((100, 0, 99, 1), [])


def write_table(file: Path, header: str, row: str, rows: int = 40) -> None:
    file.write_text("\n".join([header, *(row.replace("N", str(number)) for number in range(rows))]) + "\n")


async def test_the_columns_of_a_file_drift_too(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    write_table(file, "id,symbol,name,price,cap,note", "c-N,CN,Coin N,1.N,5,")
    bench.start(CsvFiles(str(file), bench.clock, bench.named(CSV)))
    assert drift(await bench.run()) == []
    write_table(file, "id,symbol,name,price,volume,note", "c-N,CN,Coin N,cheap,7,")
    assert drift(await bench.run()) == [(RETYPED, "price"), (NEW, "volume"), (MISSING, "cap")]
    write_table(file, "id,symbol,name,price,volume,note", "c-N,CN,Coin N,dear,8,")
    assert drift(await bench.run()) == []
