"""The short form, in `make test`: one pipeline, the most telling faults one after another, and every check after them."""

import pytest

from tests.faults.conftest import Stage
from tests.faults.listening import listening
from tests.faults.operator import kasparro
from tests.faults.tables import read_tables
from tests.faults.test_rebuild import contents


@pytest.mark.timeout(400)
async def test_nothing_is_lost_or_doubled_by_the_most_telling_faults(stage: Stage) -> None:
    pipeline, report = stage.pipeline, stage.pipeline.report
    async with listening(pipeline) as clients:
        async with stage.fault():
            await pipeline.provider.order(
                {"kind": "poison", "count": 2},
                {"kind": "rate_limited_html", "retry_after_seconds": 1},
                {"kind": "half_the_pages"},
            )
            report.injected("poison, a 429, half the pages", 4)
            await stage.dies_at("normalizer", "between-database-commit-and-publish", nth=stage.random.randint(1, 5))
            clients.break_off()
            await stage.dies_at("coingecko", "before-transaction-commit", nth=stage.random.randint(1, 3))
            report.injected("SIGKILL postgres")
            pipeline.servers.kill_database()
            await stage.a_while(0, 1)
            await pipeline.servers.start_database()
            report.injected("SIGKILL broker")
            pipeline.servers.kill_broker()
            await stage.end("query", "SIGKILL")
            await pipeline.servers.start_broker()
            pipeline.start_missing()
            await stage.a_while()
        await clients.until_all_hold_the_newest()
    before = contents(await read_tables(pipeline.servers.database_url))
    await stage.end("normalizer", "SIGTERM")
    ended = await kasparro(pipeline, "replay", "--to", "beginning", "--rebuild")
    assert ended.code == 0, ended.output
    pipeline.start_missing()
    await pipeline.until_quiet(60)
    assert contents(await read_tables(pipeline.servers.database_url)) == before
