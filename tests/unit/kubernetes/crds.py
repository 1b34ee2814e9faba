"""The published schemas of the custom resources that we use (tests/fixtures/kubernetes/README.md), made strict.

Kubernetes prunes a field that a schema does not know, in silence, and the operator never sees it: here it is an error.
"""

import gzip
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

from tests.unit.kubernetes.rendering import ROOT, Manifest

CRDS: Final = ROOT / "tests" / "fixtures" / "kubernetes" / "crds"


def definitions() -> Iterator[Manifest]:
    """Yield the CustomResourceDefinitions as they were published."""
    return (_definition(path) for path in sorted(CRDS.glob("*.yaml.gz")))


@cache
def validators() -> Mapping[tuple[str, str], Draft202012Validator]:
    """Return a strict validator for each apiVersion and kind."""
    return {
        (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"]): Draft202012Validator(
            strict(version["schema"]["openAPIV3Schema"], top=True)
        )
        for one in definitions()
        for version in one["spec"]["versions"]
        if version["served"]
    }


def strict(schema: Mapping[str, Any], *, top: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a structural schema: no unknown fields, and Kubernetes' own words translated.

    Rules in CEL (x-kubernetes-validations) are left to a real API server: `make test-kubernetes`.
    """
    kept = {
        key: value for key, value in schema.items() if not key.startswith("x-kubernetes-") and key not in {"nullable", "format"}
    }
    for key in ("properties",):
        if key in schema:
            kept[key] = {name: strict(each) for name, each in schema[key].items()}
    if "items" in schema:
        kept["items"] = strict(schema["items"])
    if isinstance(schema.get("additionalProperties"), Mapping):
        kept["additionalProperties"] = strict(schema["additionalProperties"])
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept["additionalProperties"] = False
    if top:
        kept["properties"]["metadata"] = {"type": "object"}
    if schema.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
    if schema.get("nullable") and isinstance(kept.get("type"), str):
        kept["type"] = [kept["type"], "null"]
    return kept


def _definition(path: Path) -> Manifest:
    loaded: Manifest = yaml.load(gzip.decompress(path.read_bytes()), yaml.CSafeLoader)
    return loaded
