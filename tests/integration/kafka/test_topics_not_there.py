"""A broker that creates whatever topic it is asked for is not made to: such a topic would not be as declared."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from libs.devstack import broker as devstack
from libs.devstack.broker import Jars, start_broker
from libs.devstack.children import Nursery
from libs.kafka.connection import KafkaConnection
from libs.kafka.end_probe import open_end_probe
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.groups import OwnedPartition, work_in_group
from libs.kafka.publishing import open_publisher
from libs.kafka.records import Record
from libs.kafka.tailing import Start, open_tail


async def never_given(owned: OwnedPartition) -> None:
    raise AssertionError(owned)


async def test_nobody_creates_a_topic_by_asking_for_it(
    nursery: Nursery, kafka_jars: Jars, session_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = devstack._write_properties

    def creating(*args: object, **named: object) -> Path:
        path = written(*args, **named)  # type: ignore[arg-type] # passed on as they come
        path.write_text(path.read_text().replace("auto.create.topics.enable=false", "auto.create.topics.enable=true"))
        return path

    monkeypatch.setattr(devstack, "_write_properties", creating)
    broker = await start_broker(nursery, kafka_jars, session_folder / "creating-kafka")
    connection = KafkaConnection(broker.bootstrap_servers, "tests", request_timeout_ms=1_500)
    try:
        async with open_tail(connection, "tailed", start=Start.END) as tail, open_end_probe(connection) as probe:
            assert await tail.read() == []
            with pytest.raises(KafkaUnreachableError):
                await probe.ends("probed")
        async with open_publisher(connection) as publisher:
            with pytest.raises(KafkaUnreachableError):
                await publisher.publish([Record("published", b"key", b"value")])
        working = asyncio.create_task(work_in_group(connection, group="group", topic="worked", work=never_given))
        done, _ = await asyncio.wait([working], timeout=2)
        assert not done
        working.cancel()
        await asyncio.wait([working])
        admin = AIOKafkaAdminClient(**connection.options())
        await admin.start()
        assert await admin.list_topics() == []
        await admin.close()
    finally:
        broker.child.reap()
