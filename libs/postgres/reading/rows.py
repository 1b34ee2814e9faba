"""What a reader returns: a row whose columns are had by name."""

from typing import Any, Protocol


class Row(Protocol):
    """The driver's record, or a dict of the same names."""

    def __getitem__(self, column: str, /) -> Any: ...

    def items(self) -> Any:
        """Column and value."""
        ...
