"""Every object fits the schema of its kind: Kubernetes' own in the oldest and the newest release, and the operators' CRDs."""

import gzip
import hashlib
import re
import shutil

import kubernetes_validate
import pytest
import yaml

from tests.unit.kubernetes.crds import CRDS, validators
from tests.unit.kubernetes.rendering import (
    OVERLAYS,
    RENDERED,
    SOURCES,
    Manifest,
    first_line,
    kustomize_command,
    named,
    render,
    rendered,
)

RELEASES = ("1.34", "1.37")
"""The oldest has `preStop.sleep` and `matchLabelKeys` for good; the newest is the last that the package knows."""

EVERYTHING: dict[str, Manifest] = {}
for of_overlay in OVERLAYS:
    EVERYTHING |= {f"{of_overlay}-{named(one)}": one for one in rendered(of_overlay) if one not in EVERYTHING.values()}
RENDERERS = [name for name in ("kustomize", "kubectl") if shutil.which(name)]


@pytest.mark.parametrize("one", EVERYTHING.values(), ids=EVERYTHING.keys())
def test_object_fits_the_schema_of_its_kind(one: Manifest) -> None:
    validator = validators().get((one["apiVersion"], one["kind"]))
    if validator is None:
        for release in RELEASES:
            kubernetes_validate.validate(one, release, strict=True)
    else:
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(one)] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_tested_was_rendered_from_these_sources(overlay: str) -> None:
    found = (RENDERED / f"{overlay}.yaml").read_text().splitlines()[0]
    assert found == first_line(overlay), "deploy/kubernetes has changed: run `make kubernetes`"


@pytest.mark.skipif(not RENDERERS, reason="kustomize is not here; the digest above stands for it")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_renders_the_same(overlay: str) -> None:
    """As objects: releases of kustomize may differ in how they write them down."""
    assert list(yaml.load_all(render(overlay, kustomize_command()), yaml.CSafeLoader)) == rendered(overlay)


def test_every_source_is_yaml_without_a_repeated_key() -> None:
    for path in SOURCES.rglob("*.yaml"):
        for document in yaml.compose_all(path.read_text(), yaml.CSafeLoader):
            assert repeated(document) == [], path


def repeated(node: yaml.Node | None) -> list[str]:
    """YAML's readers keep the last of two equal keys, in silence."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        inner = [each for _, value in node.value for each in repeated(value)]
        return [key for key in keys if keys.count(key) > 1] + inner
    return [each for value in node.value for each in repeated(value)] if isinstance(node, yaml.SequenceNode) else []


def test_the_crds_are_those_that_the_readme_names() -> None:
    table = (CRDS.parent / "README.md").read_text()
    said = dict(re.findall(r"^\| `([\w.-]+\.yaml)` \|.*\| `([0-9a-f]{64})` \|$", table, re.MULTILINE))
    found = {path.stem: hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() for path in CRDS.glob("*.yaml.gz")}
    assert said == found


def test_a_field_that_no_schema_knows_is_an_error() -> None:
    """Both validators, or a misspelt field would be pruned by Kubernetes and by nobody else noticed."""
    deployment, scaled = (
        next(one for one in rendered("production") if one["kind"] == kind) for kind in ("Deployment", "ScaledObject")
    )
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**deployment, "spec": {**deployment["spec"], "replica": 1}}, RELEASES[0], strict=True)
    misspelt = {**scaled, "spec": {**scaled["spec"], "minReplicasCount": 1}}
    assert list(validators()[scaled["apiVersion"], scaled["kind"]].iter_errors(misspelt)) != []
