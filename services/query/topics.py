"""The topics and the group that the service speaks of; a test brings its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.contracts.topics import NORMALIZER_GROUP, RUN_EVENTS, SOURCE_TOPICS


@dataclass(frozen=True, slots=True)
class QueryTopics:
    """Names; `commands` and `raw` by source."""

    commands: Mapping[str, str]
    raw: Mapping[str, str]
    run_events: str
    group: str


DECLARED = QueryTopics(
    commands={source: topics.commands.name for source, topics in SOURCE_TOPICS.items()},
    raw={source: topics.raw.name for source, topics in SOURCE_TOPICS.items()},
    run_events=RUN_EVENTS.name,
    group=NORMALIZER_GROUP,
)
"""As libs.contracts.topics declares them."""
