"""What the processes of the suite are told by their environment."""

from collections.abc import Mapping
from datetime import UTC, datetime

from libs.devstack.ports import LOOPBACK
from tests.faults.servers import Servers

COINGECKO_LISTINGS = 520
"""Three pages, so three shards that replicas divide."""
COINPAPRIKA_LISTINGS = 400
STEP_SECONDS = 10
HELD_BACK_SECONDS = 12 * 3600
"""The market begins in the past: a suite of an hour moves it on by thousands of steps, and it must not reach the future."""


def of_services(servers: Servers, sandbox_url: str, api_port: int) -> Mapping[str, str]:
    """Small chunks, quick retries, and quotas that are counted and never reached."""
    many = "1000000"
    return {
        "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
        "DATABASE_URL": servers.database_url,
        "COINGECKO_BASE_URL": f"{sandbox_url}/api/v3",
        "COINPAPRIKA_BASE_URL": f"{sandbox_url}/v1",
        "COINGECKO_TOP_N": str(COINGECKO_LISTINGS),
        "COINGECKO_REQUESTS_PER_MINUTE": many,
        "COINPAPRIKA_REQUESTS_PER_MINUTE": many,
        "COINPAPRIKA_REQUESTS_PER_MONTH": many,
        "ETL_ENABLED": "false",  # runs come from the load, through the API
        "CHUNK_RECORDS": "60",  # many chunks, so that a random moment is likely to lie in one
        "RETRY_CEILING_SECONDS": "1",
        "RAW_RETENTION_DAYS": "0",  # spoilt ticks say that they were fetched decades ago
        "NORMALIZER_HEALTH_PORT": "0",  # more than one on a machine; the first has a port of its own
        "HOST": LOOPBACK,
        "PORT": str(api_port),
        "KASPARRO_SANDBOX_DATA": "true",
        "LOG_FORMAT": "json",
        "PATH": "/usr/bin:/bin",
    }


def of_the_sandbox(port: int, seed: int) -> Mapping[str, str]:
    """A market that moves when it is told to."""
    began = int(datetime.now(UTC).timestamp()) - HELD_BACK_SECONDS
    return {
        "PORT": str(port),
        "SANDBOX_SEED": str(seed),
        "SANDBOX_STEP_SECONDS": str(STEP_SECONDS),
        "SANDBOX_STEP": str(began // STEP_SECONDS),
        "SANDBOX_COINGECKO_LISTINGS": str(COINGECKO_LISTINGS),
        "SANDBOX_COINPAPRIKA_LISTINGS": str(COINPAPRIKA_LISTINGS),
    }
