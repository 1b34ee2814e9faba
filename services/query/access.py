"""Who may ask for runs."""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from services.query.problems import ForbiddenError, UnauthorizedError
from services.query.settings import is_loopback


@dataclass(frozen=True, slots=True)
class Access:
    """With a token, whoever shows it. Without one, everybody if that is meant so, or else this machine."""

    token: str | None
    open_to_all: bool
    listens_here: bool = False
    """Only this machine reaches us."""


ACCESS = web.AppKey("access", Access)


def authorize(request: web.Request) -> None:
    """Raise unless this request may change something."""
    access = request.app[ACCESS]
    if access.token is not None:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        is_shown = hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), access.token.encode())
        if scheme.lower() != "bearer" or not is_shown:
            raise UnauthorizedError(
                "POST needs the header `Authorization: Bearer <API_TOKEN>`",
                headers={"WWW-Authenticate": 'Bearer realm="kasparro"'},
            )
        return
    if not (access.open_to_all or access.listens_here):
        raise ForbiddenError(
            "POST is off: this API listens beyond this machine. Set API_TOKEN, or API_OPEN=true to let anyone in"
        )
    if not access.open_to_all and not _names_this_machine(request.headers.get("Host", "")):
        raise ForbiddenError(
            "POST is off under this name, which a page of another site may have made point here: ask for localhost, "
            "or set API_TOKEN, or API_OPEN=true to let anyone in"
        )
    if request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
        raise ForbiddenError("POST is off for pages of other sites while no API_TOKEN is set")


def _names_this_machine(host: str) -> bool:
    """Whether a browser that asks for this host shows a page of this machine: a foreign name may resolve to it as well."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
