"""Commands, run events and gaps as records."""

from libs.contracts.commands import PollCommand
from libs.contracts.gaps import Gap
from libs.contracts.run_events import RunEvent
from libs.contracts.trace_context import TraceContext, context_of_run
from libs.kafka.records import Record


def command_record(topic: str, command: PollCommand, trace: TraceContext | None = None) -> Record:
    """Return the record of a command; the shard is the key, so one shard's polls come one after another.

    `trace` is the span that asks; without one, the run's own.
    """
    headers = (trace or context_of_run(command.run_id)).headers
    return Record(topic, command.shard.encode(), command.model_dump_json().encode(), headers)


def event_record(topic: str, event: RunEvent) -> Record:
    """Return the record of an event; the run is the key, so what happened to it stays in order."""
    return Record(topic, str(event.run_id).encode(), event.model_dump_json().encode())


def gap_record(topic: str, gap: Gap) -> Record:
    """Return the record of a gap; the source is the key."""
    return Record(topic, gap.source.encode(), gap.model_dump_json().encode())
