"""Poison in every field and in every topic: it is set aside alone, with its bytes, and its neighbours live."""

from collections import Counter
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from libs.contracts.commands import PollCommand
from libs.contracts.dead_letters import Origin
from libs.contracts.gaps import GAP
from libs.contracts.run_events import RUN_EVENT
from libs.contracts.topics import DEAD_LETTERS, GAPS, RUN_EVENTS, SETTLEMENTS, SOURCE_TOPICS
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Position, Record
from services.sandbox.faults.poison import PoisonKind
from tests.faults import spoilt_messages
from tests.faults.conftest import Stage
from tests.faults.ledger import INJECTED, Ledger, digest_of
from tests.faults.operator import kasparro
from tests.faults.pipeline import POLLED, Pipeline
from tests.faults.spoilt import RAW_BYTES, Spoilt, every_field_spoilt, made, records

RECORDS = 400
BYTES = 30
REFUSED = "refused_by_database"
PAGES = ("/health", "/data", "/stats", *(f"/stats/{of}" for of in ("gaps", "dead-letters", "checkpoints", "sources", "debug")))
pytestmark = pytest.mark.timeout(1800)


async def test_every_kind_of_poison_that_a_provider_can_send(stage: Stage) -> None:
    ledger = stage.pipeline.ledger
    for _ in range(stage.rounds):
        async with stage.fault():
            await stage.pipeline.provider.order(*({"kind": "poison", "provider": source, "count": 3} for source in POLLED))
            stage.pipeline.report.injected("answer with all 23 kinds of poison", 6)
            await stage.a_while(3, 6)
        set_aside = [*ledger.rows_set_aside, *(held[0] for held in ledger.letters.values())]
        by_run = Counter((letter.source, letter.run_id) for letter in set_aside)
        for source in POLLED:
            assert max(number for (of, _), number in by_run.items() if of == source) >= len(PoisonKind)
        for origin in ledger.letters:
            listing = ledger.ticks[origin].listing
            assert listing is None or listing.source_id.startswith("poison-"), f"{origin}: a good row of {listing} was set aside"


async def test_spoilt_records_in_the_raw_topics(stage: Stage) -> None:
    """Each field in each way, and what Hypothesis makes: half of it while the normalizer works, half while it is down."""
    for _ in range(stage.rounds):
        for source in POLLED:
            spoilt = [*every_field_spoilt(source), *made(records(source), RECORDS, stage.random.randrange(10**9))]
            stage.random.shuffle(spoilt)
            half, topic = len(spoilt) // 2, SOURCE_TOPICS[source].raw.name
            async with stage.fault():
                await stage.a_while()
                await inject(stage, topic, spoilt[:half])
                await stage.end("normalizer", "SIGKILL")
                await inject(stage, topic, spoilt[half:])
                stage.pipeline.start_missing()
                await stage.a_while()
            neighbours_live(stage.pipeline.ledger, topic)


async def test_spoilt_messages_in_every_other_topic(stage: Stage) -> None:
    pipeline, ledger = stage.pipeline, stage.pipeline.ledger
    ledger.made_up_runs.update(spoilt_messages.RUNS)
    for _ in range(stage.rounds):
        sent: list[tuple[Origin, Spoilt]] = []
        async with stage.fault():
            for topic, messages in spoilt_messages.by_topic().items():
                raw = made(RAW_BYTES, BYTES, stage.random.randrange(10**9))
                spoilt = [*messages, *(Spoilt(value[:3], value) for value in raw)]
                stage.random.shuffle(spoilt)
                places = await inject(stage, topic, spoilt, b"letter" if topic == DEAD_LETTERS.name else b"1")
                sent += [(Origin(topic, place.partition, place.offset), one) for place, one in zip(places, spoilt, strict=True)]
            await stage.a_while()
        assert ledger.spoilt > 0
        for origin, one in sent:
            check_set_aside(ledger, origin, one)
        await check_answers(pipeline)


def neighbours_live(ledger: Ledger, topic: str) -> None:
    """Both became of what was injected, and nothing but that was set aside."""
    injected = [origin for origin, tick in ledger.ticks.items() if tick.injected and origin.topic == topic]
    assert 0 < sum(origin in ledger.letters for origin in injected) < len(injected)
    good = [origin for origin in ledger.letters if not ledger.ticks[origin].injected]
    assert not good, f"good ticks were set aside: {good[:8]}"


def check_set_aside(ledger: Ledger, origin: Origin, one: Spoilt) -> None:
    """What nobody can read has a dead letter with its bytes; what can be read has none, but where Postgres refuses it."""
    if origin.topic in {SETTLEMENTS.name, DEAD_LETTERS.name}:
        assert origin not in ledger.letters
        return
    letters = ledger.letters.get(origin, [])
    if is_readable(origin.topic, one.value or b""):
        assert all(letter.error_class == REFUSED for letter in letters), f"{origin} was set aside: {letters} {one.value!r}"
    else:
        assert letters, f"{origin} is in no dead letter: {one.value!r}"
    assert {letter.digest for letter in letters} <= {digest_of(one.value)}


def is_readable(topic: str, value: bytes) -> bool:
    try:
        if topic == RUN_EVENTS.name:
            RUN_EVENT.validate_json(value)
        elif topic == GAPS.name:
            GAP.validate_json(value)
        else:
            return SOURCE_TOPICS[PollCommand.model_validate_json(value).source].commands.name == topic
    except (ValidationError, KeyError):
        return False
    return True


async def check_answers(pipeline: Pipeline) -> None:
    """Whoever reads what came of it gets JSON, from the API and from the operator's command."""
    for page in PAGES:
        await pipeline.get(page)
    for words in ("list --all --json --limit 1000", "redrive --dry-run --json", "drop --all --dry-run"):
        ended = await kasparro(pipeline, "dead-letters", *words.split())
        assert "Traceback" not in ended.output, ended.output


async def inject(stage: Stage, topic: str, spoilt: Sequence[Spoilt], mark: bytes = b"1") -> Sequence[Position]:
    stage.pipeline.report.injected(f"spoilt record in {topic}", len(spoilt))
    sending = [Record(topic, one.key, one.value, ((INJECTED, mark), *one.headers), one.partition) for one in spoilt]
    async with open_publisher(stage.pipeline.connection) as publisher:
        return await publisher.publish(sending)
