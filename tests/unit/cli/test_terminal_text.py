"""What providers send is shown, and is no order to the terminal."""

import io
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from services.cli.screen import Screen
from services.cli.tables import Cell, Table, Tone, draw, fitted
from services.cli.terminal_text import on_lines, on_one_line

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066\u200f[red]x[/]\r\n\0"


@given(st.text())
@example(HOSTILE)
def test_no_character_that_a_terminal_obeys_is_left(text: str) -> None:
    assert on_one_line(text).isprintable()
    assert on_lines(text).replace("\n", "").replace("\t", "").isprintable()
    assert not any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in on_one_line(text))


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"])))
@example("😀 Ünïcode ₿ 中文 عربي")
def test_what_is_only_read_stays_as_it_is(text: str) -> None:
    assert on_one_line(text) == text


def test_nothing_that_the_screen_prints_is_an_order_or_markup() -> None:
    paper = io.StringIO()
    screen = Screen(
        Console(file=paper, highlight=False, soft_wrap=True, force_terminal=True, color_system=None), Console(file=paper)
    )
    screen.say(HOSTILE)
    screen.warn(HOSTILE)
    screen.fail(HOSTILE)
    screen.tell(HOSTILE)
    screen.log_line("csv", HOSTILE)
    screen.judge("wrong", HOSTILE, Tone.WRONG)
    screen.table(("a",), [(HOSTILE,)])
    screen.draw(Table("t", ("a",), [[Cell(HOSTILE)]]))
    screen.banner("t", [("a", HOSTILE)], [])
    with screen.step("Kafka") as step:
        step.tell(HOSTILE)
        step.done_as(HOSTILE)
    printed = paper.getvalue()
    assert not set(printed) & set("\x07\x9b\u202e\u2066\u200f\0")
    assert "\x1b]" not in printed
    assert "\x1b[2J" not in printed
    assert printed.count("[red]x[/]") >= 9


@given(text=st.text(), width=st.integers(2, 30), right=st.booleans())
def test_a_cell_is_just_as_wide_as_its_column(text: str, width: int, *, right: bool) -> None:
    assert cell_len(fitted(text, width, right=right)) == width


def test_a_table_is_aligned_by_what_a_terminal_shows_and_coloured_there_alone() -> None:
    table = Table(
        "Coins", ("name", "rank"), [[Cell("中文"), Cell("1", Tone.GOOD)], [Cell("abc"), Cell("20")]], numbers=frozenset({"rank"})
    )
    pipe, terminal = io.StringIO(), io.StringIO()
    draw(Console(file=pipe), table)
    draw(Console(file=terminal, force_terminal=True, color_system="truecolor", width=10), table)
    assert pipe.getvalue() == "Coins\n  name  rank\n  中文     1\n  abc     20\n"
    assert "\x1b[32m" in terminal.getvalue()
    assert "…" in terminal.getvalue()


def test_a_table_with_nothing_in_it_says_so() -> None:
    paper = io.StringIO()
    draw(Console(file=paper), Table("Gaps", ("kind",), []))
    assert paper.getvalue() == "Gaps\n  none\n"
