"""The workflows run what a developer runs, and build every image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.unit.deploy.dockerfile import images


def workflow(name: str) -> Mapping[str, Any]:
    read: Mapping[str, Any] = yaml.safe_load(Path(".github/workflows", name).read_text(encoding="utf-8"))
    return read


def commands(job: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_ci_runs_what_ci_is() -> None:
    assert commands(workflow("ci.yml")["jobs"]["checks"]) == [".ci/run"]


def test_every_image_is_built() -> None:
    assert set(workflow("images.yml")["jobs"]["build"]["strategy"]["matrix"]["image"]) == set(images())


def test_the_compose_project_is_put_to_the_test() -> None:
    assert commands(workflow("images.yml")["jobs"]["project"]) == ["make test-images"]
    assert "\ntest-images:" in Path("Makefile").read_text(encoding="utf-8")


def test_no_workflow_may_write_to_the_repository() -> None:
    for path in Path(".github/workflows").glob("*.yml"):
        assert workflow(path.name)["permissions"] == {"contents": "read"}
