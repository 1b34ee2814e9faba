"""Who may connect to whom: every pair, and nothing but what stands here."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.unit.kubernetes.reachability import NAMESPACE_NAME, Party, may_connect
from tests.unit.kubernetes.rendering import OVERLAYS, WITH_OPTIONS, Manifest, container_of, deployed_sources, of_kind

OURS = {NAMESPACE_NAME: "kasparro"}
PORTS = (53, 80, 443, 5432, 6443, 8000, 8081, 8082, 8090, 8443, 9090, 9091, 9092, 9093)
POSTGRES_CLIENTS = {"normalizer", "query", "migrate"}
OUTSIDE = (
    Party("dns", {"k8s-app": "kube-dns"}, {NAMESPACE_NAME: "kube-system"}, {}),
    Party("ingress", {"app": "ingress"}, {NAMESPACE_NAME: "ingress", "kasparro.io/asks-query": "true"}, {}),
    Party("prometheus", {"app.kubernetes.io/name": "prometheus"}, {NAMESPACE_NAME: "monitoring"}, {}),
    Party("keda", {"app.kubernetes.io/name": "keda-operator"}, {NAMESPACE_NAME: "keda"}, {}),
    Party("cnpg", {"app.kubernetes.io/name": "cloudnative-pg"}, {NAMESPACE_NAME: "cnpg-system"}, {}),
    Party("strangers", {"app.kubernetes.io/name": "query"}, {NAMESPACE_NAME: "strangers"}, {}),
    Party("provider", {}, {}, {}, "104.18.1.1"),
    Party("machine", {}, {}, {}, "10.1.2.3"),
)


def pods(overlay: str) -> Iterator[Party]:
    """Yield the pods of the overlay's own workloads, and those that the operators make of the custom resources."""
    assert [one["metadata"]["name"] for one in of_kind(overlay, "Namespace")] == ["kasparro"]
    for one in of_kind(overlay, "Deployment", "Job", "StatefulSet"):
        ports = {each["name"]: each["containerPort"] for each in container_of(one).get("ports", ())}
        yield Party(one["metadata"]["name"], one["spec"]["template"]["metadata"]["labels"], OURS, ports)
    for kafka in of_kind(overlay, "Kafka"):
        name, template = kafka["metadata"]["name"], kafka["spec"]["kafka"]["template"]["pod"]["metadata"]["labels"]
        cluster = {"strimzi.io/cluster": name}
        yield Party("kafka", {**cluster, **template, "strimzi.io/name": f"{name}-kafka"}, OURS, {})
        yield Party("kafka-users", {**cluster, "strimzi.io/name": f"{name}-entity-operator"}, OURS, {})
    for database in of_kind(overlay, "Cluster"):
        labels = {"cnpg.io/cluster": database["metadata"]["name"], **database["spec"]["inheritedMetadata"]["labels"]}
        yield Party("postgres", labels, OURS, {})


def policies(overlay: str) -> Iterator[Manifest]:
    """Yield the overlay's policies, and those that Strimzi makes: who may come in to Kafka."""
    yield from of_kind(overlay, "NetworkPolicy")
    for kafka in of_kind(overlay, "Kafka"):
        cluster = {"matchLabels": {"strimzi.io/cluster": kafka["metadata"]["name"]}}
        among: list[dict[str, Any]] = [
            {"from": [{"podSelector": cluster}], "ports": [{"port": port} for port in (9090, 9091, 8443)]}
        ]
        clients = [
            {"from": each["networkPolicyPeers"], "ports": [{"port": each["port"]}]}
            for each in kafka["spec"]["kafka"]["listeners"]
        ]
        brokers = {"matchLabels": {"strimzi.io/name": f"{kafka['metadata']['name']}-kafka"}}
        yield {"spec": {"podSelector": brokers, "policyTypes": ["Ingress"], "ingress": among + clients}}


def connections(overlay: str) -> Iterator[tuple[str, str, int]]:
    """Yield who may reach whom at which port, but for pairs outside of our namespace."""
    parties, ours = [*pods(overlay), *OUTSIDE], list(policies(overlay))
    for source, target, port in product(parties, parties, PORTS):
        if OURS in (source.namespace, target.namespace) and may_connect(source, target, port, ours, OURS):
            yield source.name, target.name, port


def expected(overlay: str) -> Iterator[tuple[set[str], set[str], set[int]]]:
    """Yield who is meant to reach whom, and where."""
    everybody, local = {party.name for party in pods(overlay)}, overlay == "local"
    producers = {f"producer-{source}" for source in deployed_sources(overlay)}
    asking = producers - {"producer-csv"}
    yield everybody, {"dns"}, {53}
    yield {*producers, "normalizer", "query", "topics"}, {"kafka"}, {9092 if local else 9093}
    yield POSTGRES_CLIENTS, {"postgres"}, {5432}
    yield asking | ({"query"} if overlay == WITH_OPTIONS else set()), {"provider"}, {443}  # with the options it tells Slack
    yield {"ingress"}, {"query"}, {8000}
    if local:
        yield asking, {"sandbox"}, {8090}
        return
    yield {"kafka-users", "postgres"}, {party.name for party in OUTSIDE}, {443, 6443}  # Kubernetes' own API; backups
    yield {"kafka", "kafka-users"}, {"kafka"}, {9090, 9091, 8443}
    yield {"keda"}, {"kafka"}, {9093}
    yield {"postgres", "cnpg"}, {"postgres"}, {5432, 8000}
    yield {"prometheus"}, {"normalizer"}, {8081}
    yield {"prometheus"}, producers, {8082}
    yield {"prometheus"}, {"query"}, {8000}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_reaches_anybody_but_for_these(overlay: str) -> None:
    wanted = {
        (source, target, port)
        for sources, targets, ports in expected(overlay)
        for source, target, port in product(sources, targets, ports)
    }
    found = set(connections(overlay))
    assert (found - wanted, wanted - found) == (set(), set())
