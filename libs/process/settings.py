"""The settings that several processes share, and the one way to read any: environment first, then a .env file.

A bad value stops the process with one line that names the variable (exit code 2). Each process composes its own class
from these; the README's table and .env.example are checked against them.
"""

import sys
from datetime import timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

EXIT_BAD_SETTINGS = 2
_OLD_SCHEMES = ("postgresql+psycopg2://", "postgresql+psycopg://", "postgresql+asyncpg://", "postgres://")


def _plain_postgres_url(url: SecretStr) -> SecretStr:
    """Accept the spellings that SQLAlchemy users have in their environment."""
    text = url.get_secret_value()
    for scheme in _OLD_SCHEMES:
        if text.startswith(scheme):
            return SecretStr("postgresql://" + text.removeprefix(scheme))
    if not text.startswith("postgresql://"):
        raise ValueError("must begin with postgresql://")
    return url


DatabaseUrl = Annotated[SecretStr, AfterValidator(_plain_postgres_url)]


class Settings(BaseSettings):
    """Frozen; unknown variables are not ours to judge; an empty value is the same as none."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True)


class LogSettings(Settings):
    """How a process speaks."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe line that is written")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="`auto`: readable on a terminal, JSON elsewhere")


class KafkaSettings(Settings):
    """Where the broker is."""

    kafka_bootstrap_servers: str = Field(description="host:port, several joined by commas", min_length=1)


class PostgresSettings(Settings):
    """Where the database is."""

    database_url: DatabaseUrl = Field(
        description="postgresql://user:password@host:port/database; postgresql+psycopg2:// works too"
    )


class ScheduleSettings(Settings):
    """When a producer polls of its own accord."""

    etl_enabled: bool = Field(True, description="Whether producers poll on a schedule; runs that are asked for work either way")
    etl_interval_seconds: int = Field(300, description="Seconds from one scheduled run of a source to the next", ge=5, le=86_400)

    @property
    def schedule(self) -> timedelta | None:
        """The period; None when nothing is scheduled."""
        return timedelta(seconds=self.etl_interval_seconds) if self.etl_enabled else None


class SandboxSettings(Settings):
    """Whether the data are made up."""

    kasparro_sandbox_data: bool = Field(False, description="Set by `kasparro up` when the producers read the sandbox")

    @property
    def sandbox(self) -> bool:
        """Not a field: its variable would be SANDBOX, which says to `kasparro up` when to use the sandbox."""
        return self.kasparro_sandbox_data


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def read_settings(settings: type[AnySettings]) -> AnySettings:
    """Read the environment, or end the process with one line a bad variable. Secrets are never printed."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            print(f"error: {_variable(problem['loc'])}: {problem['msg']}", file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "settings"
    return name.upper()
