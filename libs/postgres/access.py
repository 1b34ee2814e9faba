"""Whether Postgres lets us in: a wrong password, an unknown database or an untrusted server is no outage."""

import asyncio
import ssl
from urllib.parse import urlsplit

import asyncpg

from libs.postgres.errors import is_outage
from libs.postgres.pool import CLOSE_SECONDS, CONNECT_SECONDS
from libs.process.access import AccessRefusedError

REFUSING_CLASSES = frozenset({"28", "3D"})
"""Invalid authorization (a password, an account, a pg_hba.conf entry), no such database."""

NO_TLS = "rejected SSL upgrade"
"""asyncpg's words: it raises the same class when nobody listens."""


class DatabaseRefusedError(AccessRefusedError):
    """Postgres will not have us, or is not who it should be; the message says why, without the password."""


async def knock(database_url: str, *, application: str) -> bool:
    """Return whether Postgres lets us in, False when it does not answer. Raises DatabaseRefusedError."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS + CLOSE_SECONDS):
            connection = await asyncpg.connect(
                database_url, timeout=CONNECT_SECONDS, server_settings={"application_name": application}
            )
            await connection.close(timeout=CLOSE_SECONDS)
    except Exception as error:
        if reason := _refusal(error):
            where = urlsplit(database_url).netloc.rpartition("@")[2] or "its socket"  # several servers have no one port
            raise DatabaseRefusedError(f"Postgres at {where} {reason}: correct DATABASE_URL") from error
        if is_outage(error):
            return False
        raise
    return True


def _refusal(error: Exception) -> str | None:
    if isinstance(error, asyncpg.PostgresError) and str(error.sqlstate or "")[:2] in REFUSING_CLASSES:
        return f"refuses us ({str(error).partition(chr(10))[0]})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"is not trusted ({error.verify_message}; sslrootcert names who is, sslmode what is checked)"
    if isinstance(error, ssl.SSLError) and "ALERT" in str(error.reason or ""):
        return f"agrees on no TLS with us ({str(error.reason).lower().replace('_', ' ')}; sslcert and sslkey are who we are)"
    if isinstance(error, ConnectionError) and NO_TLS in str(error):
        return "speaks no TLS, and sslmode asks for it"
    if isinstance(error, asyncpg.ClientConfigurationError):
        return f"cannot be reached as configured ({str(error).partition(chr(10))[0]})"
    return None
