"""What a session remembers of each asset, and how it is laid out on a terminal of any size."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from services.cli.watch.assets import Attribution, Listing, WatchedAsset
from services.cli.watch.board import FLASH_SECONDS, MOST_PRICES, Board
from services.cli.watch.columns import COLUMNS, Now, that_fit
from services.cli.watch.drawing import Picture
from services.cli.watch.updates import Link, LinkChanged

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def asset(uid: str = "btc", price: str | None = "10", *, rank: int | None = 1, **fields: Any) -> WatchedAsset:
    told: dict[str, Any] = {
        "version": 1,
        "name": uid.title(),
        "taken": Listing("csv", uid),
        "market_cap_usd": Decimal(5_000_000),
        "volume_24h_usd": None,
        "percent_change_1h": Decimal("1.5"),
        "percent_change_24h": Decimal("-2.25"),
        "percent_change_7d": None,
        "price_spread_percent": Decimal("0.3"),
        "source_updated_at": AT - timedelta(minutes=4),
    }
    shown = None if price is None else Decimal(price)
    return WatchedAsset(asset_uid=uid, market_cap_rank=rank, price_usd=shown, **(told | fields))


def drawn(picture: Picture, width: int = 160, height: int = 20, monotonic: float = 100.0) -> list[str]:
    paper = io.StringIO()
    Console(file=paper, width=width, height=height).print(picture.drawn(width, height, Now(AT, monotonic)))
    return paper.getvalue().splitlines()


def picture_of(board: Board, most: int = 25, *, sandbox: bool = False) -> Picture:
    return Picture(
        board, "http://api", most, sandbox, [Attribution("Powered by Coins", "https://coins")], LinkChanged(Link.LIVE, "live")
    )


def test_a_move_of_the_price_is_shown_for_a_moment_and_its_direction_for_longer() -> None:
    board = Board()
    for moment, price in ((0.0, "10"), (1.0, "10"), (2.0, "11"), (3.0, "9"), (4.0, None)):
        board.take(asset(price=price), moment)
    (row,) = board.shown(5)
    assert (list(row.prices), row.direction, row.moved_at) == ([Decimal(10), Decimal(11), Decimal(9)], -1, 3.0)
    assert row.flashes(3.0 + FLASH_SECONDS / 2)
    assert not row.flashes(3.0 + 2 * FLASH_SECONDS)
    assert board.changes == 5


def test_a_session_remembers_so_many_prices_and_no_more() -> None:
    board = Board()
    for number in range(10 * MOST_PRICES):
        board.take(asset(price=str(number + 1)), float(number))
    assert len(board.shown(1)[0].prices) == MOST_PRICES


def test_the_best_ranks_come_first_and_what_has_none_last() -> None:
    board = Board()
    for uid, rank in (("c", None), ("b", 7), ("a", 2), ("d", 7)):
        board.take(asset(uid, rank=rank), 0.0)
    assert [row.asset_uid for row in board.shown(10)] == ["a", "b", "d", "c"]
    board.remove("b")
    board.remove("nobody")
    assert [row.asset_uid for row in board.shown(2)] == ["a", "d"]


def test_what_was_asked_for_keeps_its_place_and_says_when_it_is_not_there() -> None:
    board = Board(("eth", "btc"))
    board.take(asset("btc"), 0.0)
    assert "eth is not there" in "\n".join(drawn(picture_of(board)))
    board.take(asset("eth"), 0.0)
    board.remove("btc")
    assert [(row.asset_uid, row.asset is None) for row in board.shown(10)] == [("eth", False), ("btc", True)]


@given(width=st.integers(20, 250), height=st.integers(3, 60), assets=st.integers(0, 40), name=st.text(), sandbox=st.booleans())
def test_a_picture_never_leaves_the_terminal(width: int, height: int, assets: int, name: str, *, sandbox: bool) -> None:
    board = Board()
    for number in range(assets):
        board.take(asset(f"{name}{number}", rank=number, name=name, warnings=("price_jumped",)), 0.0)
    lines = drawn(picture_of(board, 500, sandbox=sandbox), width, height)
    assert len(lines) <= max(height, 5)
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [10, 24, 40, 80, 120, 200])
def test_columns_go_by_what_matters_and_the_price_stays(width: int) -> None:
    titles = [column.title for column in that_fit(width)]
    assert {"asset", "price USD"} <= set(titles)
    assert [column for column in COLUMNS if column in that_fit(width)] == list(that_fit(width))
    assert (len(titles) == len(COLUMNS)) == (width == 200)


def test_a_picture_says_where_it_comes_from_and_whose_data_they_are() -> None:
    board = Board()
    board.take(asset(price="66927.227380145", warnings=("volume_implausible",)), 0.0)
    board.take(asset(price="66928", version=2, warnings=("volume_implausible",)), 99.9)
    board.skipped = 12
    lines = drawn(picture_of(board, sandbox=True), 200)
    assert "● live  http://api" in lines[0]
    assert "SANDBOX" in lines[1]
    assert lines[3].split() == [
        *("!", "btc", "Btc", "66,928.00", "▲", "+1.50%", "-2.25%", "-", "▁█", "5.000", "M", "-", "4", "min", "0.30%", "csv"),
        "volume_implausible",
    ]
    assert "12 changes were skipped" in lines[-2]
    assert "Powered by Coins https://coins" in lines[-1]


def test_what_was_forgotten_is_shown_again_when_it_comes_with_its_session() -> None:
    board = Board()
    board.take(asset("btc", "10"), 0.0)
    board.take(asset("eth", "1"), 0.0)
    board.forget()
    assert board.shown(5) == []
    board.take(asset("btc", "11"), 1.0)
    assert [(row.asset_uid, list(row.prices)) for row in board.shown(5)] == [("btc", [Decimal(10), Decimal(11)])]


def test_a_session_without_assets_says_so() -> None:
    assert "no assets yet" in "\n".join(drawn(picture_of(Board())))
