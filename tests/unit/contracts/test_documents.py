"""The published documents are the code's, and no released reader breaks."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter

from libs.contracts.dead_letters import Headers, Origin, dead_letter_headers
from libs.contracts.documents import DEAD_LETTER_HEADERS, MESSAGES, VERSION, asyncapi, incompatibilities, schema_of
from libs.contracts.topics import TOPICS
from libs.domain.rejections import Reason, Rejection

CONTRACTS = Path("docs/contracts")
EXAMPLES = sorted(CONTRACTS.glob("examples/*/*.json"))


def load(path: Path) -> Any:
    return json.loads(path.read_text(), parse_float=Decimal)


@pytest.mark.parametrize("name", MESSAGES)
def test_written_schema_is_the_codes(name: str) -> None:
    assert load(CONTRACTS / f"schemas/{name}.v{VERSION}.json") == schema_of(name), "run `make schemas` and review the difference"


def test_written_asyncapi_is_the_codes() -> None:
    assert load(CONTRACTS / "asyncapi.json") == asyncapi(), "run `make schemas` and review the difference"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_example_is_read_by_the_model_and_fits_the_schema(path: Path) -> None:
    name = path.parent.name.split(".")[0]
    model = MESSAGES[name]
    message = load(path)
    (model if isinstance(model, TypeAdapter) else TypeAdapter(model)).validate_python(message)
    Draft202012Validator(schema_of(name)).validate(message)


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_keeps_three_examples(name: str) -> None:
    assert len([path for path in EXAMPLES if path.parent.name == f"{name}.v{VERSION}"]) >= 3


def test_no_schema_or_example_is_orphaned() -> None:
    assert {path.stem for path in CONTRACTS.glob("schemas/*.json")} == {f"{name}.v{VERSION}" for name in MESSAGES}
    assert {path.parent.name for path in EXAMPLES} == {f"{name}.v{VERSION}" for name in MESSAGES}


@pytest.mark.parametrize("name", MESSAGES)
def test_released_schema_still_holds(name: str) -> None:
    assert list(incompatibilities(load(CONTRACTS / f"released/{name}.v{VERSION}.json"), schema_of(name))) == []


def test_a_broken_promise_is_found() -> None:
    released = schema_of("RawTick")
    gone = json.loads(json.dumps(released))
    del gone["properties"]["source_id"]
    retyped = json.loads(json.dumps(released))
    retyped["properties"]["fetched_at"]["type"] = "integer"
    optional = json.loads(json.dumps(released))
    optional["required"].remove("tick_id")
    added = json.loads(json.dumps(released))
    added["properties"]["venue"] = {"type": "string"}
    assert list(incompatibilities(released, gone)) == ["/source_id: is gone"]
    assert list(incompatibilities(released, retyped)) == ["/fetched_at: type was 'string', is 'integer'"]
    assert list(incompatibilities(released, optional)) == ["/tick_id: was always there, is optional now"]
    assert list(incompatibilities(released, added)) == []


def test_topic_names_keep_apart_in_kafkas_metrics() -> None:
    """`.` and `_` become the same letter there."""
    assert len({topic.name.replace("_", ".") for topic in TOPICS}) == len(TOPICS)


def dead_letter(reason: Reason, attempt: int = 1, original: Headers = ()) -> list[tuple[str, bytes]]:
    origin = Origin("ticks.raw.csv", 3, 17)
    return dead_letter_headers(
        Rejection(reason, "not JSON: \udcff"),
        origin,
        stage="normalizer",
        source="csv",
        run_id=None,
        attempt=attempt,
        original=original,
    )


def test_dead_letter_headers_are_the_documented_ones() -> None:
    assert {name for name, _ in dead_letter(Reason.UNDECODABLE)} == set(DEAD_LETTER_HEADERS)


def test_a_second_failure_replaces_the_first_and_keeps_foreign_headers() -> None:
    first = dead_letter(Reason.WRONG_SHAPE, original=[("trace", b"1")])
    again = dead_letter(Reason.UNDECODABLE, attempt=2, original=first)
    assert len(again) == len(first)
    assert dict(again)["trace"] == b"1"
    assert dict(again)["kasparro.attempt"] == b"2"
    assert dict(again)["__connect.errors.class.name"] == b"undecodable"
