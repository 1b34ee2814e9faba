"""What scales is asked about the topics and groups of the code, and never beyond what those allow."""

from collections.abc import Mapping
from typing import Any

import pytest

from libs.contracts.topics import ASSETS_NORMALIZED, NORMALIZER_GROUP, SOURCE_TOPICS, producer_group
from services.normalizer.wiring import CONNECTIONS
from services.query.settings import QuerySettings
from tests.unit.kubernetes.rendering import WITH_OPTIONS, Manifest, deployed_sources, environment_of, of_kind

OVERLAY = WITH_OPTIONS
DEPLOYED = {source: SOURCE_TOPICS[source] for source in deployed_sources(OVERLAY)}
SCALED = {one["metadata"]["name"]: one for one in of_kind(OVERLAY, "ScaledObject")}
KAFKA_SCALER = {
    "activationLagThreshold", "allowIdleConsumers", "bootstrapServersFromEnv", "consumerGroup", "excludePersistentLag",
    "lagThreshold", "limitToPartitionsWithLag", "offsetResetPolicy", "sasl", "tls", "topic", "version",
}  # fmt: skip
"""Of pkg/scalers/kafka_scaler.go of KEDA 2.21: a trigger's metadata have no schema, and what is misspelt there is passed over."""
POSTGRES_KEEPS_BACK = 20
"""Connections for CloudNativePG's own, an operator's psql and the migrations."""


def metadata_of(name: str) -> Mapping[str, Any]:
    (trigger,) = SCALED[name]["spec"]["triggers"]
    assert (trigger["type"], trigger["authenticationRef"]) == ("kafka", {"name": "kafka"})
    return {"topic": None, **trigger["metadata"]}


def test_the_normalizer_and_every_producer_are_scaled_by_lag() -> None:
    assert SCALED.keys() == {"normalizer", *(f"producer-{source}" for source in DEPLOYED)}
    deployments = {one["metadata"]["name"]: one for one in of_kind(OVERLAY, "Deployment")}
    for name, scaled in SCALED.items():
        assert scaled["spec"]["scaleTargetRef"] == {"name": name}
        assert metadata_of(name)["bootstrapServersFromEnv"] in environment_of(OVERLAY, deployments[name])


@pytest.mark.parametrize("name", SCALED)
def test_trigger_has_no_word_that_keda_does_not_know(name: str) -> None:
    assert {word for word, value in metadata_of(name).items() if value is not None} <= KAFKA_SCALER


def test_group_and_topics_are_those_of_the_contracts() -> None:
    """The normalizer's trigger names no topic: KEDA then adds up the lag of all that the group has committed."""
    found = {name: (metadata_of(name)["consumerGroup"], metadata_of(name)["topic"]) for name in SCALED}
    assert found == {
        "normalizer": (NORMALIZER_GROUP, None),
        **{f"producer-{source}": (producer_group(source), topics.commands.name) for source, topics in DEPLOYED.items()},
    }


def test_no_more_replicas_than_partitions_and_never_none() -> None:
    partitions = {"normalizer": min(ASSETS_NORMALIZED.partitions, *(one.raw.partitions for one in SOURCE_TOPICS.values()))}
    partitions |= {f"producer-{source}": topics.commands.partitions for source, topics in DEPLOYED.items()}
    for name, scaled in SCALED.items():
        assert 1 <= scaled["spec"]["minReplicaCount"] <= scaled["spec"]["maxReplicaCount"] <= partitions[name]


def test_what_transactions_leave_behind_scales_nothing() -> None:
    """Committed offsets stay one behind for each partition whose last record is a marker, and KEDA counts to the log's end."""
    for source, topics in DEPLOYED.items():
        assert int(metadata_of(f"producer-{source}")["lagThreshold"]) > topics.commands.partitions
    assert int(metadata_of("normalizer")["lagThreshold"]) > 1_000


def test_persistent_lag_is_told_by_the_polls_alone() -> None:
    """Without the cache each question of the HPA is a cycle too, and an offset that moved before it did not move since."""
    for name, scaled in SCALED.items():
        excludes = metadata_of(name)["excludePersistentLag"] == "true"
        assert not excludes or scaled["spec"]["triggers"][0]["useCachedMetrics"] is True


def test_whoever_is_scaled_has_no_number_of_replicas() -> None:
    """An apply would put it back."""
    scaled = SCALED.keys() | {one["spec"]["scaleTargetRef"]["name"] for one in of_kind(OVERLAY, "HorizontalPodAutoscaler")}
    for one in of_kind(OVERLAY, "Deployment"):
        assert one["metadata"]["name"] in scaled
        assert "replicas" not in one["spec"]


def test_postgres_has_a_connection_for_each_at_the_ceiling() -> None:
    """During a rollout of all of them too: each Deployment has one more then."""
    (cluster,) = of_kind(OVERLAY, "Cluster")
    (query,) = of_kind(OVERLAY, "HorizontalPodAutoscaler")
    normalizers, apis = SCALED["normalizer"]["spec"]["maxReplicaCount"] + 1, query["spec"]["maxReplicas"] + 1
    of_api = QuerySettings.model_fields["query_connections"].default
    allowed = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
    assert normalizers * CONNECTIONS + apis * of_api + POSTGRES_KEEPS_BACK <= allowed


def test_kafka_keeps_what_it_has_acknowledged() -> None:
    (kafka,) = of_kind(OVERLAY, "Kafka")
    settings: Manifest = kafka["spec"]["kafka"]["config"]
    brokers = sum(pool["spec"]["replicas"] for pool in of_kind(OVERLAY, "KafkaNodePool") if "broker" in pool["spec"]["roles"])
    for copies in ("default.replication.factor", "offsets.topic.replication.factor", "transaction.state.log.replication.factor"):
        assert settings[copies] == brokers == 3
    assert settings["min.insync.replicas"] == settings["transaction.state.log.min.isr"] == 2
    assert settings["auto.create.topics.enable"] is False
    assert kafka["spec"]["kafka"]["version"].startswith("4.2.")  # KAFKA-20734
