"""What an error of the Kafka client means: an outage is waited out, everything else is a bug or a refusal."""

import asyncio

from aiokafka import errors


class KafkaUnreachableError(Exception):
    """The broker did not answer in time. Nothing is lost: whatever was not acknowledged is sent again by its owner."""


class WedgedProducerError(Exception):
    """This producer client can do nothing more (fenced, or its sequence is broken); its owner must open another."""


WEDGED: tuple[type[BaseException], ...] = (
    errors.ProducerFenced,
    errors.InvalidProducerEpoch,
    errors.OutOfOrderSequenceNumber,
    errors.UnknownProducerId,
    errors.InvalidTxnState,
    errors.InvalidProducerIdMapping,
)


def is_outage(error: BaseException) -> bool:
    """Whether waiting can help."""
    if isinstance(error, (KafkaUnreachableError, OSError, asyncio.TimeoutError)):
        return True
    return isinstance(error, errors.KafkaError) and bool(getattr(error, "retriable", False)) and not isinstance(error, WEDGED)
