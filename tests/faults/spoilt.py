"""Records that nobody should have sent: ticks with each field spoilt in each way, and what Hypothesis makes from a seed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from libs.domain.identity import tick_id_of

Draw = Callable[[st.SearchStrategy[Any]], Any]
Fields = Mapping[str, bytes]
"""A JSON object whose values are still the text that stands for them, which may be none that JSON allows."""
AT = "2026-01-01T00:00:00Z"


class Spoilt(NamedTuple):
    """A record; without a partition it goes to that of its key."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


UGLY_VALUES: Sequence[Any] = (
    None, True, 0, -1, 1e308, 2**31, 2**63, 10**400, -(10**30), 1.5, "", " ", "\0", "a\0b", "\u202egnp", "NaN", "Infinity",
    "1e999999999", "9" * 5_000, "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2999-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "yesterday", "🚀" * 400, "x" * 20_000, [], {},
    [[]] * 3, {"": {"": {}}}, "'; DROP TABLE quotes; --", "\ud800", "\udc00\ud800",
)  # fmt: skip
UGLY_TEXTS: Sequence[bytes] = (
    *(json.dumps(value).encode() for value in UGLY_VALUES),
    *(b"NaN", b"-Infinity", b"1e400000", b"1e-400000", b"9" * 200_000, b"0." + b"1" * 2_000, b"-0", b"01", b"0x10"),
    *(b"", b"tru", b'"open', b'"\xff\xfe"', b'"\\u00"', b"\0", b'{"a":1,"a":2}', b'1,"name":"told twice"'),
    *(b"[" * 150 + b"]" * 150, b"[" * 900 + b"]" * 900, b"[" * 20_000 + b"]" * 20_000, b'{"a":' * 2_000 + b"1" + b"}" * 2_000),
)
TEXT = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
UGLY = st.sampled_from(UGLY_TEXTS) | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.lists(st.tuples(st.text("abc.-_ é", max_size=12), st.binary(max_size=40)), max_size=3).map(tuple)
RAW_BYTES = st.binary(max_size=300) | st.sampled_from(
    [b"", b"{}", b"[]", b"null", b"[" * 20_000, b"\xff\xfe{}", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b'{"tick_id":']
)
PAYLOAD_FIELDS: Mapping[str, Sequence[str]] = {
    "coingecko": (
        "id", "symbol", "name", "current_price", "market_cap", "market_cap_rank", "total_volume", "circulating_supply",
        "total_supply", "max_supply", "last_updated", "price_change_percentage_1h_in_currency",
        "price_change_percentage_24h", "price_change_percentage_7d_in_currency", "image",
    ),
    "coinpaprika": (
        "id", "symbol", "name", "rank", "circulating_supply", "total_supply", "max_supply", "last_updated", "quotes",
        "beta_value",
    ),
}  # fmt: skip
FRAME_FIELDS = ("tick_id", "source", "source_id", "asset_uid", "run_id", "fetched_at", "source_updated_at", "payload")


def every_field_spoilt(source: str) -> Iterator[Spoilt]:
    """Each field of the row and of the tick around it with each ugly value, left out, and told twice."""
    number = 0
    for name in PAYLOAD_FIELDS[source]:
        for text in UGLY_TEXTS:
            number += 1
            yield _record(tick(source, number, {name: text}))
    for name in FRAME_FIELDS:
        whole = tick(source, number, {})
        yield _record({field: text for field, text in whole.items() if field != name})
        yield Spoilt(_key_of(whole), object_of(whole)[:-1] + b',"%b":%b}' % (name.encode(), whole[name]))
        for text in UGLY_TEXTS:
            number += 1
            yield _record(tick(source, number, {}) | {name: text})
    for partition in range(3):  # a uid has one partition, by its key; whoever sends it elsewhere breaks nothing
        number += 1
        yield _record(tick(source, number, {}))._replace(partition=partition)


@st.composite
def records(draw: Draw, source: str) -> Spoilt:
    """One record in five is bytes or some JSON; the rest are ticks with something wrong in the row, the tick or the key."""
    headers, partition = draw(HEADERS), draw(st.none() | st.integers(0, 5))
    what = draw(st.integers(0, 9))
    if what == 0:
        return Spoilt(draw(st.none() | st.binary(max_size=30)), draw(st.none() | RAW_BYTES), headers, partition)
    if what == 1:
        return Spoilt(draw(st.binary(max_size=30)), json.dumps(draw(JSON)).encode(), headers, partition)
    spoilt = {draw(st.sampled_from(PAYLOAD_FIELDS[source])): draw(UGLY)}
    frame = tick(source, draw(st.integers(10_000, 10**6)), spoilt)
    if what > 5:
        frame[draw(st.sampled_from(FRAME_FIELDS))] = draw(UGLY)
    key = draw(st.binary(max_size=10)) if what == 2 else _key_of(frame)
    return Spoilt(key, object_of(frame), headers, partition)


def tick(source: str, number: int, spoilt: Fields) -> dict[str, bytes]:
    """A tick of a listing of ours by field; what is spoilt in its row is so in its tick_id too, so the row is judged."""
    source_id, symbol = f"spoilt-{number}", f"spoilt{number % 50}"
    row: dict[str, Any] = {"id": source_id, "symbol": symbol, "name": "Spoilt", "last_updated": AT}
    if source == "coingecko":
        row |= {"current_price": number, "market_cap": 1, "market_cap_rank": 90_000}
    else:
        row |= {"rank": 90_000, "quotes": {"USD": {"price": number, "market_cap": 1}}}
    payload = object_of(texts(row) | dict(spoilt))
    told = {
        "tick_id": str(tick_id_of(source, source_id, payload)),
        "source": source,
        "source_id": source_id,
        "asset_uid": symbol,
        "run_id": str(run_of(number)),
        "fetched_at": AT,
        "source_updated_at": AT,
    }
    return texts(told) | {"payload": payload}


def run_of(number: int) -> UUID:
    """The run that a spoilt record names: one that nobody has asked for."""
    return uuid5(NAMESPACE_URL, f"spoilt-{number}")


def texts(fields: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in fields.items()}


def object_of(fields: Fields) -> bytes:
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), text) for name, text in fields.items()) + b"}"


def _record(frame: Fields) -> Spoilt:
    return Spoilt(_key_of(frame), object_of(frame))


def _key_of(frame: Fields) -> bytes:
    """What a producer would have taken for its key, where the uid is one."""
    try:
        return str(json.loads(frame["asset_uid"])).encode("utf-8", "replace")
    except (KeyError, ValueError, RecursionError):
        return b"spoilt"


def made(strategy: st.SearchStrategy[Any], count: int, from_seed: int) -> list[Any]:
    """Return about `count` examples, the same from the same seed."""
    found: list[Any] = []

    @seed(from_seed)
    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found
