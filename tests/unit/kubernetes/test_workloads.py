"""Every pod is locked down, probed, bounded and found by what selects it; it gets the settings that its service has."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
import typer
from pydantic_settings import BaseSettings

from services.cli.__main__ import app as kasparro
from tests.unit.kubernetes.rendering import (
    OVERLAYS,
    SOURCES,
    WITH_OPTIONS,
    Manifest,
    container_of,
    deployed_sources,
    environment_of,
    named,
    of_kind,
)
from tests.unit.test_settings_documented import settings_classes, variables_of

AGREED = {"PRODUCER_HEALTH_HOST", "PRODUCER_HEALTH_PORT"}
"""Settings of the producers that this tree may not have yet; nothing else may be named that the code does not read."""
COMPOSED = {"POSTGRES_PASSWORD"}
"""Read by nobody but the DATABASE_URL beside it."""
SECRETS = {
    "DATABASE_URL": "postgresql://kasparro:secret@postgres:5432/kasparro",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.test/services/secret",
}
"""What a Secret would hold; "secret" elsewhere."""
OURS = "kasparro/"


def workloads(*kinds: str) -> list[Any]:
    """Return the workloads of each overlay that run our images."""
    return [
        pytest.param(overlay, one, id=f"{overlay}-{named(one)}")
        for overlay in OVERLAYS
        for one in of_kind(overlay, *(kinds or ("Deployment", "Job")))
        if container_of(one)["image"].startswith(OURS)
    ]


def settings_of(workload: Manifest) -> type[BaseSettings]:
    """Return the class that the service in this workload reads."""
    service = workload["metadata"]["name"] if workload["kind"] == "Deployment" else "cli"
    module = importlib.import_module(f"services.{service.replace('producer-', 'producers.')}.settings")
    named_here = {one.__name__: one for one in settings_classes() if one.__module__ == module.__name__}
    return named_here["AddressSettings"] if service == "cli" else next(iter(named_here.values()))


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Judge a selector of labels alone."""
    wanted: Mapping[str, str] = selector["matchLabels"]
    return wanted.items() <= labels.items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_there_is_a_deployment_for_each_long_running_service(overlay: str) -> None:
    wanted = {"normalizer", "query", *(f"producer-{source}" for source in deployed_sources(overlay))} | (
        {"sandbox"} if overlay == "local" else set()
    )
    assert {one["metadata"]["name"] for one in of_kind(overlay, "Deployment")} == wanted


@pytest.mark.parametrize(("overlay", "workload"), workloads())
def test_pod_meets_the_restricted_standard(overlay: str, workload: Manifest) -> None:
    pod, container = workload["spec"]["template"]["spec"], container_of(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)


