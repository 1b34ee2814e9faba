"""What was measured, in one place, each with the command that measures it again.

`python -m benchmarks --part constants > measured.txt`, then `python -m benchmarks.simulation --constants measured.txt`.
"""

from dataclasses import dataclass, fields, replace
from typing import Final, Self

MEASURED_ON: Final = "2 cores at 2.1 GHz (Sapphire Rapids, virtual), Kafka 4.2.2 with a 512 MB heap, Postgres 18"


@dataclass(frozen=True, slots=True)
class Constants:
    """Microseconds of CPU, milliseconds of waiting and bytes. Names are those that `--part constants` prints.

    A tick: a row of some 350 bytes that is new and moves its quote and its asset, all the work done. A chunk: what one
    transaction costs besides its ticks. Fitted to chunks of 245 and of 3,721 ticks.
    """

    # python -m benchmarks --part constants --ticks 240000 --listings 80000
    main_us_per_tick: float = 44.4  # the normalizer's one thread that reads, stores and publishes
    main_us_per_chunk: float = 2_636.3
    threads_us_per_tick: float = 2.3  # its thread that fetches
    threads_us_per_chunk: float = 888.0
    postgres_us_per_tick: float = 46.9  # backends, checkpointer and WAL writer together
    postgres_us_per_chunk: float = 2_112.3
    broker_us_per_tick: float = 3.9  # being fetched from, and taking the assets
    broker_us_per_chunk: float = 1_200.9
    broker_us_per_sent_250: float = 5.7  # taking ticks, in batches of 42
    broker_us_per_sent_20000: float = 1.5  # the same, in batches of 2,500
    client_us_per_sent_250: float = 12.1  # packing and sending them
    client_us_per_sent_20000: float = 5.6
    topic_bytes_per_tick_16: float = 215.8  # in the log, zstd, in batches of 2.7
    topic_bytes_per_tick_250: float = 91.0
    asset_topic_bytes_per_tick: float = 81.1
    wal_record_bytes_per_tick: float = 1_666.2  # without images of whole pages
    wal_raw_bytes_per_tick: float = 745.2  # of those, what the raw table and its two indexes write
    raw_coingecko_heap_bytes_per_row: float = 542.1
    raw_coingecko_index_bytes_per_row: float = 63.4
    quotes_heap_bytes_per_row: float = 429.1
    quotes_index_bytes_per_row: float = 102.9
    assets_heap_bytes_per_row: float = 786.0
    assets_index_bytes_per_row: float = 40.4
    producer_us_per_listing: float = 53.5
    producers_broker_us_per_listing: float = 54.7
    producer_ms_per_page: float = 30.2  # 250 rows in two transactions, one page after another
    cursor_bytes_per_polled: float = 27.5
    commit_ms: float = 0.1
    acknowledged_ms: float = 0.5
    ticks_per_second_large: float = 16_336.2  # of a backlog, by one replica, everything on these 2 cores
    ticks_per_second_small: float = 10_654.3
    tick_id_index_bytes_per_row: float = 40.6
    image_bytes_per_tick_at_a_tenth: float = 5_800.6  # of new ticks, as many as a tenth of the index's pages, after a checkpoint
    # python -m benchmarks --part answers: 5,428 requests/s of GET /data/{asset_uid} on both cores, the client included
    request_ms: float = 0.37
    # python -m benchmarks --part freshness, the line of 5,000 a second
    stream_p50_ms: float = 76.0
    stream_p99_ms: float = 190.0
    lone_p50_ms: float = 27.0
    # Assumed, not measured: what a disk of the kind that databases get takes in sequential writes.
    wal_bytes_per_second: float = 500e6
    # Written in the code: libs/postgres/writing/retention.py, 2,000 rows in some 50 ms, and services/normalizer/retention.py
    retention_rows_per_second: float = 2_000 / (0.05 + 0.1)

    def us(self, who: str, ticks: int) -> float:
        """Return what `main`, `threads`, `postgres` or `broker` work for a chunk of so many ticks."""
        match who:
            case "main":
                return self.main_us_per_chunk + ticks * self.main_us_per_tick
            case "threads":
                return self.threads_us_per_chunk + ticks * self.threads_us_per_tick
            case "postgres":
                return self.postgres_us_per_chunk + ticks * self.postgres_us_per_tick
            case _:
                return self.broker_us_per_chunk + ticks * self.broker_us_per_tick

    def broker_us_sent(self, records_a_batch: float) -> float:
        """Return what the broker works to take a tick in batches of so many."""
        return _by_batch(self.broker_us_per_sent_250, self.broker_us_per_sent_20000, records_a_batch)

    def sending_us(self, records_a_batch: float) -> float:
        """The same with what the client works."""
        return self.broker_us_sent(records_a_batch) + _by_batch(
            self.client_us_per_sent_250, self.client_us_per_sent_20000, records_a_batch
        )

    def topic_bytes(self, records_a_batch: float) -> float:
        """Return the bytes of a record in batches of so many: what compresses well, and a head of its own for each batch."""
        few, many = BATCHES[16], BATCHES[250]
        return _fitted((few, self.topic_bytes_per_tick_16), (many, self.topic_bytes_per_tick_250), records_a_batch)

    @classmethod
    def read(cls, printed: str) -> Self:
        """Take what `--part constants` has printed in the place of what stands here."""
        names = {field.name for field in fields(cls)}
        cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in printed.splitlines() if line.startswith("|")]
        found = {name: float(value.replace(",", "")) for name, value in cells if name in names}
        if not found:
            raise ValueError("no constants in there; it should be what `python -m benchmarks --part constants` prints")
        return replace(cls(), **found)


BATCHES: Final = {16: 16 / 6, 250: 250 / 6, 20_000: 2_500.0}
"""Records a batch and partition when so many are published together to 6 partitions; 256 KiB hold some 2,500 at most."""


def _by_batch(in_small: float, in_large: float, records_a_batch: float) -> float:
    return _fitted((BATCHES[250], in_small), (BATCHES[20_000], in_large), records_a_batch)


def _fitted(small: tuple[float, float], large: tuple[float, float], records: float) -> float:
    """Put cost = each + batch / records through two measured points, and return the cost at another."""
    batch = (small[1] - large[1]) / (1 / small[0] - 1 / large[0])
    return large[1] + batch * (1 / max(1.0, records) - 1 / large[0])
