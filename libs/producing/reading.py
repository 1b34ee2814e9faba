"""Reading an answer's rows: which content of which listing each is. Most were read lately, and are not read again."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from libs.contracts.cursors import ContentOf
from libs.domain.identity import content_hash
from libs.domain.rejections import Rejection
from libs.producing.fetching import Answer
from libs.producing.published import content_of
from libs.producing.row_contents import RowContents
from libs.sources.source import RowIdentity, Source


class Rows(NamedTuple):
    """What an answer's rows are, by their places in it.

    A bad row has a content too, so that it is set aside once and not at each poll. `identities` are of the rows that were
    read now: of those whose content was remembered, nearly always nobody asks for it.
    """

    contents: Sequence[ContentOf]
    identities: Mapping[int, RowIdentity | Rejection]


def read_rows(source: Source, answer: Answer, remembered: RowContents) -> Rows:
    """Read each row at most once: what listing it is, or why it is none."""
    identities: dict[int, RowIdentity | Rejection] = dict(answer.rejections)
    known = remembered.at_once(answer.rows)
    for place, rejection in answer.rejections.items():
        known[place] = _content(source.name, rejection, answer.rows[place])

    def read(place: int) -> ContentOf:
        payload = answer.rows[place]
        content = remembered.of(payload)
        if content is None:
            identity = identities[place] = source.identify(payload, answer.updated_at)
            content = _content(source.name, identity, payload)
            remembered.put(payload, content)
        return content

    return Rows([content or read(place) for place, content in enumerate(known)], identities)


def _content(source: str, identity: RowIdentity | Rejection, payload: bytes) -> ContentOf:
    source_id = "" if isinstance(identity, Rejection) else identity.source_id
    tick_id = content_hash(source, source_id, payload)
    # Rows without a listing have nothing in common: each is its own.
    return content_of(source_id or tick_id.hex(), tick_id)
