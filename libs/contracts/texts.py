"""Text that Postgres can store: it refuses one character, NUL, which JSON allows."""

from typing import Annotated, TypeAlias

from pydantic import AfterValidator

NUL = "\0"


def _without_nul(text: str) -> str:
    if NUL in text:
        raise ValueError("holds the character NUL, which no name has and Postgres does not store")
    return text


def _with_nul_shown(text: str) -> str:
    return text.replace(NUL, "\\0")


Name: TypeAlias = Annotated[str, AfterValidator(_without_nul)]
"""What something is called: one with a NUL is refused where it comes in, or nobody downstream could store what is said of it."""

Words: TypeAlias = Annotated[str, AfterValidator(_with_nul_shown)]
"""What is said to a person, and may quote a provider: a NUL is shown as `\\0`."""
