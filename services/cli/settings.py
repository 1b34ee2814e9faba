"""What an operator may say to the command line by the environment; options of a command win over it."""

import os
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import Field

from libs.process.kafka_settings import KafkaSecuritySettings
from libs.process.settings import ApiToken, BootstrapServers, DatabaseUrl, Settings
from libs.process.source_settings import SourceSettings

ROOT = Path(__file__).parents[2]
"""The clone: the lock files, the migrations and the state are beside the code."""

LARGEST_PORT = 65_535


class StateSettings(Settings):
    """Where the embedded servers live."""

    kasparro_state: Path = Field(Path(".kasparro"), description="Folder of the embedded servers' data and of the logs")

    @property
    def state(self) -> Path:
        """Absolute; relative ones are beside the code."""
        return ROOT / self.kasparro_state


class AddressSettings(StateSettings, KafkaSecuritySettings):
    """What the operator's commands talk to; what is not named is taken from the stack that runs here."""

    kafka_bootstrap_servers: BootstrapServers | None = Field(None, description="host:port, several joined by commas")
    database_url: DatabaseUrl | None = Field(None, description="postgresql://user:password@host:port/database")
    kasparro_api_url: str | None = Field(
        None, description="Where the HTTP API is, for `kasparro run`, `health`, `status`, `watch`"
    )
    api_token: ApiToken | None = Field(None, description="Sent with POST when the HTTP API wants one")


class UpSettings(AddressSettings, SourceSettings):
    """`kasparro up`: everything on this machine."""

    host: str = Field("127.0.0.1", description="Address that the HTTP API listens on")
    port: int = Field(8000, description="Port of the HTTP API", ge=1, le=LARGEST_PORT)
    sandbox: Literal["auto", "always", "never"] = Field(
        "auto", description="Whether the producers read the sandbox: `auto` when no real provider can be reached"
    )
    kasparro_kafka_port: int | None = Field(
        None, description="Port of the embedded broker; a free one by default", ge=1, le=LARGEST_PORT
    )
    kasparro_postgres_port: int | None = Field(
        None, description="Port of the embedded Postgres; a free one by default", ge=1, le=LARGEST_PORT
    )
    kasparro_tools: Path = Field(Path(".tools"), description="Folder of what is fetched once, such as Kafka's jars")
    maven_repository_url: str | None = Field(None, description="A mirror to fetch Kafka's jars from")


def is_named(variable: str) -> bool:
    """Whether the operator has given a variable that is another process's, in the environment or in the .env file."""
    env_file = UpSettings.model_config.get("env_file")
    return bool(os.environ.get(variable) or dotenv_values(str(env_file)).get(variable))
