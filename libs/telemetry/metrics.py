"""Every metric, declared once: its name, what it means, what to do about it, and its labels.

docs/metrics.md is checked against this, and so are the dashboards and the alert rules. Names follow Prometheus: the unit at the
end, `_total` on what only grows.
"""

from typing import Final

from libs.telemetry import labels
from libs.telemetry.declaring import Kind, Metric, Service

_EVERYONE: Final = (Service.PRODUCER, Service.NORMALIZER, Service.QUERY)
_PRODUCER: Final = (Service.PRODUCER,)
_NORMALIZER: Final = (Service.NORMALIZER,)
_QUERY: Final = (Service.QUERY,)
_WORKERS: Final = (Service.PRODUCER, Service.NORMALIZER)
_CONSUMPTION: Final = (Service.NORMALIZER, Service.QUERY)

_MILLISECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_MINUTES: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_RECORDS: Final = (1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0)
_BYTES: Final = (1_024.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 8_388_608.0)

BUILD_INFO: Final = Metric(
    name="kasparro_build_info",
    kind=Kind.GAUGE,
    services=_EVERYONE,
    means="Always 1; its labels say what runs.",
    advice="More than one version for longer than an upgrade takes: look at the roll-out.",
    labels=(labels.SERVICE, labels.VERSION),
)
DEPENDENCY_UP: Final = Metric(
    name="kasparro_dependency_up",
    kind=Kind.GAUGE,
    services=_EVERYONE,
    means="Whether Kafka or Postgres answered when this process last asked, a few seconds ago: 1 or 0.",
    advice="0: mend the dependency. The process waits by itself and loses nothing; a restart does not help.",
    labels=(labels.DEPENDENCY,),
)
OUTAGE_SECONDS: Final = Metric(
    name="kasparro_outage_seconds",
    kind=Kind.GAUGE,
    services=_EVERYONE,
    means="How long this process has been waiting for a dependency; 0 while it is there.",
    advice="As for kasparro_dependency_up; the log line `outage` says what was met.",
    labels=(labels.DEPENDENCY,),
)
HEALTH_STATUS: Final = Metric(
    name="kasparro_health_status",
    kind=Kind.GAUGE,
    services=_WORKERS,
    means="1 for the status that `/health` tells, 0 for the others.",
    advice="`stalled`: look at the log, then restart it: a bug. `starting` for minutes: `/health` says what it waits for.",
    labels=(labels.STATUS,),
)
CONSUMER_LAG_MESSAGES: Final = Metric(
    name="kasparro_consumer_lag_messages",
    kind=Kind.GAUGE,
    services=_CONSUMPTION,
    means="Offsets from the oldest record that the normalizer has not applied to the end; 0 when it is caught up (the markers of "
    "transactions at the end do not count). A normalizer tells the partitions that it holds; the API tells those of the raw "
    "topics by what is committed, also when no normalizer runs. Take `max by (topic, partition)`.",
    advice="It grows for minutes: start more normalizers, up to the number of partitions, or see kasparro_chunk_stage_seconds.",
    labels=(labels.TOPIC, labels.PARTITION),
)
CONSUMER_LAG_SECONDS: Final = Metric(
    name="kasparro_consumer_lag_seconds",
    kind=Kind.GAUGE,
    services=_CONSUMPTION,
    means="Age of the oldest unapplied tick by its event time; 0 when caught up, absent when it is not known. Rows of a file may "
    "be years old when they come.",
    advice="How old what readers get is. To judge the normalizer itself, take kasparro_consumer_wait_seconds.",
    labels=(labels.TOPIC, labels.PARTITION),
)
CONSUMER_WAIT_SECONDS: Final = Metric(
    name="kasparro_consumer_wait_seconds",
    kind=Kind.GAUGE,
    services=_CONSUMPTION,
    means="How long ago Kafka took the oldest unapplied record; 0 when caught up, absent when it is not known.",
    advice="It grows: the normalizer is too slow, stands still or is away, whatever the source.",
    labels=(labels.TOPIC, labels.PARTITION),
)
CONSUMER_STILL_SECONDS: Final = Metric(
    name="kasparro_consumer_still_seconds",
    kind=Kind.GAUGE,
    services=_CONSUMPTION,
    means="How long a partition with something to apply has not moved; 0 while it moves or has nothing. The API tells commits.",
    advice="Above NORMALIZER_STALLED_SECONDS while kasparro_dependency_up is 1: read the log of its worker, then restart that.",
    labels=(labels.TOPIC, labels.PARTITION),
)
TICKS: Final = Metric(
    name="kasparro_ticks_total",
    kind=Kind.COUNTER,
    services=_NORMALIZER,
    means="Ticks that were applied: stored, already known (`duplicate`), or set aside. "
    "A chunk that comes again after a crash counts again.",
    advice="Nothing stored while listings are published: look at the lag. Many duplicates: a replay, or a producer that forgot.",
    labels=(labels.SOURCE, labels.TICK_OUTCOME),
)
CHUNK_RECORDS: Final = Metric(
    name="kasparro_chunk_records",
    kind=Kind.HISTOGRAM,
    services=_NORMALIZER,
    means="Ticks that were stored in one transaction.",
    advice="Always near CHUNK_RECORDS: the normalizer works at its limit.",
    buckets=_RECORDS,
)
CHUNK_BYTES: Final = Metric(
    name="kasparro_chunk_bytes",
    kind=Kind.HISTOGRAM,
    services=_NORMALIZER,
    means="Bytes of the ticks that were stored in one transaction.",
    advice="Always near CHUNK_BYTES while kasparro_chunk_records is small: rows are large; raise CHUNK_BYTES.",
    buckets=_BYTES,
)
CHUNK_STAGE_SECONDS: Final = Metric(
    name="kasparro_chunk_stage_seconds",
    kind=Kind.HISTOGRAM,
    services=_NORMALIZER,
    means="Where the time of chunks goes: `read` (to quotes), `wait` (for the transaction before), `store` (Postgres), `publish` "
    "(Kafka). Outages count.",
    advice="`store` is slow: Postgres; look at its locks and disk. `publish`: Kafka. `read`: processors, or more normalizers.",
    labels=(labels.CHUNK_STAGE,),
    buckets=_MILLISECONDS,
)
ASSETS_PUBLISHED: Final = Metric(
    name="kasparro_assets_published_total",
    kind=Kind.COUNTER,
    services=_NORMALIZER,
    means="Records that were published to assets.normalized.",
    advice="None while ticks are stored: no asset changes; compare with kasparro_ticks_total.",
)
RUNS: Final = Metric(
    name="kasparro_runs_total",
    kind=Kind.COUNTER,
    services=_WORKERS,
    means="Runs that ended. The normalizer counts what succeeded and what failed, producers what was skipped.",
    advice="`failed`: `/stats` has each run's error in words.",
    labels=(labels.SOURCE, labels.TRIGGER, labels.RUN_OUTCOME),
)
RUN_SECONDS: Final = Metric(
    name="kasparro_run_seconds",
    kind=Kind.HISTOGRAM,
    services=_NORMALIZER,
    means="From the request for a run to its last tick in Postgres, waits for the provider's quota included.",
    advice="Longer than ETL_INTERVAL_SECONDS: the quota is too small for what is polled, or the normalizer is behind.",
    labels=(labels.SOURCE,),
    buckets=_MINUTES,
)
RUN_ANOMALIES: Final = Metric(
    name="kasparro_run_anomalies_total",
    kind=Kind.COUNTER,
    services=_NORMALIZER,
    means="What was unusual about runs that succeeded, by the runs of the source before them.",
    advice="`/stats` has it in words; docs/drift-and-anomalies.md what each kind is. Data are applied all the same.",
    labels=(labels.SOURCE, labels.ANOMALY_KIND),
)
SCHEMA_DRIFT: Final = Metric(
    name="kasparro_schema_drift_total",
    kind=Kind.COUNTER,
    services=_PRODUCER,
    means="Fields of a source's rows that are new, missing or of another type than they were known with; each is counted once.",
    advice="`/stats/sources` names them. `missing` or `retyped` of a field that we read: look for dead letters and nulls.",
    labels=(labels.SOURCE, labels.DRIFT_KIND),
)
LAST_SUCCESS: Final = Metric(
    name="kasparro_source_last_success_timestamp_seconds",
    kind=Kind.GAUGE,
    services=_QUERY,
    means="When the source's last successful run ended (Unix time); absent before the first; as last known in an outage.",
    advice="Several intervals ago: `/stats?source=` says why runs fail, or that nobody runs them.",
    labels=(labels.SOURCE,),
)
SOURCE_INTERVAL_SECONDS: Final = Metric(
    name="kasparro_source_interval_seconds",
    kind=Kind.GAUGE,
    services=_PRODUCER,
    means="ETL_INTERVAL_SECONDS of the producer; absent when nothing is scheduled.",
    advice="What the time since the last success is to be measured by.",
    labels=(labels.SOURCE,),
)
SHARDS: Final = Metric(
    name="kasparro_shards_total",
    kind=Kind.COUNTER,
    services=_PRODUCER,
    means="Parts of runs (pages, files) that a producer has carried out.",
    advice="`failed`: the log line `shard_failed` and `/stats/runs/{run_id}` say what the provider answered.",
    labels=(labels.SOURCE, labels.SHARD_OUTCOME),
)
POLL_STAGE_SECONDS: Final = Metric(
    name="kasparro_poll_stage_seconds",
    kind=Kind.HISTOGRAM,
    services=_PRODUCER,
    means="Where the time of a shard goes: `fetch` (the provider, and waiting for its quota), `publish` (reading the answer, and "
    "one Kafka transaction).",
    advice="`fetch` of minutes: Retry-After or the quota. `publish` of seconds: Kafka is slow or away.",
    labels=(labels.SOURCE, labels.POLL_STAGE),
    buckets=_SECONDS,
)
LISTINGS: Final = Metric(
    name="kasparro_listings_total",
    kind=Kind.COUNTER,
    services=_PRODUCER,
    means="Rows of answers: unchanged since they were last published, published as ticks, or set aside as no listing.",
    advice="All unchanged for hours: the provider has stopped, or serves from a cache. Many set aside: its shape has changed.",
    labels=(labels.SOURCE, labels.LISTING_OUTCOME),
)
PROVIDER_REQUESTS: Final = Metric(
    name="kasparro_provider_requests_total",
    kind=Kind.COUNTER,
    services=_PRODUCER,
    means="Requests that were sent to a provider, by the status of the answer, or by why there was none.",
    advice="401, 403: the key. 402, 429: the plan; poll less often. 5xx, `timeout`, `unreachable`: theirs, or the way there.",
    labels=(labels.SOURCE, labels.ANSWER),
)
PROVIDER_REQUEST_SECONDS: Final = Metric(
    name="kasparro_provider_request_seconds",
    kind=Kind.HISTOGRAM,
    services=_PRODUCER,
    means="From sending a request to a provider to the end of its answer.",
    advice="Near 30 s, where requests are given up: the provider is overloaded.",
    labels=(labels.SOURCE,),
    buckets=_SECONDS,
)
QUOTA_REMAINING: Final = Metric(
    name="kasparro_provider_quota_remaining",
    kind=Kind.GAUGE,
    services=_PRODUCER,
    means="Requests that the plan of the API key still allows, in this minute and in this month (UTC), by what all replicas have "
    "counted; absent where there is no limit. Each replica tells the same: take `min by (source, window)`.",
    advice="`month` near 0: runs fail until the 1st. Raise ETL_INTERVAL_SECONDS or take a larger plan.",
    labels=(labels.SOURCE, labels.WINDOW),
)
DEAD_LETTERS: Final = Metric(
    name="kasparro_dead_letters_total",
    kind=Kind.COUNTER,
    services=_WORKERS,
    means="Records that were set aside in ticks.dead-letter, by what is wrong with them.",
    advice="`kasparro dead-letters` shows them; docs/dead-letters.md says how to send them back.",
    labels=(labels.ANY_SOURCE, labels.REASON),
)
DEAD_LETTERS_UNSETTLED: Final = Metric(
    name="kasparro_dead_letters_unsettled",
    kind=Kind.GAUGE,
    services=_QUERY,
    means="Dead letters that nobody has sent back or dropped, as counted a moment ago; 10,000 stands for that or more. "
    "Absent until they were counted once, and when they could not be counted for more than a minute.",
    advice="Re-drive them once what was wrong is mended, or drop them: `kasparro dead-letters`.",
)
HTTP_REQUESTS: Final = Metric(
    name="kasparro_http_requests_total",
    kind=Kind.COUNTER,
    services=_QUERY,
    means="Answers of the API. What is no HTTP request at all is not counted.",
    advice="500: a bug; the log has it. 503: see kasparro_dependency_up. 502, 504 of POST: the provider, or no producer.",
    labels=(labels.METHOD, labels.ROUTE, labels.HTTP_STATUS),
)
HTTP_REQUEST_SECONDS: Final = Metric(
    name="kasparro_http_request_seconds",
    kind=Kind.HISTOGRAM,
    services=_QUERY,
    means="From a request's head to its answer, without the way to the client. POST /etl/run waits for the run by design.",
    advice="Slow: look at Postgres, then raise QUERY_CONNECTIONS or start another query service.",
    labels=(labels.ROUTE,),
    buckets=_MILLISECONDS,
)
STREAM_CLIENTS: Final = Metric(
    name="kasparro_stream_clients",
    kind=Kind.GAUGE,
    services=_QUERY,
    means="Clients that follow /data/stream (`sse`) or /data/ws (`websocket`) here now.",
    advice="Near STREAM_CLIENTS: new ones get 503; raise it, or start another query service.",
    labels=(labels.TRANSPORT,),
)
STREAM_EVENTS: Final = Metric(
    name="kasparro_stream_events_total",
    kind=Kind.COUNTER,
    services=_QUERY,
    means="Changes of assets that were handed to clients of the stream, each client's counted.",
    advice="None while clients are there and assets are published: look for `tail_lost_kafka` in the log.",
    labels=(labels.TRANSPORT,),
)
STREAM_SKIPPED: Final = Metric(
    name="kasparro_stream_skipped_total",
    kind=Kind.COUNTER,
    services=_QUERY,
    means="Changes that clients were not told because they were too slow and a later one of the same asset was there.",
    advice="Of few clients: theirs. Beside a full processor: this process is too slow; start another query service.",
    labels=(labels.TRANSPORT,),
)
STREAM_BYTES: Final = Metric(
    name="kasparro_stream_bytes_total",
    kind=Kind.COUNTER,
    services=_QUERY,
    means="Bytes of events that were handed to clients of the stream.",
    advice="What the network must carry; filters make it less.",
    labels=(labels.TRANSPORT,),
)

CATALOGUE: Final[tuple[Metric, ...]] = tuple(thing for thing in list(globals().values()) if isinstance(thing, Metric))
"""All of them, in the order above."""
