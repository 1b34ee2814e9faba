"""What an error of the Kafka client means: an outage is waited out, everything else is a bug or a refusal."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors


class KafkaUnreachableError(Exception):
    """The broker did not answer in time. Nothing is lost: whatever was not acknowledged is sent again by its owner."""


class WedgedProducerError(Exception):
    """This producer client can do nothing more (fenced, or its sequence is broken); its owner must open another."""


class FencedProducerError(WedgedProducerError):
    """Another client has opened the same transactional id: somebody else may own the work now."""


class RecordsRefusedError(Exception):
    """The broker will never take a record as it is: it is too large, or its time is out of range. Nothing of it was written."""


FENCED: tuple[type[BaseException], ...] = (errors.ProducerFenced, errors.InvalidProducerEpoch)

WEDGED: tuple[type[BaseException], ...] = (
    *FENCED,
    errors.OutOfOrderSequenceNumber,
    errors.UnknownProducerId,
    errors.InvalidTxnState,
    errors.InvalidProducerIdMapping,
    errors.ProducerClosed,
)

REFUSED: tuple[type[BaseException], ...] = (
    errors.MessageSizeTooLargeError,
    errors.RecordListTooLargeError,
    errors.InvalidTimestampError,
)

_ADDRESS = re.compile(r"\('([^']+)', (\d+), <AddressFamily[^>]*>\)")

_OUTAGES_NOT_MARKED: tuple[type[BaseException], ...] = (errors.KafkaTimeoutError, errors.KafkaUnavailableError)
"""aiokafka calls these final, although they say no more than that nobody answered."""


def is_outage(error: BaseException) -> bool:
    """Whether waiting can help."""
    if isinstance(error, (KafkaUnreachableError, OSError, asyncio.TimeoutError, *_OUTAGES_NOT_MARKED)):
        return True
    return isinstance(error, errors.KafkaError) and bool(getattr(error, "retriable", False)) and not isinstance(error, WEDGED)


def is_wedged(error: BaseException) -> bool:
    """Whether the client is spent. A bare KafkaError is what a producer gives once its sending task has died."""
    return isinstance(error, (WedgedProducerError, *WEDGED)) or type(error) is errors.KafkaError


@contextmanager
def telling_outages() -> Iterator[None]:
    """Turn the client's errors into ours; a refusal or a bug leaves as it is."""
    try:
        yield
    except (KafkaUnreachableError, WedgedProducerError):
        raise
    except FENCED as error:
        raise FencedProducerError(str(error)) from error
    except Exception as error:
        if is_wedged(error):
            raise WedgedProducerError(_words(error)) from error
        if is_outage(error):
            raise KafkaUnreachableError(_words(error)) from error
        raise


def _words(error: Exception) -> str:
    """What a person is told: the client puts its objects into some messages and nothing into others."""
    if isinstance(error, (TimeoutError, errors.KafkaTimeoutError, errors.RequestTimedOutError)):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None:
        return error.strerror or "connection failed" if error.errno < 0 else os.strerror(error.errno)
    said = ", ".join(str(each) for each in error.args)
    if tried := _ADDRESS.findall(said):
        return (
            f"no broker answers at {', '.join(f'[{host}]:{port}' if ':' in host else f'{host}:{port}' for host, port in tried)}"
        )
    if isinstance(error, errors.KafkaConnectionError) and said:
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
