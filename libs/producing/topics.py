"""The topics that a producer touches, as values, so that a test has its own."""

from dataclasses import dataclass

from libs.contracts.topics import CURSORS, DEAD_LETTERS, GAPS, RUN_EVENTS, SOURCE_TOPICS, Topic


@dataclass(frozen=True, slots=True)
class ProducerTopics:
    """What one producer reads and writes."""

    raw: Topic
    commands: Topic
    run_events: Topic
    cursors: Topic
    dead_letters: Topic
    gaps: Topic


def topics_of(source: str) -> ProducerTopics:
    """Return the declared topics of a source."""
    own = SOURCE_TOPICS[source]
    return ProducerTopics(own.raw, own.commands, RUN_EVENTS, CURSORS, DEAD_LETTERS, GAPS)
