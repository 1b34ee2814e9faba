"""deploy/Dockerfile is held to the code: an image for each service, with what it imports and nothing else."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import grimp
import pytest

from services.cli.parts import producers_found
from tests.unit.deploy.dockerfile import CONTEXT, Copied, Stage, images, stages

IMAGES = images()
MODULE_OF = {
    **{f"producer-{source}": f"services.producers.{source}" for source in producers_found()},
    **{name: f"services.{name}" for name in ("normalizer", "query", "sandbox")},
    "operator": "services.cli",
}
LOCKS_OF_MACHINES = {"dev.txt", "uv.txt"}
"""What is installed beside the code by ./bootstrap, and in no image."""

each_image = pytest.mark.parametrize("name", sorted(IMAGES))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("libs", "services", cache_dir=None)


def test_every_service_has_an_image_and_nothing_else_has() -> None:
    assert set(IMAGES) == set(MODULE_OF)


@each_image
def test_an_image_starts_its_service(name: str) -> None:
    assert IMAGES[name].entrypoint == ["python", "-m", MODULE_OF[name]]


@each_image
def test_an_image_holds_what_its_service_imports_and_no_more(name: str, graph: grimp.ImportGraph) -> None:
    imported = graph.find_upstream_modules(f"{MODULE_OF[name]}.__main__") | {f"{MODULE_OF[name]}.__main__"}
    folders = {_folder(module) for module in imported}
    assert {each.source.removeprefix("/app/") for each in IMAGES[name].copied if each.stage == "code"} == folders


def _folder(module: str) -> str:
    parts = module.split(".")
    return "/".join(parts[:3] if parts[:2] == ["services", "producers"] else parts[:2])


@each_image
def test_an_image_has_the_migrations_where_the_database_is_compared_with_them(name: str, graph: grimp.ImportGraph) -> None:
    looks = "libs.postgres.schema" in graph.find_upstream_modules(f"{MODULE_OF[name]}.__main__")
    assert (Copied(CONTEXT, "migrations") in IMAGES[name].copied) == looks


def test_the_image_of_files_has_the_bundled_one() -> None:
    assert [name for name, image in IMAGES.items() if Copied(CONTEXT, "data") in image.copied] == ["producer-csv"]


@each_image
def test_nobody_is_root_in_an_image_and_nothing_runs_while_its_last_stage_is_built(name: str) -> None:
    image = IMAGES[name]
    assert image.of("USER") == ["10001:10001"]
    assert not image.of("RUN")
    assert stages()["runtime"].parent == "scratch"


def test_every_lock_of_a_service_is_installed_with_its_checksums() -> None:
    installed = [command for stage in stages().values() for command in stage.of("RUN") if command.endswith(".txt")]
    named = {command.rpartition("/locks/")[2] for command in installed}
    assert named == {path.name for path in Path("locks").glob("*.txt")} - LOCKS_OF_MACHINES
    assert all("install-locked" in command for command in installed)
    assert "--require-hashes" in Path("deploy/Dockerfile").read_text(encoding="utf-8")


@each_image
def test_an_image_has_the_packages_of_its_own_group(name: str) -> None:
    group = "producer" if name.startswith("producer-") else "cli" if name == "operator" else name
    assert [each.stage for each in IMAGES[name].copied if each.source == "/opt/venv"] == [f"packages-{group}"]


@each_image
def test_an_image_sets_no_variable_that_its_service_does_not_read(name: str) -> None:
    pythons = {"PATH", "LANG", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
    settings = import_module(f"{MODULE_OF[name]}.settings")
    read = {field.upper() for thing in vars(settings).values() for field in getattr(thing, "model_fields", ())}
    assert set(IMAGES[name].environment) - pythons <= read


@each_image
def test_a_health_check_asks_a_port_that_is_set_and_published(name: str) -> None:
    image = IMAGES[name]
    if name == "operator":
        assert image.health_check is None
        return
    assert image.health_check is not None
    *command, variable, path = image.health_check
    assert command == ["python", "-IS", "healthcheck.py"]
    assert path == "/health"
    assert image.of("EXPOSE") == [image.environment[variable]]


def test_labels_name_the_version_that_the_project_has() -> None:
    with Path("pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert f"VERSION={project['version']}" in stages()["runtime"].of("ARG")
    assert f"org.opencontainers.image.licenses={project['license']}" in " ".join(stages()["runtime"].of("LABEL"))


@each_image
def test_an_image_says_what_it_is(name: str) -> None:
    labels = " ".join(IMAGES[name].of("LABEL"))
    assert f"org.opencontainers.image.title=kasparro-{name} " in labels
    assert re.search(r'org\.opencontainers\.image\.description="[^"]{20,}"', labels)


def test_what_is_copied_from_the_clone_is_let_through_and_nothing_else_is() -> None:
    ignore = Path(".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = {each.source for stage in stages().values() for each in stage.copied if each.stage == CONTEXT}
    assert {source.partition("/")[0] if source.startswith("locks/") else source for source in copied} == let_through


def test_a_shells_form_of_an_entrypoint_is_not_taken_for_a_command() -> None:
    stage: Stage = stages("FROM scratch AS x\nENTRYPOINT python -m x\n")["x"]
    with pytest.raises(ValueError, match="Expecting value"):
        _ = stage.entrypoint
