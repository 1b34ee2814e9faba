"""An endpoint is declared once; its route, the checking of its parameters and its part of the OpenAPI document follow."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import unquote, unquote_to_bytes

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from services.query.access import authorize
from services.query.problems import InvalidParameterError, QueryError
from services.query.rendering import Answer, plain_response, tagged_response


class Parameters(BaseModel):
    """Path and query parameters; unknown ones are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repeatable: ClassVar[frozenset[str]] = frozenset()
    """Those that may be given several times."""


class NoParameters(Parameters):
    """An endpoint that takes none."""


class AnyParameters(NoParameters):
    """One that takes none and lets them pass: probes add what they like, and must not be told that we are ill."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Asked = TypeVar("Asked", bound=Parameters)
_PLACEHOLDER = re.compile(r"\{(\w+)(?::[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[Asked]):
    """One operation. `data` answers carry a tag and the attribution; `problems` are the errors beyond those all share."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    group: str
    summary: str
    parameters: type[Asked]
    handle: Callable[[web.Request, Asked], Awaitable[Answer | web.StreamResponse]]
    answers: Mapping[HTTPStatus, type[BaseModel]]
    problems: tuple[type[QueryError], ...] = ()
    description: str = ""
    data: bool = False
    other_media: Mapping[str, str] = field(default_factory=dict)
    """Media types that an answer may have instead of JSON, by what `Accept` asks for, with what each holds."""
    media: str = "application/json"
    """Of its answers. What is no JSON its handler writes itself."""
    path_parameters: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path_parameters", frozenset(_PLACEHOLDER.findall(self.path)))

    @property
    def public_path(self) -> str:
        """The path as OpenAPI writes it."""
        return _PLACEHOLDER.sub(r"{\1}", self.path)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Check, ask, render."""
        if self.method == "POST":
            authorize(request)
        answer = await self.handle(request, asked_of(request, self.parameters, self.path_parameters))
        if isinstance(answer, web.StreamResponse):
            return answer
        return tagged_response(request, answer) if self.data else plain_response(answer)

    def route(self) -> web.RouteDef:
        """Return the route; a GET answers HEAD too."""
        return web.get(self.path, self.serve) if self.method == "GET" else web.post(self.path, self.serve)


def asked_of(request: web.Request, parameters: type[Asked], in_path: frozenset[str]) -> Asked:
    """Return the checked parameters. Raises InvalidParameterError, which names the first one that is wrong."""
    if issubclass(parameters, AnyParameters):
        return parameters()
    _check_encoding(request, in_path)
    given = _given(request, parameters, in_path) if request.rel_url.raw_query_string else {}
    try:
        return parameters.model_validate(given | dict(request.match_info))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        found = [
            {"parameter": ".".join(map(str, one["loc"])), "reason": one["msg"].removeprefix("Value error, ")} for one in problems
        ]
        first = found[0]["parameter"]
        raise InvalidParameterError(f"{first}: {found[0]['reason']}", parameter=first, errors=found) from None


def _given(request: web.Request, parameters: type[Asked], in_path: frozenset[str]) -> dict[str, Any]:
    """Return the query's parameters, each a known one."""
    query = request.rel_url.query
    given: dict[str, Any] = {
        name: query.getall(name) if name in parameters.repeatable else value for name, value in query.items()
    }
    if repeated := next((name for name in given.keys() - parameters.repeatable if len(query.getall(name)) > 1), None):
        raise InvalidParameterError(f"{repeated}: given more than once", parameter=repeated)
    taken = {declared.alias or name for name, declared in parameters.model_fields.items()} - in_path
    if unknown := given.keys() - taken:
        known = ", ".join(sorted(taken)) or "none"
        first = min(unknown)
        raise InvalidParameterError(f"{first}: there is no such parameter here; there is: {known}", parameter=first)
    return given


def _check_encoding(request: web.Request, in_path: frozenset[str]) -> None:
    """Refuse escapes that are not UTF-8: decoded, they are other characters, and a question about another asset."""
    for name, _, value in (part.partition("=") for part in request.rel_url.raw_query_string.split("&")):
        if not (_is_text(name) and _is_text(value)):
            raise _not_text(unquote(name))
    if not _is_text(request.rel_url.raw_path):
        found = [name for name in in_path if "%" in request.match_info[name]]
        raise _not_text(min(found or in_path, default="path"))


def _is_text(escaped: str) -> bool:
    if "%" not in escaped and escaped.isascii():  # nearly always
        return True
    try:
        unquote_to_bytes(escaped).decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_text(name: str) -> InvalidParameterError:
    return InvalidParameterError(f"{name}: not valid UTF-8", parameter=name)
