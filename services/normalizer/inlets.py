"""A raw topic, as the normalizer takes it in."""

from dataclasses import dataclass

from libs.postgres.writing.chunks import Destination
from libs.sources.source import Source


@dataclass(frozen=True, slots=True)
class Inlet:
    """Whose ticks the topic carries, and where they are stored."""

    source: Source
    destination: Destination
