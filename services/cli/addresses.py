"""Where the operator's commands find things: what the environment names, else the stack that `kasparro up` runs here."""

import asyncio
import re
from typing import Final
from urllib.parse import urlsplit

from libs.devstack.state import Addresses, read_addresses
from libs.kafka.connection import KafkaConnection
from services.cli.errors import NotNamedError, UseError
from services.cli.settings import AddressSettings

WEB_ADDRESS: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def kafka_connection(settings: AddressSettings, client_id: str) -> KafkaConnection:
    """Return what a command's clients connect with. Raises KafkaRefusedError when the broker will not have us.

    Not within a running event loop: it asks the broker, once, whatever the command then does. One that is away is the
    command's own matter.
    """
    from libs.kafka.access import knock  # late: no other command waits for the driver

    connection = KafkaConnection(kafka_of(settings), client_id, security=settings.kafka_security())
    asyncio.run(knock(connection))
    return connection


def kafka_of(settings: AddressSettings) -> str:
    """Return the broker's address."""
    return _named(
        settings.kafka_bootstrap_servers, _running(settings).kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS=host:port"
    )


def database_of(settings: AddressSettings) -> str:
    """Return the database's address, password included. Raises DatabaseRefusedError when the database will not have us.

    Not within a running event loop: it asks the database, once. One that is away is the command's own matter.
    """
    from libs.postgres.access import knock  # late, as above

    named = settings.database_url.get_secret_value() if settings.database_url else None
    url = _named(named, _running(settings).database_url, "DATABASE_URL=postgresql://user:password@host:port/database")
    asyncio.run(knock(url, application="kasparro"))
    return url


def api_of(settings: AddressSettings, given: str | None = None) -> str:
    """Return the HTTP API's address; what was `given` with the command goes first."""
    option, named = ("--api", given) if given is not None else ("KASPARRO_API_URL", settings.kasparro_api_url)
    if named is not None and not _is_web_address(named):
        raise UseError(f"{option} must be http://host:port, and has no password in it")
    return _named(named, _running(settings).api_url, "KASPARRO_API_URL=http://host:port").rstrip("/")


def _is_web_address(text: str) -> bool:
    try:
        return bool(WEB_ADDRESS.fullmatch(text)) and urlsplit(text).port != 0
    except ValueError:  # a port that there is not, half an IPv6 address
        return False


def _running(settings: AddressSettings) -> Addresses:
    return read_addresses(settings.state) or Addresses(0)


def _named(by_environment: str | None, by_stack: str | None, example: str) -> str:
    if found := by_environment or by_stack:
        return found
    raise NotNamedError(f"Kasparro does not run here (`make run`), and nothing names another: set {example}")
