"""How many requests a second an API answers, in one process, over the same tables."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import NamedTuple

from benchmarks.ground import Ground
from benchmarks.load import Answered, ask
from benchmarks.peers.environments import python_of
from benchmarks.processes import service
from benchmarks.report import Section, say
from libs.devstack.ports import free_port

CONNECTIONS = 32
SECONDS = 6.0
WARM_SECONDS = 1.5
READY_SECONDS = 30.0


ITS_INDEX = "CREATE INDEX by_rank ON assets (market_cap_rank, asset_uid)"
"""Whoever asks Postgres for sorted pages has one."""
HEAD = "| asked | who | x FastAPI | requests/s | p50 ms | p99 ms |\n|---|---|---|---|---|---|"
LINE = "| `{asked}` | {name} | {ratio:.1f} | {speed:,.0f} | {p50:.1f} | {p99:.1f} |"
TEXT = """\
{assets:,} assets, {connections} connections, one process each; the client is on the same two cores. Medians of {rounds} rounds.

{table}

{apis}
"""


class Api(NamedTuple):
    """Who answers: a module that listens on PORT."""

    name: str
    what: str
    module: str

    @property
    def peer(self) -> str:
        """The name of its file, and of the list of its packages if it has one."""
        return self.module.rpartition(".")[2]


KASPARRO = Api("Kasparro", "the query service as it is deployed, numbers with all their digits", "services.query")
FASTAPI = Api(
    "FastAPI + SQLAlchemy",
    "what most would write: pydantic models, SQLAlchemy 2 async, uvicorn with uvloop and httptools; numbers as floats; an index "
    "for the order of its page, which Kasparro does without",
    "benchmarks.peers.fastapi_sqlalchemy",
)
APIS = (FASTAPI, KASPARRO)


async def paths(ground: Ground) -> Mapping[str, Sequence[str]]:
    """What is asked for: a page with its total, and one asset after another."""
    rows = await ground.pool.fetch("SELECT asset_uid FROM assets ORDER BY asset_uid LIMIT 2000")
    return {"GET /data?limit=50": ["/data?limit=50"], "GET /data/{asset_uid}": [f"/data/{row[0]}" for row in rows]}


async def measure(ground: Ground, api: Api) -> dict[str, Answered]:
    """Start the API, and ask it for each kind of thing, after some time to warm up."""
    found: dict[str, Answered] = {}
    async with serving(ground, api) as port:
        for name, asked in (await paths(ground)).items():
            await ask(port, asked, connections=CONNECTIONS, seconds=WARM_SECONDS)
            found[name] = await ask(port, asked, connections=CONNECTIONS, seconds=SECONDS)
    return found


@asynccontextmanager
async def serving(ground: Ground, api: Api) -> AsyncIterator[int]:
    """Run an API until the block is left; give the port on which it answers."""
    port = free_port()
    async with service(ground, api.module, python=await python_of(api.peer), PORT=str(port)):
        async with asyncio.timeout(READY_SECONDS):
            while not await _answers(port):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        yield port


async def _answers(port: int) -> bool:
    answers = True
    try:
        await ask(port, ["/data?limit=1"], connections=1, seconds=0.05)
    except* (OSError, RuntimeError, asyncio.IncompleteReadError):
        answers = False
    return answers


async def compare(ground: Ground, rounds: int) -> Section:
    """Ask each API once a round."""
    runs: dict[tuple[str, str], list[Answered]] = {}
    await ground.pool.execute(ITS_INDEX)
    for round_ in range(1, rounds + 1):
        for api in APIS:
            for asked, answered in (await measure(ground, api)).items():
                runs.setdefault((asked, api.name), []).append(answered)
                say(
                    f"{round_}/{rounds}  {asked:<22} {api.name:<22} {answered.per_second:>8,.0f} requests/s  "
                    f"p50 {answered.p50_ms:.1f} ms  p99 {answered.p99_ms:.1f} ms"
                )
    await ground.pool.execute("DROP INDEX by_rank")
    ratios = {place: _ratio(held, runs[place[0], FASTAPI.name]) for place, held in runs.items()}
    table = "\n".join([HEAD, *(_line(place, held, ratios[place]) for place, held in sorted(runs.items()))])
    text = TEXT.format(
        assets=await ground.pool.fetchval("SELECT count(*) FROM assets"),
        connections=CONNECTIONS,
        rounds=rounds,
        table=table,
        apis="\n".join(f"- **{api.name}**: {api.what}" for api in APIS),
    )
    bars = [(f"{asked.removeprefix('GET ')}, {name}", ratio) for (asked, name), ratio in sorted(ratios.items())]
    return Section("Answers", text, "requests a second as a multiple of FastAPI's", bars, [api.peer for api in APIS])


def _ratio(held: Sequence[Answered], others: Sequence[Answered]) -> float:
    return median(one.per_second / other.per_second for one, other in zip(held, others, strict=True))


def _line(place: tuple[str, str], held: Sequence[Answered], ratio: float) -> str:
    speed = median(one.per_second for one in held)
    p50, p99 = median(one.p50_ms for one in held), median(one.p99_ms for one in held)
    return LINE.format(asked=place[0], name=place[1], ratio=ratio, speed=speed, p50=p50, p99=p99)
