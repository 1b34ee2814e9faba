"""Who may ask for runs."""

import hmac
from dataclasses import dataclass

from aiohttp import web

from services.query.problems import ForbiddenError, UnauthorizedError


@dataclass(frozen=True, slots=True)
class Access:
    """With a token, whoever shows it. Without one, everybody who reaches us, if that is this machine only or meant so."""

    token: str | None
    open_to_all: bool


ACCESS = web.AppKey("access", Access)


def authorize(request: web.Request) -> None:
    """Raise unless this request may change something."""
    access = request.app[ACCESS]
    if access.token is not None:
        shown = request.headers.get("Authorization", "")
        expected = f"Bearer {access.token}"
        if not hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), expected.encode()):
            raise UnauthorizedError(
                "POST needs the header `Authorization: Bearer <API_TOKEN>`",
                headers={"WWW-Authenticate": 'Bearer realm="kasparro"'},
            )
        return
    if not access.open_to_all:
        raise ForbiddenError(
            "POST is off: this API listens beyond this machine. Set API_TOKEN, or API_OPEN=true to let anyone in"
        )
    if request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        raise ForbiddenError("POST is off for pages of other sites while no API_TOKEN is set")
