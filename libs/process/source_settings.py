"""Which sources run: the standard ones, and those optional ones that the operator names."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from libs.process.settings import Settings
from libs.sources.catalogue import OPTIONAL, running


def _named(text: object) -> object:
    if not isinstance(text, str):
        return text
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(names - OPTIONAL):
        raise ValueError(f"{', '.join(unknown)}: no optional source; there are: {', '.join(sorted(OPTIONAL))}")
    return names


class SourceSettings(Settings):
    """The optional sources that run."""

    extra_sources: Annotated[frozenset[str], NoDecode, BeforeValidator(_named)] = Field(
        frozenset(), description="Optional sources to run beside the standard ones, several joined by commas: `binance`"
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that runs, in order of priority."""
        return running(self.extra_sources)
