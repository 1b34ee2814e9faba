"""Kafka's users may do what libs/contracts/topics.py says that their service does, and no more."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from libs.contracts.topics import NORMALIZER_GROUP, SOURCE_TOPICS, TOPICS, Topic, producer_group
from tests.unit.kubernetes.rendering import WITH_OPTIONS, deployed_sources, of_kind

USERS: Mapping[str, Any] = {one["metadata"]["name"]: one for one in of_kind(WITH_OPTIONS, "KafkaUser")}
SERVICES = ("normalizer", "query", *(f"producer-{source}" for source in deployed_sources(WITH_OPTIONS)))
TO_COUNT_LAG = {"query": {topics.raw.name for topics in SOURCE_TOPICS.values()}}
"""What a service reads to tell how far another one is; the contracts name those that a topic is for."""


AGREED = {"etl.incidents", "kasparro-incidents"}
"""A topic and a group of the query service that this tree may not have yet."""


def rules(user: str, kind: str) -> Iterator[tuple[Any, set[str]]]:
    for rule in USERS[user]["spec"]["authorization"]["acls"]:
        if rule["resource"]["type"] == kind:
            yield rule["resource"], set(rule["operations"])


def covers(resource: Mapping[str, str], name: str) -> bool:
    wanted = resource["name"]
    return wanted == "*" or (name.startswith(wanted) if resource["patternType"] == "prefix" else name == wanted)


def topics_for(user: str, operation: str) -> set[str]:
    return {
        topic.name
        for topic in TOPICS
        for resource, may in rules(user, "topic")
        if operation in may and covers(resource, topic.name)
    }


def declared(service: str, parties: Mapping[Topic, tuple[str, ...]]) -> set[str]:
    names = {service, "producers"} if service.startswith("producer-") else {service}
    return {topic.name for topic, party in parties.items() if names & set(party)}


def test_each_service_has_a_user_of_its_own() -> None:
    assert USERS.keys() == {*SERVICES, "operator", "keda"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_writes_what_it_is_declared_to_write(service: str) -> None:
    assert topics_for(service, "Write") == declared(service, {topic: topic.writers for topic in TOPICS})


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_what_it_is_declared_to_read(service: str) -> None:
    wanted = declared(service, {topic: topic.readers for topic in TOPICS})
    assert topics_for(service, "Read") == wanted | TO_COUNT_LAG.get(service, set())


@pytest.mark.parametrize("user", USERS)
def test_a_rule_names_something_that_there_is(user: str) -> None:
    groups = {NORMALIZER_GROUP, "kasparro-dead-letters", *(producer_group(source) for source in deployed_sources(WITH_OPTIONS))}
    for resource, _ in rules(user, "topic"):
        assert resource["name"] in AGREED or any(covers(resource, topic.name) for topic in TOPICS), resource
    for resource, _ in rules(user, "group"):
        assert resource["name"] in AGREED or any(covers(resource, group) for group in groups), resource


def test_a_service_commits_offsets_of_its_own_group_alone() -> None:
    commits = {service: {resource["name"] for resource, may in rules(service, "group") if "Read" in may} for service in SERVICES}
    producers = {f"producer-{source}": {producer_group(source)} for source in deployed_sources(WITH_OPTIONS)}
    assert commits == {"normalizer": {NORMALIZER_GROUP}, "query": {"kasparro-incidents"}, **producers}


def test_what_one_producer_may_the_others_may() -> None:
    """A real broker is asked about one of them (tests/integration/security/test_rights.py)."""
    one, *others = (
        str(list(USERS[f"producer-{source}"]["spec"]["authorization"]["acls"])).replace(source, "SOURCE")
        for source in deployed_sources(WITH_OPTIONS)
    )
    assert others == [one] * len(others)


def test_keda_sees_and_reads_nothing() -> None:
    assert {operation for rule in USERS["keda"]["spec"]["authorization"]["acls"] for operation in rule["operations"]} == {
        "Describe"
    }
