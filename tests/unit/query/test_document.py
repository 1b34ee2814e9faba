"""The OpenAPI document and the pages made from it; nothing here needs a broker or a database."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.sources.catalogue import SOURCES
from services.query.api import ENDPOINTS
from services.query.documentation import documentation_routes
from services.query.openapi import openapi_document
from services.query.problems import all_problems
from services.query.serving_page import page_routes

DOCUMENT = openapi_document(ENDPOINTS, "1.2.3")
FOR_PEOPLE = ("/", "/page/{name}", "/openapi.json", "/docs", "/redoc")


@asynccontextmanager
async def pages() -> AsyncIterator["TestClient[Any, Any]"]:
    app = web.Application()
    app.add_routes(documentation_routes(DOCUMENT))
    async with TestClient(TestServer(app)) as client:
        yield client


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_of_the_issue_is_documented() -> None:
    documented = {(method.upper(), path) for path, operations in DOCUMENT["paths"].items() for method in operations}
    assert documented == {
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/data"),
        ("GET", "/data/count"),
        ("GET", "/data/sparklines"),
        ("GET", "/data/stream"),
        ("GET", "/data/ws"),
        ("GET", "/data/{asset_uid}"),
        ("GET", "/data/{asset_uid}/history"),
        ("GET", "/data/raw/{source}"),
        ("GET", "/data/raw/{source}/{record_id}"),
        ("POST", "/etl/run/{source}"),
        ("POST", "/etl/run-all"),
        ("POST", "/etl/run-background/{source}"),
        ("GET", "/stats"),
        ("GET", "/stats/runs/{run_id}"),
        ("GET", "/stats/checkpoints"),
        ("GET", "/stats/sources"),
        ("GET", "/stats/gaps"),
        ("GET", "/stats/dead-letters"),
        ("GET", "/stats/incidents"),
        ("GET", "/stats/debug"),
    }


def test_every_route_that_is_served_is_documented_or_a_page_for_people() -> None:
    app = web.Application()
    app.add_routes([endpoint.route() for endpoint in ENDPOINTS])
    app.add_routes(documentation_routes(DOCUMENT))
    app.add_routes(page_routes())
    served = {resource.canonical for resource in app.router.resources()}
    beyond = served - set(DOCUMENT["paths"])
    assert {path for path in beyond if not path.startswith("/docs/assets/")} == set(FOR_PEOPLE)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_each_operation_declares_its_path_parameters_and_its_errors(endpoint: Any) -> None:
    operation = DOCUMENT["paths"][endpoint.public_path][endpoint.method.lower()]
    in_path = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", endpoint.public_path))
    assert all(one["required"] for one in operation["parameters"] if one["in"] == "path")
    assert "400" in operation["responses"]
    assert operation["summary"]


def test_bounds_of_numbers_are_documented() -> None:
    parameters = [one for path in DOCUMENT["paths"].values() for operation in path.values() for one in operation["parameters"]]
    numbers = [one["schema"] for one in parameters if one["schema"].get("type") in {"integer", "number"}]
    assert numbers
    assert all({"minimum", "maximum"} <= schema.keys() for schema in numbers)


def test_operation_ids_are_unique() -> None:
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_money_is_a_number_and_not_a_string() -> None:
    price = DOCUMENT["components"]["schemas"]["AssetView"]["properties"]["price_usd"]
    assert {choice["type"] for choice in price["anyOf"]} == {"number", "null"}


def test_the_description_credits_the_providers() -> None:
    for source in SOURCES.values():
        if source.attribution is not None:
            assert f"[{source.attribution.text}]({source.attribution.url})" in DOCUMENT["info"]["description"]


def test_each_problem_has_a_code_of_its_own_and_says_what_it_means() -> None:
    problems = all_problems()
    assert len({problem.code for problem in problems}) == len(problems)
    assert all(problem.__doc__ for problem in problems)


async def test_the_pages_load_nothing_from_elsewhere() -> None:
    async with pages() as client:
        for page in ("/docs", "/redoc"):
            async with client.get(page) as response:
                policy, html = response.headers["Content-Security-Policy"], await response.text()
            assert "http" not in policy
            assert "default-src 'none'" in policy
            assert "unsafe-eval" not in policy
            assert "https://" not in html
            assert "<script>" not in html
            for asset in re.findall(r'(?:src|href)="(/[^"]+)"', html):
                async with client.get(asset) as response:
                    assert (response.status, len(await response.read()) > 50) == (200, True), asset


async def test_the_document_is_served() -> None:
    async with pages() as client, client.get("/openapi.json") as response:
        assert await response.json() == DOCUMENT


async def test_swagger_ui_is_of_a_version_that_shows_3_1() -> None:
    async with pages() as client, client.get("/docs/assets/swagger-ui-bundle.js") as response:
        assert re.search(r"openapi.{0,40}3\\?\.1", await response.text())