@pytest.mark.parametrize(("overlay", "workload"), workloads())
def test_pod_says_what_it_needs_and_what_it_may_take(overlay: str, workload: Manifest) -> None:
    resources = container_of(workload)["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert mebibytes(resources["requests"]["memory"]) < mebibytes(resources["limits"]["memory"])
    assert "cpu" not in resources["limits"]  # throttled, it would fall behind with cores idle


def mebibytes(text: str) -> int:
    return int(text.removesuffix("Mi"))


@pytest.mark.parametrize(("overlay", "workload"), workloads("Deployment"))
def test_deployment_is_probed_at_ports_that_the_service_listens_on(overlay: str, workload: Manifest) -> None:
    container, variables = container_of(workload), environment_of(overlay, workload)
    (port,) = container["ports"]
    assert str(port["containerPort"]) in {value for name, value in variables.items() if name.endswith("PORT")}
    assert {value for name, value in variables.items() if name.endswith("HOST")} == {"0.0.0.0"}
    for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")):
        asked = container[probe].get("httpGet") or {**container[probe]["tcpSocket"], "path": path}
        assert (asked["port"], asked["path"]) == (port["name"], path)


@pytest.mark.parametrize(("overlay", "workload"), workloads("Deployment"))
def test_deployment_has_a_budget_that_lets_a_node_drain(overlay: str, workload: Manifest) -> None:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    (budget,) = [one for one in of_kind(overlay, "PodDisruptionBudget") if matches(one["spec"]["selector"], labels)]
    assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_selector_finds_the_pods_of_its_own_workload_alone(overlay: str) -> None:
    pods = {
        named(one): one["spec"]["template"]["metadata"]["labels"] for one in of_kind(overlay, "Deployment", "StatefulSet", "Job")
    }
    for one in of_kind(overlay, "Deployment", "StatefulSet"):
        assert [name for name, labels in pods.items() if matches(one["spec"]["selector"], labels)] == [named(one)]
    for one in of_kind(overlay, "Service"):
        found = [name for name, labels in pods.items() if one["spec"]["selector"].items() <= labels.items()]
        assert [name.split("/")[1] for name in found] == [one["metadata"]["name"]]
    for one in of_kind(overlay, "PodDisruptionBudget"):
        assert [name for name, labels in pods.items() if matches(one["spec"]["selector"], labels)] == [
            f"Deployment/{one['metadata']['name']}"
        ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_service_leads_to_a_port_of_its_pods(overlay: str) -> None:
    ports = {one["metadata"]["name"]: container_of(one)["ports"] for one in of_kind(overlay, "Deployment", "StatefulSet")}
    for service in of_kind(overlay, "Service"):
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in {each["name"] for each in ports[service["metadata"]["name"]]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_image_has_a_tag(overlay: str) -> None:
    for one in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
        assert container_of(one)["image"].partition(":")[2] not in {"", "latest"}, named(one)


@pytest.mark.parametrize(("overlay", "workload"), workloads())
def test_variables_are_settings_of_the_service(overlay: str, workload: Manifest) -> None:
    of_service = set(variables_of(settings_of(workload)))
    of_any = {variable for one in settings_classes() for variable in variables_of(one)}
    own = {each["name"] for each in container_of(workload).get("env", ())}
    assert own - of_service - COMPOSED - AGREED == set()
    assert set(environment_of(overlay, workload)) - of_any - COMPOSED - AGREED == set()


@pytest.mark.parametrize(("overlay", "workload"), workloads())
def test_the_service_accepts_the_settings(
    overlay: str, workload: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values as Kubernetes would compose them, through the service's own class: files, URLs and numbers are checked there."""
    monkeypatch.chdir(tmp_path)  # no .env
    values = {
        name: SECRETS.get(name, "secret") if value is None else value for name, value in environment_of(overlay, workload).items()
    }
    for mount in container_of(workload).get("volumeMounts", ()):
        (volume,) = [one for one in workload["spec"]["template"]["spec"]["volumes"] if one["name"] == mount["name"]]
        for item in volume["secret"]["items"]:
            path = tmp_path / mount["mountPath"].strip("/") / item["path"]
            path.parent.mkdir(parents=True)
            trustme.CA().cert_pem.write_to_path(path)
    for name, value in values.items():
        monkeypatch.setenv(
            name, value.replace("/etc/kasparro", f"{tmp_path}/etc/kasparro").replace("$(POSTGRES_PASSWORD)", "secret")
        )
    settings_of(workload)()


@pytest.mark.parametrize(("overlay", "workload"), workloads())
def test_a_variable_is_composed_of_those_above_it(overlay: str, workload: Manifest) -> None:
    """Kubernetes leaves $(NAME) as it stands when NAME comes later."""
    above: list[str] = []
    for each in container_of(workload).get("env", ()):
        assert [name for name in COMPOSED if f"$({name})" in each.get("value", "") and name not in above] == []
        above.append(each["name"])


@pytest.mark.parametrize(("overlay", "workload"), workloads("Job"))
def test_a_job_calls_a_command_that_there_is(overlay: str, workload: Manifest) -> None:
    name, *arguments = container_of(workload)["args"]
    command = typer.main.get_command(kasparro).commands[name]  # type: ignore[attr-defined]  # a Group: it has commands
    with command.make_context(name, arguments, ignore_unknown_options=False) as context:
        wanted = "1" if overlay == "local" else "3"
        assert name != "topics" or str(context.params["replication_factor"]) == wanted


def test_no_secret_is_written_down() -> None:
    """But for the well-known password of the local Postgres, which is nobody's."""
    literals = [path.name for path in SOURCES.rglob("*.yaml") if "secretGenerator" in path.read_text()]
    (local,) = of_kind("local", "Secret")
    assert literals == ["kustomization.yaml"]
    assert (local["metadata"]["name"].startswith("database-"), list(of_kind("production", "Secret"))) == (True, [])


def secrets_named(workload: Manifest) -> Iterator[str]:
    """Yield the Secrets without which the pod does not start."""
    for each in container_of(workload).get("env", ()):
        reference = each.get("valueFrom", {}).get("secretKeyRef", {})
        if reference and not reference.get("optional"):
            yield reference["name"]
    yield from (each["secret"]["secretName"] for each in workload["spec"]["template"]["spec"].get("volumes", ()))


@pytest.mark.parametrize(("overlay", "workload"), workloads())
def test_a_pod_waits_for_no_secret_that_nobody_makes(overlay: str, workload: Manifest) -> None:
    made = {one["metadata"]["name"] for one in of_kind(overlay, "Secret")}
    made |= {"slack"} if overlay == WITH_OPTIONS else set()  # whoever adds the component makes it: docs/kubernetes.md
    for kafka in of_kind(overlay, "Kafka"):
        prefix = kafka["spec"]["entityOperator"]["userOperator"]["secretPrefix"]
        made |= {f"{prefix}{user['metadata']['name']}" for user in of_kind(overlay, "KafkaUser")}
        made.add(f"{kafka['metadata']['name']}-cluster-ca-cert")
    for cluster in of_kind(overlay, "Cluster"):
        made |= {f"{cluster['metadata']['name']}-app", f"{cluster['metadata']['name']}-ca"}
    assert set(secrets_named(workload)) <= made
