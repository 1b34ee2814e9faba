"""The labels of the metrics, each with what bounds it: never an asset, a listing, a path as asked for, or an error's words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from libs.contracts.topics import SOURCE_TOPICS, TOPICS
from libs.domain.anomalies import AnomalyKind
from libs.domain.rejections import Reason
from libs.domain.runs import RunStatus, Trigger
from libs.domain.shapes import DriftKind


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its bound: the values it may have, or where these cannot be listed here, what limits their number."""

    name: str
    values: frozenset[str] = frozenset()
    bounded_by: str = ""


def _closed(name: str, values: Iterable[str]) -> Label:
    return Label(name, frozenset(values))


NO_SOURCE: Final = "none"
"""Of a record that belongs to no source, such as an event of a run that cannot be read."""
OTHER_ROUTE: Final = "other"
"""Of a request whose path is no route."""
STATUSES: Final = frozenset({"200", "304", "400", "401", "402", "403", "404", "408", "429", "500", "502", "503", "504"})
"""Answers of a provider that are told one by one."""
TIMED_OUT, UNREACHABLE, BROKEN_OFF, OTHER_STATUS = "timeout", "unreachable", "broken_off", "other"

SERVICE: Final = Label("service", bounded_by="the processes: `normalizer`, `query` and `producer-<source>`")
VERSION: Final = Label("version", bounded_by="one a process")
SOURCE: Final = _closed("source", SOURCE_TOPICS)
ANY_SOURCE: Final = _closed("source", {*SOURCE_TOPICS, NO_SOURCE})
TOPIC: Final = _closed("topic", (topic.name for topic in TOPICS))
PARTITION: Final = Label("partition", bounded_by="the partitions of the topic, 6 as declared")
DEPENDENCY: Final = _closed("dependency", {"kafka", "postgres"})
STATUS: Final = _closed("status", {"starting", "ok", "waiting", "stalled"})
TICK_OUTCOME: Final = _closed("outcome", {"stored", "duplicate", "dead_lettered"})
LISTING_OUTCOME: Final = _closed("outcome", {"unchanged", "published", "dead_lettered"})
SHARD_OUTCOME: Final = _closed("outcome", {"published", "failed"})
RUN_OUTCOME: Final = _closed("outcome", (status.value for status in RunStatus if status.is_terminal))
TRIGGER: Final = _closed("trigger", (trigger.value for trigger in Trigger))
REASON: Final = _closed("reason", (reason.value for reason in Reason))
DRIFT_KIND: Final = _closed("kind", (kind.value for kind in DriftKind))
ANOMALY_KIND: Final = _closed("kind", (kind.value for kind in AnomalyKind))
CHUNK_STAGE: Final = _closed("stage", {"read", "wait", "store", "publish"})
POLL_STAGE: Final = _closed("stage", {"fetch", "publish"})
ANSWER: Final = _closed("status", {*STATUSES, TIMED_OUT, UNREACHABLE, BROKEN_OFF, OTHER_STATUS})
WINDOW: Final = _closed("window", {"minute", "month"})
METHOD: Final = _closed("method", {"GET", "HEAD", "POST", "other"})
ROUTE: Final = Label("route", bounded_by="the routes as declared (`/data/{asset_uid}`), and `other` for every path that is none")
HTTP_STATUS: Final = Label("status", bounded_by="the statuses that the API answers with")
TRANSPORT: Final = _closed("transport", {"sse", "websocket"})
