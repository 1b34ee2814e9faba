"""The contracts as documents: a JSON Schema for each message and one AsyncAPI 3.0 document, made from the declarations.

`python -m libs.contracts` writes them to docs/contracts; a test fails when they drift from the code or break a reader.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from libs.contracts.asset import Asset
from libs.contracts.commands import PollCommand
from libs.contracts.cursors import CURSOR
from libs.contracts.gaps import GAP
from libs.contracts.incidents import Incident
from libs.contracts.raw_tick import RawTick
from libs.contracts.run_events import RUN_EVENT
from libs.contracts.settlements import Settlement
from libs.contracts.topics import TOPICS, Topic
from libs.contracts.trace_context import TRACEPARENT

Model = type[BaseModel] | TypeAdapter[Any]
Document = dict[str, Any]

VERSION = 1
"""Of all messages. A change that a reader could not survive makes version 2 of that message, beside version 1."""

SCHEMA_FORMAT = "application/schema+json;version=draft-07"
"""The one JSON Schema format that every AsyncAPI tool must read; nothing in ours is newer but the `$defs`."""

MESSAGES: Mapping[str, Model] = {
    "RawTick": RawTick,
    "Asset": Asset,
    "PollCommand": PollCommand,
    "RunEvent": RUN_EVENT,
    "Cursor": CURSOR,
    "Gap": GAP,
    "Settlement": Settlement,
    "Incident": Incident,
}

TRACED: frozenset[str] = frozenset({"RawTick", "Asset", "PollCommand"})
"""Messages whose records say in a header which trace they belong to."""

DEAD_LETTER_HEADERS: Mapping[str, str] = {
    "__connect.errors.topic": "Topic that the record came from, or was meant for",
    "__connect.errors.partition": "Its partition there; -1 when it never reached a topic",
    "__connect.errors.offset": "Its offset there; -1 when it never reached a topic",
    "__connect.errors.connector.name": "The source",
    "__connect.errors.stage": "Where it was set aside: `producer` or `normalizer`",
    "__connect.errors.class.name": "The reason, from a closed set",
    "__connect.errors.exception.class.name": "The reason again, for tools that look here",
    "__connect.errors.exception.message": "What was wrong, for a person",
    "kasparro.run_id": "The run, empty when unknown",
    "kasparro.attempt": "How many times it has been tried",
}


def schema_of(name: str) -> Document:
    """Return the JSON Schema (2020-12) of a message as it is written."""
    model = MESSAGES[name]
    if isinstance(model, TypeAdapter):
        schema = model.json_schema(mode="validation")
    else:
        schema = model.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema | {"title": f"{name} v{VERSION}"}


def asyncapi() -> Document:
    """Return the AsyncAPI document of all topics, for subscribers."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kasparro topics",
            "version": f"{VERSION}.0.0",
            "description": (
                "Read committed. Numbers are JSON numbers with the provider's digits: parse them as decimals. "
                "In topics that keep records by age, their Kafka timestamps are the broker's (LogAppendTime)."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"read {topic.name}": _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {name: _message(name) for name in MESSAGES} | {"DeadLetter": _dead_letter()},
        },
    }


def _channel(topic: Topic) -> Document:
    name = _message_name(topic)
    kept = "the newest of each key" if topic.kept is None else f"{topic.kept.days} days"
    return {
        "address": topic.name,
        "description": f"{topic.summary}. Key: {topic.key}. Kept: {kept}. Written by: {', '.join(topic.writers)}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": _configuration(topic),
                "bindingVersion": "0.5.0",
            }
        },
    }


def _configuration(topic: Topic) -> Document:
    kept = {} if topic.kept is None else {"retention.ms": int(topic.kept.total_seconds() * 1000)}
    return {"cleanup.policy": [topic.cleanup], **kept, "max.message.bytes": topic.largest_message}


def _operation(topic: Topic) -> Document:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": f"Read by: {', '.join(topic.readers)}",
    }


def _message(name: str) -> Document:
    trace = {"type": "string", "description": "The trace of the run that this comes from, as W3C writes it; see docs/tracing.md"}
    return {
        "name": f"{name}.v{VERSION}",
        **({"headers": {"type": "object", "properties": {TRACEPARENT: trace}}} if name in TRACED else {}),
        "contentType": "application/json",
        # A multi-format schema object, because AsyncAPI's own schema dialect has another meaning for `discriminator`.
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"schemas/{name}.v{VERSION}.json"}},
    }


def _dead_letter() -> Document:
    properties = {header: {"type": "string", "description": meaning} for header, meaning in DEAD_LETTER_HEADERS.items()}
    return {
        "name": "DeadLetter",
        "summary": "The original record's key and bytes, untouched; the headers say what was wrong",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": properties},
    }


def _message_name(topic: Topic) -> str:
    for name, model in MESSAGES.items():
        if model is topic.model:
            return name
    return "DeadLetter"


def incompatibilities(released: Document, current: Document) -> Iterator[str]:
    """Say what a reader of the released schema could trip over: a property gone, re-typed, or no longer always there.

    A new optional property is fine, and so is a new kind of a union: readers ignore what they do not know.
    """
    yield from _compare(released, current, released, current, "")


def _compare(old: Document, new: Document, old_root: Document, new_root: Document, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    for word in ("type", "format", "const", "enum"):
        if old.get(word) != new.get(word):
            yield f"{path or '/'}: {word} was {old.get(word)!r}, is {new.get(word)!r}"
    for name in sorted(set(old.get("required", ())) - set(new.get("required", ()))):
        yield f"{path}/{name}: was always there, is optional now"
    for name, schema in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}/{name}: is gone"
        else:
            yield from _compare(schema, new["properties"][name], old_root, new_root, f"{path}/{name}")
    for word in ("anyOf", "oneOf"):
        for number, (was, now) in enumerate(zip(old.get(word, ()), new.get(word, ()), strict=False)):
            yield from _compare(was, now, old_root, new_root, f"{path}({number})")
        if len(new.get(word, ())) < len(old.get(word, ())):
            yield f"{path or '/'}: fewer kinds than before"


def _resolved(schema: Document, root: Document) -> Document:
    reference = schema.get("$ref")
    return schema if reference is None else root["$defs"][reference.rsplit("/", 1)[-1]]
