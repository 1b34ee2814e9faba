"""docker-compose.yml and deploy/compose.sandbox.yml are held to the code and to deploy/Dockerfile, without an engine."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from libs.process.kafka_settings import KafkaSecuritySettings
from libs.process.settings import WebhookSettings
from services.sandbox.app import create_app
from services.sandbox.settings import SandboxProviderSettings
from tests.unit.deploy.dockerfile import images
from tests.unit.deploy.test_images import MODULE_OF
from tests.unit.test_settings_documented import variables_of

IMAGES = images()
PROJECT: Mapping[str, Any] = yaml.safe_load(Path("docker-compose.yml").read_text(encoding="utf-8"))
SANDBOX: Mapping[str, Any] = yaml.safe_load(Path("deploy/compose.sandbox.yml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, Any] = {**PROJECT["services"], "sandbox": SANDBOX["services"]["sandbox"]}
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ONE_SHOT = {"migrate", "topics"}
SETTINGS_OF = {"operator": "AddressSettings"}
READ_ELSEWHERE = {"operator": set(variables_of(WebhookSettings))}
"""By one command only: `kasparro alerts test`."""
NOT_OF_A_CONTAINER = {"KASPARRO_STATE"}
"""Folders of a clone."""

each_of_ours = pytest.mark.parametrize("name", sorted(OURS))
each_file = pytest.mark.parametrize("project", [PROJECT, SANDBOX], ids=["docker-compose.yml", "compose.sandbox.yml"])


def image_of(name: str) -> str:
    return str(OURS[name]["build"]["target"])


def settings_of(image: str) -> type[BaseSettings]:
    module = import_module(f"{MODULE_OF[image]}.settings")
    types = [thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, BaseSettings)]
    own = [each for each in types if each.__module__ == module.__name__]
    (wanted,) = [each for each in own if each.__name__ == SETTINGS_OF.get(image, each.__name__)]
    return wanted


def test_every_image_is_started_and_is_called_like_its_target() -> None:
    assert {image_of(name) for name in OURS} == set(IMAGES)
    for name, service in OURS.items():
        assert service["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile", "target": image_of(name)}
        assert service["image"] == f"kasparro/{image_of(name)}:${{KASPARRO_VERSION:-dev}}"


@pytest.mark.parametrize("name", sorted(set(OURS) - ONE_SHOT))
def test_a_service_can_be_told_everything_that_it_reads(name: str) -> None:
    """The broker and the database are the project's own, and its broker asks for no credentials."""
    image = image_of(name)
    elsewhere = set(IMAGES[image].environment) | set(variables_of(KafkaSecuritySettings)) | NOT_OF_A_CONTAINER
    read = set(variables_of(settings_of(image))) | READ_ELSEWHERE.get(image, set())
    assert set(OURS[name]["environment"]) == read - elsewhere


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_a_job_ends_and_is_told_where_it_works(name: str) -> None:
    job = OURS[name]
    assert (image_of(name), job["command"], job["restart"]) == ("operator", [name], "no")
    assert set(job["environment"]) <= set(variables_of(settings_of("operator")))


@each_of_ours
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    if name in ONE_SHOT | {"operator", "sandbox"}:
        return
    service = OURS[name]
    needed = {"topics"} | ({"migrate"} if "DATABASE_URL" in service["environment"] else set())
    assert service["depends_on"] == {job: {"condition": "service_completed_successfully"} for job in needed}


def test_jobs_wait_for_their_servers_which_say_when_they_are_ready() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert all("healthcheck" in SERVICES[server] for server in ("kafka", "postgres"))


@each_of_ours
def test_a_container_of_ours_may_do_nothing_that_it_needs_not(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "cap_add", "network_mode"} & set(service)
    assert all(mount.endswith(":ro") for mount in service.get("volumes", ()))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nothing_is_published_beyond_this_machine(name: str) -> None:
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@each_of_ours
def test_a_service_can_be_started_more_than_once(name: str) -> None:
    """A fixed name or port of the host is for one container: only who answers on this machine has one."""
    assert "container_name" not in OURS[name]
    assert ("ports" in OURS[name]) == (name in {"query", "sandbox"})


@each_of_ours
def test_a_port_of_the_host_leads_to_one_that_the_service_listens_on(name: str) -> None:
    inside = {str(port).rpartition(":")[2] for port in OURS[name].get("ports", ())}
    assert inside <= set(IMAGES[image_of(name)].of("EXPOSE"))


@each_of_ours
def test_the_order_of_start_asks_whether_a_service_is_ready(name: str) -> None:
    check = OURS[name].get("healthcheck")
    of_image = IMAGES[image_of(name)].health_check
    if check is None:
        assert of_image is None or name == "sandbox"
        return
    assert of_image is not None
    assert check["test"] == ["CMD", *of_image[:-1], "/ready"]


def test_nothing_optional_starts_by_itself() -> None:
    optional = {name: service["profiles"] for name, service in PROJECT["services"].items() if "profiles" in service}
    assert optional == {
        "operator": ["operator"],
        "producer-binance": ["binance"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
        "kafka-ui": ["kafka-ui"],
    }


def test_made_up_data_have_volumes_of_their_own() -> None:
    assert SANDBOX["name"] != PROJECT["name"]
    assert SANDBOX["services"]["query"]["environment"]["KASPARRO_SANDBOX_DATA"] == "true"


def test_the_sandbox_is_asked_where_it_answers() -> None:
    port = IMAGES["sandbox"].environment["PORT"]
    served = {str(getattr(route.resource, "canonical", "")) for route in create_app(_market()).router.routes()}
    producers = {name: each["environment"] for name, each in SANDBOX["services"].items() if name.startswith("producer-")}
    urls = [url for environment in producers.values() for url in environment.values()]
    assert urls
    for url in urls:
        prefix = url.removeprefix(f"http://sandbox:{port}")
        assert prefix != url
        assert any(path.startswith(prefix + "/") for path in served), (prefix, served)


def _market() -> Any:
    from services.sandbox.market.market import Market

    return Market(SandboxProviderSettings.model_fields["sandbox_seed"].default, coingecko_listings=1, coinpaprika_listings=1)


@each_file
def test_what_a_file_reads_of_the_environment_has_a_default(project: Mapping[str, Any]) -> None:
    read = re.findall(r"\$\{(\w+)([^}]*)\}", yaml.safe_dump(project))
    assert read
    assert [name for name, rest in read if not rest.startswith(":-")] == []
