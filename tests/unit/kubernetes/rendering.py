"""The overlays of deploy/kubernetes as kustomize renders them, kept here because CI has no kustomize.

`make kubernetes` renders them anew. Each begins with a digest of all that it was made from, so one that is old is noticed.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

from libs.sources.catalogue import SOURCES as ALL_SOURCES

ROOT: Final = Path(__file__).parents[3]
SOURCES: Final = ROOT / "deploy" / "kubernetes"
RENDERED: Final = ROOT / "tests" / "fixtures" / "kubernetes" / "rendered"
OVERLAYS: Final = ("local", "production")

Manifest = Mapping[str, Any]


def deployed_sources() -> tuple[str, ...]:
    """Return the sources that the overlays run. An optional one is for whoever adds it to an overlay of theirs."""
    return tuple(name for name, source in ALL_SOURCES.items() if not getattr(source, "optional", False))


def digest() -> str:
    """Return what changes with any file under deploy/kubernetes."""
    whole = hashlib.sha256()
    for path in sorted(path for path in SOURCES.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(SOURCES).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return whole.hexdigest()


def first_line(overlay: str) -> str:
    """Return what a rendered overlay of these sources begins with."""
    return f"# deploy/kubernetes/overlays/{overlay}, rendered by `make kubernetes` from sources {digest()}"


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
    built = subprocess.run([*command, str(SOURCES / "overlays" / overlay)], check=True, capture_output=True, text=True)
    return f"{first_line(overlay)}\n{built.stdout}"


if __name__ == "__main__":
    for name in OVERLAYS:
        (RENDERED / f"{name}.yaml").write_text(render(name, kustomize_command()))
