"""A client that holds every answer against the published document."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp.test_utils import TestClient
from jsonschema import Draft202012Validator
from multidict import CIMultiDictProxy
from yarl import URL

from services.query.api import ENDPOINTS
from services.query.openapi import openapi_document

DOCUMENT = openapi_document(ENDPOINTS, "0.0.0")


@dataclass(frozen=True)
class Answered:
    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def body(self) -> Any:
        """Numbers with every digit."""
        return json.loads(self.text, parse_float=Decimal)

    @property
    def code(self) -> str:
        return str(self.body["code"])


class Api:
    """Asks the service; an answer that its declaration does not allow fails the test."""

    def __init__(self, client: "TestClient[Any, Any]") -> None:
        self.client = client

    async def get(self, path: str, **options: Any) -> Answered:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answered:
        return await self.ask("POST", path, **options)

    async def ask(self, method: str, path: str, *, encoded: bool = False, **options: Any) -> Answered:
        """`encoded`: send the path as it is, escapes that are not needed included."""
        url = URL(str(self.client.make_url("/")).removesuffix("/") + path, encoded=encoded)
        async with self.client.session.request(method, url, **options) as response:
            is_stream = response.content_type == "text/event-stream" and method != "HEAD"
            text = (await response.content.readuntil(b"\n\n")).decode() if is_stream else await response.text()
            answered = Answered(response.status, response.headers, text)
            check_as_declared(method, response.url.raw_path, answered)
            return answered


def check_as_declared(method: str, path: str, answered: Answered) -> None:
    assert answered.headers["X-Request-Id"]
    operation = _operation(method, path)
    if operation is None:
        return
    shared = {"400", "404", "405", "413", "500"} if answered.status >= 400 else set()
    declared = operation["responses"].get(str(answered.status))
    if declared is None:
        assert str(answered.status) in shared, f"{method} {path} answered {answered.status}: {answered.text}"
        check_schema({"$ref": "#/components/schemas/ProblemView"}, answered.body)
    elif "content" in declared:
        media = answered.headers["Content-Type"].partition(";")[0]
        said = json.loads(answered.text) if media.endswith("json") and "ndjson" not in media else answered.text
        check_schema(declared["content"][media]["schema"], said)


def check_schema(schema: dict[str, Any], body: Any) -> None:
    """Also that no field is answered that is not declared."""
    components = {name: _closed(name, model) for name, model in DOCUMENT["components"]["schemas"].items()}
    Draft202012Validator({**schema, "components": {"schemas": components}}).validate(body)


def _closed(name: str, model: dict[str, Any]) -> dict[str, Any]:
    extensible = name == "ProblemView" or model.get("type") != "object"
    return model if extensible else {**model, "additionalProperties": False}


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for endpoint in ENDPOINTS:
        fixed = endpoint.public_path.split("/")
        given = path.split("?", maxsplit=1)[0].split("/")
        fits = len(fixed) == len(given) and all(
            part == shown or part.startswith("{") for part, shown in zip(fixed, given, strict=True)
        )
        if fits and endpoint.method == method:
            operation: dict[str, Any] = DOCUMENT["paths"][endpoint.public_path][method.lower()]
            return operation
    return None


async def until(reached: Callable[[], Awaitable[bool]], *, seconds: float = 60.0) -> None:
    """Wait on a condition that lies outside of this process."""
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 a database or a broker has no event to wait for
            await asyncio.sleep(0.02)


async def until_ready(api: Api) -> None:
    """Wait until the service says that it can answer everything."""

    async def is_ready() -> bool:
        return (await api.get("/ready")).status == 200

    await until(is_ready)
