"""Addresses as people write them: what is accepted, and in what one form every driver gets it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from pydantic import SecretStr

_OLD_SCHEMES: Final = ("postgresql+psycopg2://", "postgresql+psycopg://", "postgresql+asyncpg://", "postgres://")
_SERVER: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/?#@,\[\]]+)(?::([0-9]{1,5}))?")
_LARGEST_PORT: Final = 65_535
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
UNDERSTOOD: Final = frozenset({
    *FILES, "sslmode", "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version", "sslnegotiation",
    "host", "port", "dbname", "user", "password", "passfile", "target_session_attrs", "application_name", "options",
})  # fmt: skip
"""What libpq (`kasparro migrate`) and asyncpg (the services) read in the same way. asyncpg sends any other to the server as
one of its settings; libpq refuses what it does not know."""

MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def plain_postgres_url(url: SecretStr) -> SecretStr:
    """Accept the spellings that SQLAlchemy users have in their environment; what is refused is never repeated."""
    text = url.get_secret_value()
    for scheme in _OLD_SCHEMES:
        if text.startswith(scheme):
            text = "postgresql://" + text.removeprefix(scheme)
    if not _is_postgres_url(text):
        raise ValueError(
            "must be postgresql://user:password@host:port/database, with / ? # @ % in a password as %2F %3F %23 %40 %25"
        )
    _check_parameters(text)
    return SecretStr(text)


def _check_parameters(url: str) -> None:
    """Raise ValueError for what one of the drivers would not understand, or would take for an outage of the server."""
    given = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name in given:
        if name not in UNDERSTOOD:
            shown = name if name.replace("_", "").isalnum() else "a parameter"
            raise ValueError(f"{shown} is not understood by every driver; leave it out (of TLS, the sslmode and ssl… are)")
    if (mode := given.get("sslmode")) is not None and mode not in MODES:
        raise ValueError(f"sslmode must be one of {', '.join(MODES)}")
    for name in FILES:
        if name in given and not Path(given[name]).is_file():
            raise ValueError(f"{name}: there is no file {given[name]}")


def _is_postgres_url(text: str) -> bool:
    """Whether every driver reads the same in it: an unescaped character of a password would be read as host, port or path."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    account, _, servers = parts.netloc.rpartition("@")
    beyond = parts.path + parts.query
    if parts.scheme != "postgresql" or not text.startswith("postgresql://") or parts.fragment or "#" in text:
        return False
    if "@" in account + beyond or _BROKEN_ESCAPE.search(text):
        return False
    if not servers:
        return bool(parse_qs(parts.query).get("host"))
    return all(is_server(server, needs_port=False) for server in servers.split(","))


def is_server(text: str, *, needs_port: bool) -> bool:
    """Whether this is a host, with its port or without."""
    found = _SERVER.fullmatch(text)
    if found is None or (needs_port and found[1] is None):
        return False
    return found[1] is None or 0 < int(found[1]) <= _LARGEST_PORT


def urls_of(listening: Iterable[tuple[Any, ...]]) -> list[str]:
    """Return where a server answers, for a person who wants to click; `listening` are addresses as sockets tell them."""
    return [f"http://{host}:{port}" for host, port, *_ in listening]
