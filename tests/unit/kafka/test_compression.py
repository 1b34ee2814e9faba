"""aiokafka has no setting for the level: whoever packs a batch of ours must be found to have taken it all the same."""

from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.codec import zstd_encode

from libs.kafka.compression import COMPRESSION, LEVEL, compress_quickly

LEVEL_BY_DEFAULT = 3
HEADER_BYTES = 61


def packed(producer: AIOKafkaProducer) -> bytes:
    """What the client would send of some records, without what stands before them."""
    chance = Random(1)
    batch = producer.create_batch()
    for number in range(500):
        batch.append(timestamp=1, key=b"key %d" % number, value=b'{"price":%.8f}' % chance.random())
    return bytes(batch._build())[HEADER_BYTES:]


async def test_a_producer_packs_at_our_level() -> None:
    compress_quickly()
    plain = packed(AIOKafkaProducer())
    ours = packed(AIOKafkaProducer(compression_type=COMPRESSION))
    assert ours == zstd_encode(plain, level=LEVEL)
    assert ours != zstd_encode(plain, level=LEVEL_BY_DEFAULT)
