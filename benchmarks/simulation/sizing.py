"""What a load needs, on paper: requests, cores, bytes a second, bytes kept. One line each, with how it was reckoned."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.simulation.constants import Constants

MONTH_MINUTES: Final = 31 * 24 * 60
DAY_SECONDS: Final = 86_400
PAGE_BYTES: Final = 8_192
POLLED_PARTITIONS: Final = 6
"""Of the topic that the producer was measured with."""
MARKER_BYTES: Final = 78
"""Of a transaction's end, in each partition that it wrote to (Kafka's format: a batch of one control record)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The load, the machines that it is to be put on, and how full they may be.

    `raw_table_days`: what one raw table holds, if they are cut by time; 0: no raw rows in Postgres.
    """

    listings: int
    every_seconds: float = 1.0
    changed: float = 1.0
    page_rows: int = 250
    partitions: int = 6
    chunk_ticks: int = 1_000
    consumers: int = 2
    replication: int = 3
    kept_days: float = 7.0
    raw_days: float = 30.0
    raw_table_days: float | None = None
    checkpoint_seconds: float = 300.0
    postgres_cores: int = 32
    postgres_wal_share: float = 0.5
    broker_cores: int = 16
    broker_disk_bytes: float = 16e12
    broker_network_bytes: float = 1.25e9
    full: float = 0.6

    @property
    def ticks(self) -> float:
        """A second: what changed."""
        return self.changed * self.listings / self.every_seconds

    @property
    def pages(self) -> float:
        """Requests a second, each a transaction."""
        return self.listings / self.page_rows / self.every_seconds

    @property
    def touched(self) -> float:
        """Partitions that the ticks of a page fall on."""
        return self.partitions * (1 - math.pow(1 - 1 / self.partitions, self.changed * self.page_rows))

    @property
    def records_a_batch(self) -> float:
        """Ticks of a page that fall on one partition."""
        return self.changed * self.page_rows / self.touched


class Line(NamedTuple):
    """One thing that is needed."""

    part: str
    what: str
    amount: float
    unit: str


def page_seconds(rows: float, constants: Constants) -> float:
    """Return how long a producer has to do with a page: what is worked grows with its rows, what is waited for does not."""
    waited = constants.producer_ms_per_page / 1e3 - 250e-6 * constants.producer_us_per_listing
    return max(0.0, waited) + 1e-6 * rows * constants.producer_us_per_listing


def image_share(pages: float, ticks: float) -> float:
    """Return the share of `ticks` that are the first since a checkpoint on their page of `pages`, each as likely as any."""
    return pages / ticks * -math.expm1(-ticks / pages) if pages and ticks else 0.0


def wal_bytes(plan: Plan, constants: Constants) -> float:
    """Return the bytes of the write-ahead log a tick, with images of the pages of the index of tick_id that is written to."""
    if plan.raw_table_days == 0:
        return constants.wal_record_bytes_per_tick - constants.wal_raw_bytes_per_tick
    rows = plan.ticks * (plan.raw_table_days or plan.raw_days) * DAY_SECONDS
    pages = rows * constants.tick_id_index_bytes_per_row / PAGE_BYTES
    image_bytes = constants.image_bytes_per_tick_at_a_tenth / image_share(10, 1)
    return constants.wal_record_bytes_per_tick + image_bytes * image_share(pages, plan.ticks * plan.checkpoint_seconds)


def kafka_bytes(plan: Plan, constants: Constants) -> tuple[float, float, float]:
    """Return bytes a second of raw ticks with their markers, of assets, and of cursors, before replication."""
    raw = plan.ticks * constants.topic_bytes(plan.records_a_batch) + plan.pages * plan.touched * MARKER_BYTES
    cursors = plan.listings / plan.every_seconds * constants.cursor_bytes_per_polled
    return raw, plan.ticks * constants.asset_topic_bytes_per_tick, cursors


def postgres_cores(plan: Plan, constants: Constants) -> float:
    """Return the cores that Postgres keeps busy."""
    return plan.ticks * constants.us("postgres", plan.chunk_ticks) / plan.chunk_ticks / 1e6


def postgres_servers(plan: Plan, constants: Constants) -> int:
    """Return how many servers that takes, by their cores and by what their disks take."""
    by_cores = postgres_cores(plan, constants) / plan.full / plan.postgres_cores
    by_wal = plan.ticks * wal_bytes(plan, constants) / plan.postgres_wal_share / constants.wal_bytes_per_second
    return math.ceil(max(by_cores, by_wal))


def normalizers(plan: Plan, constants: Constants) -> int:
    """Return how many replicas, each with a thread that does everything."""
    return math.ceil(plan.ticks * constants.us("main", plan.chunk_ticks) / plan.chunk_ticks / 1e6 / plan.full)


def broker_us_taking(plan: Plan, constants: Constants) -> float:
    """Return what brokers work to take a tick: its batches, and its share of its page's two transactions with their markers.

    What a page costs besides its batches is what a poll was measured to cost, less the batches of that poll.
    """
    measured = Plan(plan.listings, partitions=POLLED_PARTITIONS)
    besides = constants.producers_broker_us_per_listing - _batches_us(measured, constants)
    a_page = max(0.0, besides) * measured.page_rows
    return _batches_us(plan, constants) + a_page / (plan.page_rows * plan.changed)


def _batches_us(plan: Plan, constants: Constants) -> float:
    markers = plan.touched * constants.broker_us_sent(1) / (plan.page_rows * plan.changed)
    return constants.broker_us_sent(plan.records_a_batch) + markers


def broker_cores(plan: Plan, constants: Constants) -> float:
    """Return the cores that brokers keep busy: leaders taking and handing out; what followers do was not measured."""
    handing_out = constants.us("broker", plan.chunk_ticks) / plan.chunk_ticks
    return plan.ticks * (broker_us_taking(plan, constants) + handing_out) / 1e6


def brokers(plan: Plan, constants: Constants) -> dict[str, float]:
    """Return how many brokers each of their limits asks for."""
    raw, assets, cursors = kafka_bytes(plan, constants)
    into = (raw + assets + cursors) * plan.replication
    out = (raw + assets + cursors) * (plan.replication - 1) + (raw + assets) * plan.consumers
    return {
        "cores": broker_cores(plan, constants) / plan.full / plan.broker_cores,
        "network": max(into, out) / plan.full / plan.broker_network_bytes,
        "disk": raw * plan.kept_days * DAY_SECONDS * plan.replication / plan.full / plan.broker_disk_bytes,
        "copies": plan.replication,
    }


def size(plan: Plan, constants: Constants) -> list[Line]:
    """Reckon everything."""
    raw, assets, cursors = kafka_bytes(plan, constants)
    row = constants.raw_coingecko_heap_bytes_per_row + constants.raw_coingecko_index_bytes_per_row
    asks = brokers(plan, constants)
    return [
        Line("load", "ticks", plan.ticks, "a second"),
        Line("provider", "requests", 60 * plan.pages, "a minute"),
        Line("provider", "requests", 60 * plan.pages * MONTH_MINUTES / 1e6, "million a month"),
        Line("producers", "cores", plan.listings / plan.every_seconds * constants.producer_us_per_listing / 1e6, "busy"),
        Line("producers", "sources, each one page after another", plan.pages * page_seconds(plan.page_rows, constants), ""),
        Line("kafka", "records a batch", plan.records_a_batch, ""),
        Line("kafka", "raw ticks in, one copy", raw / 1e6, "MB/s"),
        Line("kafka", "assets in, one copy", assets / 1e6, "MB/s"),
        Line("kafka", "cursors in, one copy, one partition", cursors / 1e6, "MB/s"),
        Line("kafka", "kept, all copies", raw * plan.kept_days * DAY_SECONDS * plan.replication / 1e12, "TB"),
        Line("kafka", "cores", broker_cores(plan, constants), "busy"),
        *(Line("kafka", f"brokers, by {name}", math.ceil(number), "") for name, number in asks.items()),
        Line("normalizer", "replicas", normalizers(plan, constants), ""),
        Line("postgres", "cores", postgres_cores(plan, constants), "busy"),
        Line("postgres", "WAL, records only", plan.ticks * constants.wal_record_bytes_per_tick / 1e6, "MB/s"),
        Line("postgres", "WAL, with images", plan.ticks * wal_bytes(plan, constants) / 1e6, "MB/s"),
        Line(
            "postgres",
            "raw rows kept",
            0.0 if plan.raw_table_days == 0 else plan.ticks * row * plan.raw_days * DAY_SECONDS / 1e12,
            "TB",
        ),
        Line("postgres", "deleted at most, of what comes", 100 * constants.retention_rows_per_second / plan.ticks, "%"),
        Line("postgres", "servers", postgres_servers(plan, constants), ""),
    ]
