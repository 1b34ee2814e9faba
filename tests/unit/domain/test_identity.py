from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.identity import LONGEST_ASSET_UID, asset_uid_of, tick_id_of
from libs.domain.rejections import Reason, Rejection

parts = st.tuples(st.text(max_size=4), st.text(max_size=4), st.binary(max_size=4))


@given(parts, parts)
def test_tick_ids_differ_exactly_where_content_or_listing_differs(
    one: tuple[str, str, bytes], other: tuple[str, str, bytes]
) -> None:
    assert (tick_id_of(*one) == tick_id_of(*other)) == (one == other)


def test_tick_id_never_changes_over_versions() -> None:
    """Stored ids outlive the code: another hash would store every row of a replay once more."""
    assert tick_id_of("coingecko", "bitcoin", b'{"id":"bitcoin"}') == UUID("1b467669-6964-7ce2-b6ca-c1e9c542a398")


def test_parts_of_a_tick_id_do_not_run_together() -> None:
    assert tick_id_of("ab", "c", b"d") != tick_id_of("a", "bc", b"d") != tick_id_of("a", "b", b"cd")


@given(st.text(max_size=80))
def test_asset_uid_is_the_symbol_trimmed_and_lower_cased_or_a_reason(symbol: str) -> None:
    asset_uid = asset_uid_of(symbol)
    if isinstance(asset_uid, Rejection):
        assert asset_uid.reason in {Reason.MISSING_SYMBOL, Reason.SYMBOL_TOO_LONG, Reason.NUL_CHARACTER}
    else:
        assert asset_uid == symbol.strip().lower()
        assert 0 < len(asset_uid) <= LONGEST_ASSET_UID


@pytest.mark.parametrize(
    ("symbol", "asset_uid"),
    [(" BTC\n", "btc"), ("$PAC", "$pac"), ("A/B c", "a/b c"), ("\N{ROCKET}", "\N{ROCKET}"), ("x" * 64, "x" * 64)],
)
def test_odd_symbols_name_assets(symbol: str, asset_uid: str) -> None:
    assert asset_uid_of(symbol) == asset_uid


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        (None, Reason.MISSING_SYMBOL),
        (" \t", Reason.MISSING_SYMBOL),
        ("x" * 65, Reason.SYMBOL_TOO_LONG),
        ("b\x00c", Reason.NUL_CHARACTER),
    ],
)
def test_what_names_no_asset_has_its_reason(symbol: str | None, reason: Reason) -> None:
    rejection = asset_uid_of(symbol)
    assert isinstance(rejection, Rejection)
    assert rejection.reason is reason
