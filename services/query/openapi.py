"""The OpenAPI 3.1 document, made from the declared endpoints."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.query.endpoints import Endpoint
from services.query.problems import PROBLEM_JSON, InvalidParameterError, QueryError
from services.query.rendering import ATTRIBUTION
from services.query.views.shapes import ProblemView

REFERENCE = "#/components/schemas/{model}"

_DESCRIPTION = """Crypto market data from several providers, deduplicated by symbol, with every digit as sent.

Numbers are exact JSON numbers: read them as decimals. Times are RFC 3339 in UTC. Errors are `application/problem+json`
with a stable `code`. Answers with data carry an `ETag`: send it back in `If-None-Match` and get 304 while nothing changed.

{attribution}
"""
_GROUPS = {
    "data": "Assets and what they were made from",
    "etl": "Runs on demand; POST needs a bearer token when API_TOKEN is set",
    "stats": "Runs, sources, checkpoints",
    "state": "Liveness and readiness",
}


def openapi_document(endpoints: Sequence[Endpoint[Any]], version: str) -> dict[str, Any]:
    """Return the document."""
    models = {model for endpoint in endpoints for model in endpoint.answers.values()} | {ProblemView}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "serialization") for model in ordered], ref_template=REFERENCE)
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for endpoint in endpoints:
        paths[endpoint.public_path][endpoint.method.lower()] = _operation(endpoint)
    credits_ = "\n".join(f"- [{credit['text']}]({credit['url']})" for credit in ATTRIBUTION)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kasparro",
            "version": version,
            "summary": "Trustworthy crypto market data",
            "description": _DESCRIPTION.format(attribution=credits_),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in _GROUPS.items()],
        "paths": dict(paths),
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "API_TOKEN, when it is set"}},
        },
    }


def _operation(endpoint: Endpoint[Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.group],
        "summary": endpoint.summary,
        "parameters": list(_parameters(endpoint)),
        "responses": _responses(endpoint),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.method == "POST":
        operation["security"] = [{"token": []}, {}]
    return operation


def _parameters(endpoint: Endpoint[Any]) -> Iterable[dict[str, Any]]:
    schema = endpoint.parameters.model_json_schema(ref_template=REFERENCE)
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    for name, declared in schema.get("properties", {}).items():
        shape = _without_null(declared, definitions)
        description = shape.pop("description", declared.get("description", name))
        shape.pop("title", None)
        in_path = name in endpoint.path_parameters
        yield {
            "name": name,
            "in": "path" if in_path else "query",
            "required": in_path or name in schema.get("required", ()),
            "description": description,
            "schema": shape,
        }
    if endpoint.data:
        yield {"name": "If-None-Match", "in": "header", "description": "An ETag held already", "schema": {"type": "string"}}
    if endpoint.media == "text/event-stream":
        yield {"name": "Last-Event-ID", "in": "header", "description": "The last event seen", "schema": {"type": "string"}}


def _without_null(declared: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, not null; what it refers to is written in place."""
    shape = dict(declared)
    for choice in shape.pop("anyOf", []):
        if choice.get("type") != "null":
            shape = {**choice, **shape}
    if reference := shape.pop("$ref", None):
        shape = {**definitions[reference.rpartition("/")[2]], **shape}
    if shape.get("default", ...) is None:
        del shape["default"]
    return shape


def _responses(endpoint: Endpoint[Any]) -> dict[str, Any]:
    responses = {str(int(status)): _answer(endpoint, status, model) for status, model in endpoint.answers.items()}
    if endpoint.data:
        responses["304"] = {"description": "Unchanged since the ETag of If-None-Match"}
    by_status: defaultdict[HTTPStatus, list[type[QueryError]]] = defaultdict(list)
    problems_of: tuple[type[QueryError], ...] = (InvalidParameterError, *endpoint.problems)
    for problem in dict.fromkeys(problems_of):
        by_status[problem.status].append(problem)
    for status, problems in by_status.items():
        said = " ".join(f"`{problem.code}`: {(problem.__doc__ or '').strip()}" for problem in problems)
        responses[str(int(status))] = {"description": said, "content": {PROBLEM_JSON: {"schema": _reference(ProblemView)}}}
    return {status: responses[status] for status in sorted(responses)}


def _answer(endpoint: Endpoint[Any], status: HTTPStatus, model: type[BaseModel]) -> dict[str, Any]:
    names = ["X-Request-Id"]
    names += ["ETag", "Link", "X-Attribution"] if endpoint.data else []
    names += ["Location"] if status == HTTPStatus.ACCEPTED else []
    other = {media: {"schema": {"type": "string", "description": held}} for media, held in endpoint.other_media.items()}
    content = {"content": {endpoint.media: {"schema": _reference(model)}, **other}}
    return {
        "description": (model.__doc__ or status.phrase).strip(),
        "headers": {name: {"schema": {"type": "string"}} for name in names},
        **(content if status != HTTPStatus.SWITCHING_PROTOCOLS else {}),
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}
