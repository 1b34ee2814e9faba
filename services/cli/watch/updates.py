"""What the feed tells whoever shows it."""

from enum import StrEnum
from typing import NamedTuple

from services.cli.watch.assets import WatchedAsset


class Link(StrEnum):
    """How the assets come."""

    LIVE = "live"
    POLLING = "polling"
    LOST = "lost"


class LinkChanged(NamedTuple):
    """They come in another way now, and why."""

    link: Link
    words: str
    why: str = ""
    sandbox: bool | None = None
    """Whether the data are made up; None: not told now."""

    @property
    def sentence(self) -> str:
        """All of it."""
        return f"{self.words}: {self.why}" if self.why else self.words


class AssetChanged(NamedTuple):
    """The latest of an asset; `content` is its JSON as it came, `position` where the stream stood, if it came by it."""

    asset: WatchedAsset
    content: bytes
    position: str | None


class AssetRemoved(NamedTuple):
    """An asset is gone, or not one of those that were asked for any more."""

    asset_uid: str
    position: str | None


class Conflated(NamedTuple):
    """So many changes were skipped, because this reader is slow: of each asset the latest comes all the same."""

    skipped: int
    position: str | None


class Reset(NamedTuple):
    """What was told may not be what there is: it is to be forgotten, and all there is follows."""

    reason: str
    position: str | None


Update = LinkChanged | AssetChanged | AssetRemoved | Conflated | Reset
