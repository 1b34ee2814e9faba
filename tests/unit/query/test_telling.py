"""What an outage of Kafka is called in an answer: words, not the client's objects."""

import pytest
from aiokafka import errors

from libs.kafka.errors import KafkaUnreachableError, WedgedProducerError, telling_outages

BOOTSTRAP = (
    "Unable to bootstrap from [('127.0.0.1', 39192, <AddressFamily.AF_INET: 2>), ('::1', 9, <AddressFamily.AF_INET6: 10>)]"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.KafkaConnectionError(BOOTSTRAP), "no broker answers at 127.0.0.1:39192, [::1]:9"),
        (errors.KafkaConnectionError("Connection at 127.0.0.1:9 closed"), "Connection at 127.0.0.1:9 closed"),
        (TimeoutError(), "no answer in time"),
        (errors.KafkaTimeoutError(), "no answer in time"),
        (errors.RequestTimedOutError(), "no answer in time"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"), "Connection refused"),
        (errors.GroupCoordinatorNotAvailableError(), "GroupCoordinatorNotAvailableError"),
    ],
)
def test_an_outage_is_told_in_words(error: Exception, words: str) -> None:
    with pytest.raises(KafkaUnreachableError) as told, telling_outages():
        raise error
    assert str(told.value) == words
    assert told.value.__cause__ is error


def test_a_spent_client_is_told_in_words() -> None:
    with pytest.raises(WedgedProducerError) as told, telling_outages():
        raise errors.OutOfOrderSequenceNumber("sequence 7")
    assert str(told.value) == "OutOfOrderSequenceNumber: sequence 7"
