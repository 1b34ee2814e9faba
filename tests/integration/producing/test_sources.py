"""What every source does; a new one subclasses SourceSuite with its own recorded answers."""

# ruff: noqa: ARG002 each source takes what it needs of what all are given

import json
from abc import ABC, abstractmethod
from pathlib import Path

from libs.contracts.commands import LONGEST_SHARD
from libs.contracts.cursors import QuotaUsage
from libs.contracts.dead_letters import LINE_HEADER
from libs.producing.fetching import Fetcher
from libs.sources import binance, coingecko, coinpaprika, csv_file
from services.producers.binance.fetcher import Binance
from services.producers.coingecko.fetcher import CoinGecko
from services.producers.coinpaprika.fetcher import CoinPaprika
from services.producers.csv.fetcher import CsvFiles
from tests.integration.producing.bench import Bench
from tests.integration.producing.provider_server import answer
from tests.recorded import RECORDED, needs_full_recordings

FIXTURES = Path(__file__).parents[2] / "fixtures"


class SourceSuite(ABC):
    """A source with its recorded answers."""

    @abstractmethod
    def fetcher(self, bench: Bench, folder: Path) -> Fetcher: ...

    @abstractmethod
    def serve_recorded(self, bench: Bench, folder: Path) -> int:
        """Let the provider answer as recorded; return the number of rows."""

    @abstractmethod
    def serve_one_row_changed(self, bench: Bench, folder: Path) -> None: ...

    @abstractmethod
    def serve_rubbish(self, bench: Bench, folder: Path) -> None: ...

    async def test_every_recorded_row_arrives_once_with_its_bytes(self, bench: Bench, tmp_path: Path) -> None:
        rows = self.serve_recorded(bench, tmp_path)
        bench.start(self.fetcher(bench, tmp_path))
        story = await bench.run()
        fetched, unchanged, published, dead_lettered = story.counts()
        assert (fetched, dead_lettered) == (rows, 0)
        ticks = await bench.ticks()
        assert len(ticks) == len({tick.tick_id for tick in ticks}) == published == rows - unchanged
        assert {tick.source for tick in ticks} == {bench.source}

    async def test_unchanged_answer_publishes_nothing(self, bench: Bench, tmp_path: Path) -> None:
        rows = self.serve_recorded(bench, tmp_path)
        bench.start(self.fetcher(bench, tmp_path))
        first, again = await bench.run(), await bench.run()
        assert again.counts() == (rows, rows, 0, 0)
        assert len(await bench.ticks()) == first.counts()[2]

    async def test_only_the_row_that_changed_is_published(self, bench: Bench, tmp_path: Path) -> None:
        rows = self.serve_recorded(bench, tmp_path)
        bench.start(self.fetcher(bench, tmp_path))
        await bench.run()
        self.serve_one_row_changed(bench, tmp_path)
        assert (await bench.run()).counts() == (rows, rows - 1, 1, 0)

    async def test_an_answer_of_another_kind_fails_the_run_and_the_next_good_one_is_unharmed(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        self.serve_rubbish(bench, tmp_path)
        bench.start(self.fetcher(bench, tmp_path))
        assert len((await bench.run()).errors) == 1
        rows = self.serve_recorded(bench, tmp_path)
        assert (await bench.run()).counts()[0] == rows

    async def test_a_shard_that_the_source_has_not_fails_and_says_so(self, bench: Bench, tmp_path: Path) -> None:
        self.serve_recorded(bench, tmp_path)
        fetcher = self.fetcher(bench, tmp_path)
        bench.start(fetcher)
        await bench.command(shard="../../etc/passwd")
        await bench.run()
        failed = [event for event in await bench.stories() if event.event == "shard_failed"]
        assert [event.shard for event in failed] == ["../../etc/passwd"]


class TestCoinGecko(SourceSuite):
    recorded = json.loads((FIXTURES / "coingecko_markets.json").read_text())

    def fetcher(self, bench: Bench, folder: Path) -> Fetcher:
        return CoinGecko(bench.provider("CoinGecko"), 100, bench.named(coingecko.SOURCE))

    def serve_recorded(self, bench: Bench, folder: Path) -> int:
        bench.server.respond["/coins/markets"] = answer((FIXTURES / "coingecko_markets.json").read_bytes())
        return len(self.recorded)

    def serve_one_row_changed(self, bench: Bench, folder: Path) -> None:
        text = (FIXTURES / "coingecko_markets.json").read_text()
        first = self.recorded[0]["id"]
        bench.server.respond["/coins/markets"] = answer(text.replace(f'"{first}"', f'"{first}-renamed"', 1))

    def serve_rubbish(self, bench: Bench, folder: Path) -> None:
        bench.server.respond["/coins/markets"] = answer("<html><title>Just a moment...</title></html>", content_type="text/html")


class TestCoinPaprika(SourceSuite):
    recorded = json.loads((FIXTURES / "coinpaprika_tickers.json").read_text())

    def fetcher(self, bench: Bench, folder: Path) -> Fetcher:
        return CoinPaprika(bench.provider("CoinPaprika"), bench.named(coinpaprika.SOURCE))

    def serve_recorded(self, bench: Bench, folder: Path) -> int:
        bench.server.respond["/tickers"] = answer((FIXTURES / "coinpaprika_tickers.json").read_bytes())
        return len(self.recorded)

    def serve_one_row_changed(self, bench: Bench, folder: Path) -> None:
        text = (FIXTURES / "coinpaprika_tickers.json").read_text()
        first = self.recorded[0]["id"]
        bench.server.respond["/tickers"] = answer(text.replace(f'"{first}"', f'"{first}-renamed"', 1))

    def serve_rubbish(self, bench: Bench, folder: Path) -> None:
        bench.server.respond["/tickers"] = answer('{"error": "something is wrong"}')

    @needs_full_recordings
    async def test_the_whole_recorded_answer_arrives(self, bench: Bench) -> None:
        whole = (RECORDED / "payloads" / "coinpaprika_tickers_full_2021-08-12_3795rows.json").read_bytes()
        bench.server.respond["/tickers"] = answer(whole)
        bench.start(CoinPaprika(bench.provider("CoinPaprika"), bench.named(coinpaprika.SOURCE)))
        assert (await bench.run()).counts() == (3_795, 0, 3_795, 0)
        assert (await bench.run()).counts() == (3_795, 3_795, 0, 0)


class TestBinance(SourceSuite):
    recorded = (FIXTURES / "binance_24hr.json").read_text()

    def fetcher(self, bench: Bench, folder: Path) -> Fetcher:
        return Binance(bench.provider("Binance"), "USDT", bench.named(binance.SOURCE))

    def serve_recorded(self, bench: Bench, folder: Path) -> int:
        bench.server.respond["/ticker/24hr"] = answer(self.recorded)
        return sum(row["symbol"].endswith("USDT") for row in json.loads(self.recorded))

    def serve_one_row_changed(self, bench: Bench, folder: Path) -> None:
        bench.server.respond["/ticker/24hr"] = answer(self.recorded.replace("26221.67000000", "26221.68000000", 1))

    def serve_rubbish(self, bench: Bench, folder: Path) -> None:
        bench.server.respond["/ticker/24hr"] = answer('{"code":-1121,"msg":"Invalid symbol."}')

    async def test_a_ban_holds_the_next_request_back_for_as_long_as_it_lasts(self, bench: Bench, tmp_path: Path) -> None:
        banned = '{"code":-1003,"msg":"Way too much request weight used; IP banned."}'
        bench.server.respond["/ticker/24hr"] = answer(banned, status=418, Retry_After="120")
        bench.start(self.fetcher(bench, tmp_path))
        (error,) = (await bench.run()).errors
        assert "418" in error
        assert "not asked again for 120 s" in error
        assert len(bench.server.requests) == 1
        usages = [cursor for cursor in (await bench.cursors()).values() if isinstance(cursor, QuotaUsage)]
        assert any(usage.blocked_until is not None for usage in usages)


CSV = "symbol,name,price,last updated\nBTC,Bitcoin,67685.77,2025-01-01\nETH,Ether,2500,2025-01-01\n"


class TestCsv(SourceSuite):
    def fetcher(self, bench: Bench, folder: Path) -> Fetcher:
        return CsvFiles(str(folder / "market.csv"), bench.clock, bench.named(csv_file.SOURCE))

    def serve_recorded(self, bench: Bench, folder: Path) -> int:
        (folder / "market.csv").write_text(CSV)
        return 2

    def serve_one_row_changed(self, bench: Bench, folder: Path) -> None:
        (folder / "market.csv").write_text(CSV.replace("2500", "2501"))

    def serve_rubbish(self, bench: Bench, folder: Path) -> None:
        (folder / "market.csv").write_text("this,that\n1,2\n")

    async def test_without_a_file_the_run_is_skipped_and_says_where_it_looked(self, bench: Bench, tmp_path: Path) -> None:
        bench.start(self.fetcher(bench, tmp_path))
        (reason,) = (await bench.run()).skipped
        assert str(tmp_path / "market.csv") in reason
        self.serve_recorded(bench, tmp_path)
        assert (await bench.run()).counts() == (2, 0, 2, 0)

    async def test_a_file_without_a_symbol_column_fails_the_run_and_names_the_columns(self, bench: Bench, tmp_path: Path) -> None:
        self.serve_rubbish(bench, tmp_path)
        bench.start(self.fetcher(bench, tmp_path))
        (error,) = (await bench.run()).errors
        assert "'this', 'that'" in error

    async def test_a_bad_row_is_set_aside_with_its_line_and_the_ticks_know_theirs(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "market.csv").write_text('symbol,price\nBTC,1\n,2\n"ETH\nwith a line break",3\nSOL,4\n')
        bench.start(self.fetcher(bench, tmp_path))
        assert (await bench.run()).counts() == (4, 0, 3, 1)
        (letter,) = await bench.dead_letters()
        assert dict(letter.headers)[LINE_HEADER] == b"market.csv:3"
        lines = {dict(record.headers)[LINE_HEADER] for record in await bench.raw()}
        assert lines == {b"market.csv:2", b"market.csv:4", b"market.csv:6"}

    async def test_a_row_that_goes_back_to_what_it_was_is_published_again(self, bench: Bench, tmp_path: Path) -> None:
        bench.start(self.fetcher(bench, tmp_path))
        for serve in (self.serve_recorded, self.serve_one_row_changed, self.serve_recorded):
            serve(bench, tmp_path)
            story = await bench.run()
        assert story.counts() == (2, 1, 1, 0)

    async def test_each_file_of_a_folder_or_glob_is_a_shard(self, bench: Bench, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        for number, name in enumerate(["a.csv", "b.TSV", "deep/c.csv", "#quota.csv", "*", ".hidden.csv", "notes.txt"]):
            (tmp_path / name).write_text(f"symbol\nS{number}\n")
        source = bench.named(csv_file.SOURCE)
        assert await CsvFiles(str(tmp_path), bench.clock, source).shards() == ["./#quota.csv", "a.csv", "b.TSV"]
        everything = CsvFiles(str(tmp_path / "**" / "*"), bench.clock, source)
        assert await everything.shards() == ["./#quota.csv", "./*", "a.csv", "b.TSV", "deep/c.csv", "notes.txt"]
        bench.start(everything)
        assert (await bench.run()).counts() == (6, 0, 6, 0)
        (tmp_path / "a.csv").unlink()
        assert (await bench.run()).counts() == (5, 5, 0, 0)

    async def test_files_whose_paths_are_longer_than_a_shards_name_keep_apart(self, bench: Bench, tmp_path: Path) -> None:
        deep = tmp_path.joinpath(*(str(level) * 200 for level in range(3)))
        deep.mkdir(parents=True)
        for name in ("a.csv", "b.csv"):
            (deep / name).write_text(f"symbol\n{name}\n")
        files = CsvFiles(str(tmp_path / "**" / "*.csv"), bench.clock, bench.named(csv_file.SOURCE))
        bench.start(files)
        story = await bench.run()
        assert story.counts() == (2, 0, 2, 0)
        assert {len(event.shard) for event in story.published} == {LONGEST_SHARD}
