"""The settings that several processes share, and the one way to read any: environment first, then a .env file.

A bad value stops the process with one line that names the variable (exit code 2). Each process composes its own class
from these; the README's table and .env.example are checked against them.
"""

import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.process.addresses import is_server, plain_postgres_url

EXIT_BAD_SETTINGS = 2


def _servers(text: str) -> str:
    servers = [server.strip() for server in text.split(",") if server.strip()]
    if not servers or not all(is_server(server, needs_port=True) for server in servers):
        raise ValueError("must be host:port, several joined by commas")
    return ",".join(servers)


def _sendable(token: SecretStr) -> SecretStr:
    """A header's value has no blanks around it, so such a token could never be shown."""
    text = token.get_secret_value()
    if text != text.strip():
        raise ValueError("must not be blank, nor begin or end with a blank")
    return token


def _web_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be https://host/path")
    return url


DatabaseUrl = Annotated[SecretStr, AfterValidator(plain_postgres_url)]
BootstrapServers = Annotated[str, AfterValidator(_servers)]
ApiToken = Annotated[SecretStr, AfterValidator(_sendable)]
WebhookUrl = Annotated[SecretStr, AfterValidator(_sendable), AfterValidator(_web_address)]


class Settings(BaseSettings):
    """Frozen; unknown variables are not ours to judge; an empty value is the same as none."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True)


class LogSettings(Settings):
    """How a process speaks."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe line that is written")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="`auto`: readable on a terminal, JSON elsewhere")


class TracingSettings(Settings):
    """Where spans go."""

    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        description="An OpenTelemetry collector (OTLP over HTTP) to send spans to, such as http://localhost:4318; left out: none",
        pattern=r"^https?://\S+$",
    )


class ProgressSettings(Settings):
    """When a consumer that makes no progress is called stalled."""

    normalizer_stalled_seconds: float = Field(
        180.0,  # three times the longest statement: a chunk that Postgres works at is no stall
        description="So long without a commit, with ticks to apply and no outage, and the normalizer is called stalled",
        gt=0,
    )


class WebhookSettings(Settings):
    """Where operators are told."""

    slack_webhook_url: WebhookUrl | None = Field(None, description="Slack's incoming webhook; without it nobody is told")


class AlertSettings(WebhookSettings):
    """What operators are told of."""

    alert_failed_runs: int = Field(3, description="Runs of a source that fail in a row before it is an incident", ge=1, le=100)
    alert_dead_letters: int = Field(
        10, description="Records of a source set aside within 15 minutes before it is an incident", ge=1, le=10_000
    )
    alert_grace_seconds: float = Field(60.0, description="So long may Postgres or Kafka be away without an incident", ge=0)
    alert_runbook_url: str = Field(
        "docs/operations.md", description="Where messages send their reader: this page, as your people reach it", max_length=500
    )


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
    _check_env_file(settings)
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False, include_context=False):
            print(f"error: {_variable(problem['loc'])}{problem['msg'].removeprefix('Value error, ')}", file=sys.stderr)
        sys.exit(EXIT_BAD_SETTINGS)


def _check_env_file(settings: type[BaseSettings]) -> None:
    """Refuse what pydantic-settings, which reads with the same parser, passes over: a default that nobody chose would be used."""
    named = settings.model_config.get("env_file")
    if not isinstance(named, (str, Path)) or not Path(named).is_file():
        return
    try:
        text = Path(named).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        sys.exit(_refused_file(named, "is not UTF-8"))
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            above = len(line.original.string) - len(line.original.string.lstrip())
            number = line.original.line + line.original.string[:above].count("\n")
            sys.exit(_refused_file(named, f"line {number} is not NAME=value"))


def _refused_file(named: str | Path, reason: str) -> int:
    print(f"error: {named}: {reason}", file=sys.stderr)
    return EXIT_BAD_SETTINGS


def _variable(location: tuple[int | str, ...]) -> str:
    """A problem between several variables has no place; its words begin with the one to mend."""
    return f"{str(location[0]).upper()}: " if location else ""
