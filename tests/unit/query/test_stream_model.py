"""The stream against a model: whatever breaks off where, a client that comes again ends with what there is, and never goes back.

Kafka is played by lists: a partition is a list of records, and each process reads the partitions in an order of its own, perhaps
after compaction. A client takes some, breaks off in the middle of what it was sent, and comes again, here or to another process.
"""

import json
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.kafka.tailing import TopicRecord
from services.query.live.change_log import ChangeLog, ReadAnewError
from services.query.live.changes import Change
from services.query.live.positions import Position, decode_position
from services.query.live.reading import Held, Reader
from services.query.live.wanted import UNRANKED, Wanted

PARTITIONS = 3
UIDS = [f"a{number}" for number in range(8)]
SOURCES = ("coingecko", "csv")
WANTED = (
    Wanted(),
    Wanted(uids=frozenset(UIDS[:3])),
    Wanted(top=4),
    Wanted(source="csv"),
    Wanted(source="coingecko", top=5),
    Wanted(uids=frozenset(UIDS[2:6]), top=3),
)


def partition_of(uid: str) -> int:
    return int(uid[1:]) % PARTITIONS


@dataclass
class Kafka:
    """The topic as it was written; what compaction has removed is None."""

    logs: list[list[TopicRecord | None]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    versions: int = 0
    now_ms: int = 1_700_000_000_000

    def publish(self, uid: str, source: str, rank: int | None, *, gone: bool) -> None:
        self.versions += 1
        self.now_ms += 10
        partition = self.logs[partition_of(uid)]
        value = None if gone else asset(uid, self.versions, source, rank)
        partition.append(TopicRecord("assets", partition_of(uid), len(partition), uid.encode(), value, (), self.now_ms))

    def compact(self, keep: int) -> None:
        """Leave the newest of each key, and the last few as they are; tombstones are kept, as they are for a day."""
        for log in self.logs:
            newest = {one.key: one.offset for one in log if one is not None}
            for offset, one in enumerate(log[: len(log) - keep]):
                if one is not None and newest[one.key] != offset:
                    log[offset] = None

    def truth(self) -> dict[str, tuple[int, str, int] | None]:
        """Each asset's version, source and rank; None: it is gone."""
        return {one.key.decode(): described(one.value) for log in self.logs for one in log if one is not None and one.key}


def asset(uid: str, version: int, source: str, rank: int | None) -> bytes:
    taken = {"source": source, "source_id": uid}
    return json.dumps({"asset_uid": uid, "version": version, "taken": taken, "market_cap_rank": rank}).encode()


def described(value: bytes | None) -> tuple[int, str, int] | None:
    if value is None:
        return None
    told = json.loads(value)
    rank = told["market_cap_rank"]
    return told["version"], told["taken"]["source"], UNRANKED if rank is None else rank


@dataclass
class Process:
    """A query service: its log, and how far it has read each partition."""

    log: ChangeLog = field(default_factory=lambda: ChangeLog(PARTITIONS, prompt=6, most_history=4))
    read: list[int] = field(default_factory=lambda: [0] * PARTITIONS)

    def read_on(self, kafka: Kafka, partition: int, most: int) -> None:
        for one in kafka.logs[partition][self.read[partition] :][:most]:
            self.read[partition] += 1
            if one is not None:
                self.log.append(one)


@dataclass
class Client:
    """What a client holds, by what it was told, and the newest version that it ever saw of each asset."""

    wanted: Wanted
    reader: Reader
    process: Process
    last_id: str
    held: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def take(self, at_most: int, breaks_off_after: int | None) -> None:
        batch = self.reader.take(at_most)
        told = batch.told if breaks_off_after is None else batch.told[:breaks_off_after]
        for change, fits in told:
            self.hear(change, fits=fits)
        assert batch.skipped == 0 or len(self.process.log.changes) > self.process.log.prompt

    def hear(self, change: Change, *, fits: bool) -> None:
        self.last_id = change.position.decode()
        assert self.wanted.uids is None or change.uid in self.wanted.uids
        if not fits:
            assert change.as_removed().startswith(b"id: " + change.position + b"\nevent: removed\n")
            self.held.pop(change.uid, None)
            return
        told = described(change.data)
        assert told is not None
        assert self.wanted.fits(*told[1:])
        assert told[0] >= self.seen.get(change.uid, 0), f"{change.uid} went back to version {told[0]}"
        self.seen[change.uid] = told[0]
        self.held[change.uid] = told

    def come_again(self, process: Process, now_ms: int) -> None:
        """Resume as hub.AssetStream.reader does for a position that it can answer."""
        position: Position = decode_position(self.last_id)
        self.process = process
        if not any(position.offsets):
            self.held.clear()
            self.reader = Reader(process.log, self.wanted, 0)
            return
        place = process.log.place_of(position, now_ms)
        assert place is not None, "nothing was made anew, and nothing is old"
        held = Held.AS_TOLD if process.log.knows_all_since(position) else Held.ANYTHING
        self.reader = Reader(process.log, self.wanted, place, held, position)


class StreamMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.kafka = Kafka()
        self.processes = [Process(), Process()]
        for process in self.processes:
            process.log.note_caught_up()
        self.clients: list[Client] = []

    @initialize(first=st.lists(st.tuples(st.sampled_from(UIDS), st.sampled_from(SOURCES), st.integers(1, 9)), max_size=12))
    def begin(self, first: list[tuple[str, str, int]]) -> None:
        for uid, source, rank in first:
            self.kafka.publish(uid, source, rank, gone=False)

    @rule(
        uid=st.sampled_from(UIDS),
        source=st.sampled_from(SOURCES),
        rank=st.none() | st.integers(1, 9),
        gone=st.sampled_from([False, False, False, True]),
        times=st.integers(1, 4),
    )
    def publish(self, uid: str, source: str, rank: int | None, times: int, *, gone: bool) -> None:
        for _ in range(times):
            self.kafka.publish(uid, source, rank, gone=gone)

    @rule(process=st.integers(0, 1), partition=st.integers(0, PARTITIONS - 1), most=st.integers(1, 8))
    def read(self, process: int, partition: int, most: int) -> None:
        try:
            self.processes[process].read_on(self.kafka, partition, most)
        except ReadAnewError:
            self.read_anew(process)

    def read_anew(self, process: int) -> None:
        """As hub does: compaction was ahead of it, and its clients are told to forget what they hold."""
        old, new = self.reread(process)
        for client in self.clients:
            if client.process is old:
                client.process, client.reader = new, Reader(new.log, client.wanted, 0)
                client.held.clear()
                client.last_id = new.log.beginning.decode()  # the id of `reset`

    @rule(keep=st.integers(0, 3))
    def compact(self, keep: int) -> None:
        self.kafka.compact(keep)

    @rule(process=st.integers(0, 1))
    def restart(self, process: int) -> None:
        """It reads all there is, and only then lets anybody in."""
        old, new = self.reread(process)
        for client in self.clients:
            if client.process is old:
                client.come_again(new, self.kafka.now_ms)

    def reread(self, process: int) -> tuple[Process, Process]:
        """Put one that has read all there is, in the order of its times as hub does, in the place of another."""
        there = sorted((one for log in self.kafka.logs for one in log if one is not None), key=lambda one: one.timestamp_ms)
        new = Process(read=[len(log) for log in self.kafka.logs])
        for one in there:
            new.log.append(one)
        new.log.note_caught_up()
        old, self.processes[process] = self.processes[process], new
        return old, new

    @rule(process=st.integers(0, 1), wanted=st.sampled_from(WANTED))
    def arrive(self, process: int, wanted: Wanted) -> None:
        if len(self.clients) < 4:
            at = self.processes[process]
            self.clients.append(Client(wanted, Reader(at.log, wanted, 0), at, at.log.beginning.decode()))

    @rule(which=st.integers(0, 3), at_most=st.sampled_from([1, 150, 600, 100_000]))
    def take(self, which: int, at_most: int) -> None:
        if which < len(self.clients):
            self.clients[which].take(at_most, None)

    @rule(which=st.integers(0, 3), at_most=st.sampled_from([1, 600, 100_000]), heard=st.integers(0, 5), process=st.integers(0, 1))
    def break_off_and_come_again(self, which: int, at_most: int, heard: int, process: int) -> None:
        if which < len(self.clients):
            client = self.clients[which]
            client.take(at_most, heard)
            client.come_again(self.processes[process], self.kafka.now_ms)

    @invariant()
    def the_log_is_bounded(self) -> None:
        for process in self.processes:
            log = process.log
            assert len(log.changes) <= len(UIDS) + log.prompt + max(log.most_history, len(UIDS)) + 1

    def teardown(self) -> None:
        """All is read and told: every client holds what there is of what it wants, and nothing else."""
        for process in range(len(self.processes)):
            for partition in range(PARTITIONS):
                self.read(process, partition, len(self.kafka.logs[partition]))
        truth = self.kafka.truth()
        for client in self.clients:
            for _ in range(1_000):
                client.take(300, None)
                if client.reader.place >= client.process.log.end:
                    break
            wanted = client.wanted
            expected = {
                uid: state
                for uid, state in truth.items()
                if state is not None and (wanted.uids is None or uid in wanted.uids) and wanted.fits(*state[1:])
            }
            assert client.held == expected


TestStream = StreamMachine.TestCase
TestStream.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_who_was_ahead_of_a_process_does_not_go_back_when_it_breaks_off_there() -> None:
    """Found by the model: the id of what the second process told took back what the first had told."""
    kafka, first, second = Kafka(), Process(), Process()
    for process in (first, second):
        process.log.note_caught_up()
    kafka.publish("a0", "csv", 1, gone=False)
    second.read_on(kafka, 0, 1)
    kafka.publish("a2", "csv", 1, gone=False)
    kafka.publish("a2", "csv", 1, gone=False)
    first.read_on(kafka, 2, 2)
    client = Client(Wanted(), Reader(first.log, Wanted(), 0), first, first.log.beginning.decode())
    client.take(600, None)
    client.come_again(second, kafka.now_ms)
    client.take(1, 1)
    assert client.held.keys() == {"a0", "a2"}
    client.come_again(second, kafka.now_ms)
    second.read_on(kafka, 2, 2)
    client.take(600, None)
    assert client.held == {"a0": (1, "csv", 1), "a2": (3, "csv", 1)}
    assert decode_position(client.last_id).offsets == (1, 0, 2)
