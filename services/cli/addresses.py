"""Where the operator's commands find things: what the environment names, else the stack that `kasparro up` runs here."""

from libs.devstack.state import Addresses, read_addresses
from services.cli.errors import NotNamedError
from services.cli.settings import AddressSettings


def kafka_of(settings: AddressSettings) -> str:
    """Return the broker's address."""
    return _named(
        settings.kafka_bootstrap_servers, _running(settings).kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS=host:port"
    )


def database_of(settings: AddressSettings) -> str:
    """Return the database's address, password included."""
    named = settings.database_url.get_secret_value() if settings.database_url else None
    return _named(named, _running(settings).database_url, "DATABASE_URL=postgresql://user:password@host:port/database")


def api_of(settings: AddressSettings) -> str:
    """Return the HTTP API's address."""
    return _named(settings.kasparro_api_url, _running(settings).api_url, "KASPARRO_API_URL=http://host:port").rstrip("/")


def _running(settings: AddressSettings) -> Addresses:
    return read_addresses(settings.state) or Addresses(0)


def _named(by_environment: str | None, by_stack: str | None, example: str) -> str:
    if found := by_environment or by_stack:
        return found
    raise NotNamedError(f"Kasparro does not run here (`make run`), and nothing names another: set {example}")
