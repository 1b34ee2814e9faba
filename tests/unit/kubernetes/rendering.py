"""The overlays of deploy/kubernetes as kustomize renders them, kept here because CI has no kustomize.

`make kubernetes` renders them anew. Each begins with a digest of all that it was made from, so one that is old is noticed.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

from libs.sources.catalogue import OPTIONAL, running

ROOT: Final = Path(__file__).parents[3]
SOURCES: Final = ROOT / "deploy" / "kubernetes"
RENDERED: Final = ROOT / "tests" / "fixtures" / "kubernetes" / "rendered"
WITH_OPTIONS: Final = "production-with-options"
"""What docs/kubernetes.md says to add to a copy of the production overlay, added to one."""
OPTIONS: Final = ("binance", "binance/autoscaling", "binance/kafka-strimzi", "slack")
OVERLAYS: Final = ("local", "production", WITH_OPTIONS)

Manifest = Mapping[str, Any]


def deployed_sources(overlay: str) -> tuple[str, ...]:
    """Return the sources that an overlay runs: an optional one where its component is added."""
    return running(OPTIONAL if overlay == WITH_OPTIONS else ())


def digest() -> str:
    """Return what changes with any file under deploy/kubernetes."""
    whole = hashlib.sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(SOURCES).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return whole.hexdigest()


def first_line(overlay: str) -> str:
    """Return what a rendered overlay of these sources begins with."""
    what = f"overlays/production with {', '.join(OPTIONS)}" if overlay == WITH_OPTIONS else f"overlays/{overlay}"
    return f"# deploy/kubernetes/{what}, rendered by `make kubernetes` from sources {digest()}"


@cache
def rendered(overlay: str) -> Sequence[Manifest]:
    """Return every object of an overlay."""
    text = (RENDERED / f"{overlay}.yaml").read_text()
    return [cast("Manifest", one) for one in yaml.load_all(text, yaml.CSafeLoader) if one]


def of_kind(overlay: str, *kinds: str) -> Iterator[Manifest]:
    """Yield the overlay's objects of these kinds."""
    return (one for one in rendered(overlay) if one["kind"] in kinds)


def named(one: Manifest) -> str:
    """Return a name for a test's report."""
    return f"{one['kind']}/{one['metadata']['name']}"


def container_of(workload: Manifest) -> Manifest:
    """Return the one container of a Deployment, StatefulSet or Job."""
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return cast("Manifest", container)


def environment_of(overlay: str, workload: Manifest) -> Mapping[str, str | None]:
    """Return the variables that the container gets, those of ConfigMaps too; None where a Secret or a field has the value."""
    container, maps = container_of(workload), {one["metadata"]["name"]: one["data"] for one in of_kind(overlay, "ConfigMap")}
    taken = {name: value for each in container.get("envFrom", ()) for name, value in maps[each["configMapRef"]["name"]].items()}
    return taken | {each["name"]: each.get("value") for each in container.get("env", ())}


def kustomize_command() -> Sequence[str]:
    """Return how to render a folder here; exits with one line when nothing here can."""
    for command in (("kustomize", "build"), ("kubectl", "kustomize")):
        if shutil.which(command[0]):
            return command
    sys.exit("error: neither kustomize nor kubectl is on the PATH: `make test-kubernetes` installs kustomize with Go")


def render(overlay: str, command: Sequence[str]) -> str:
    """Return what kustomize makes of an overlay."""
    with _folder_of(overlay) as folder:
        built = subprocess.run([*command, str(folder)], check=True, capture_output=True, text=True)
    return f"{first_line(overlay)}\n{built.stdout}"


@contextmanager
def _folder_of(overlay: str) -> Iterator[Path]:
    """Yield what to render: the overlay itself, or a copy with the optional components in front of its own."""
    if overlay != WITH_OPTIONS:
        yield SOURCES / "overlays" / overlay
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(SOURCES, Path(scratch) / "kubernetes") / "overlays" / "production"
        kustomization = yaml.safe_load((copy / "kustomization.yaml").read_text())
        kustomization["components"] = [*(f"../../components/{name}" for name in OPTIONS), *kustomization["components"]]
        (copy / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        yield copy


if __name__ == "__main__":
    for name in OVERLAYS:
        (RENDERED / f"{name}.yaml").write_text(render(name, kustomize_command()))
