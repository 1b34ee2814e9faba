import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.rejections import Reason
from libs.sources.answers import AnswerError
from libs.sources.delimited.table import LONGEST_DEAD_LETTER, Table, read_table


def good(table: Table) -> list[tuple[int, dict[str, str]]]:
    return [(row.line, json.loads(row.payload)) for row in table.rows if row.rejection is None]


def read(text: str | bytes) -> Table:
    return read_table(text if isinstance(text, bytes) else text.encode(), "market.csv")


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_line_ends_do_not_matter(delimiter: str, encoding: str, newline: str) -> None:
    lines = ["Symbol,Name,Price", 'BTC,Bitcoin,"67,685.77"', "\N{ROCKET},Stra\N{LATIN SMALL LETTER SHARP S}e,1"]
    text = newline.join(line if '"' in line and delimiter == "," else line.replace(",", delimiter) for line in lines)
    text = text.replace(f'"67{delimiter}685.77"', '"67,685.77"')
    assert good(read(text.encode(encoding))) == [
        (2, {"Symbol": "BTC", "Name": "Bitcoin", "Price": "67,685.77"}),
        (3, {"Symbol": "\N{ROCKET}", "Name": "Stra\N{LATIN SMALL LETTER SHARP S}e", "Price": "1"}),
    ]


def test_lines_are_those_of_the_file() -> None:
    text = 'symbol,name\n\nBTC,"Bit\ncoin"\n , \nETH,Ether\n'
    assert [line for line, _ in good(read(text))] == [3, 6]


def test_payload_keeps_header_order_and_cells_as_written() -> None:
    [row] = read("Price,Symbol,Note\n 1.50 ,BTC, x \n").rows
    assert row.payload == b'{"Price":"1.50 ","Symbol":"BTC","Note":"x "}'


def test_headers_that_repeat_or_are_empty_get_names_of_their_own() -> None:
    table = read("symbol,Price,Price,,Price (2)\nBTC,1,2,3,4\n")
    assert table.columns == ("symbol", "Price", "Price (2)", "column 4", "Price (2) (2)")
    assert good(table)[0][1]["Price (2)"] == "2"


def test_excel_s_hint_and_a_header_in_the_middle_are_no_rows() -> None:
    assert len(good(read("sep=;\nsymbol;price\nBTC;1\nsymbol;price\nETH;2\n"))) == 2


def test_blank_cells_behind_the_last_column_are_no_trouble() -> None:
    assert good(read("symbol,price\nBTC,1,,\n")) == [(2, {"symbol": "BTC", "price": "1"})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"BAD,67,685.77", Reason.WRONG_SHAPE),
        (b"BAD", Reason.WRONG_SHAPE),
        (b"BAD,caf\xe9", Reason.UNDECODABLE),
        (b'BAD,"x"y', Reason.UNDECODABLE),
        (b'BAD,"never closed', Reason.UNDECODABLE),
        (b"BAD," + b"x" * 200_000, Reason.UNDECODABLE),
    ],
)
def test_a_bad_row_keeps_its_bytes_and_spares_its_neighbours(line: bytes, reason: Reason) -> None:
    rows = list(read(b"symbol,price\nBTC,1\n" + line + b"\nETH,2\nXRP,3\n").rows)
    assert [(row.line, row.rejection is None) for row in rows] == [(2, True), (3, False), (4, True), (5, True)]
    bad = rows[1]
    assert bad.rejection is not None
    assert bad.rejection.reason is reason
    assert "line 3" in bad.rejection.detail
    assert bad.payload == line + b"\n"


def test_an_unclosed_quote_in_a_long_file_costs_one_line() -> None:
    text = "symbol,name\n" + "".join(f'S{place},"open\n' if place % 40 == 0 else f"S{place},name\n" for place in range(1, 1001))
    assert len(good(read(text))) == 1000 - 25


def test_a_row_too_large_for_a_topic_is_kept_in_part() -> None:
    [row] = read(b"symbol,name\nA," + b"x" * 2_000_000 + b"\n").rows
    assert row.rejection is not None
    assert len(row.payload) == LONGEST_DEAD_LETTER


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n\r\n", "is empty"),
        (b"Coin,Price\nBTC,1\n", "no symbol column; the columns found are 'Coin', 'Price'"),
        (b"<html><body>Not found</body></html>", "no symbol column"),
        (b"PK\x03\x04...", "Excel workbook"),
        (b"\x1f\x8b...", "gzip"),
        ("symbol,price\nBTC,1".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"symbol,pr\xe9is\nBTC,1\n", "not UTF-8"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(content: bytes, words: str) -> None:
    with pytest.raises(AnswerError, match=words) as told:
        read(content)
    assert "market.csv" in str(told.value)


def test_a_header_alone_is_a_table_without_rows() -> None:
    assert list(read("symbol,price\n").rows) == []


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)


@given(st.lists(st.tuples(cells, cells), max_size=6), st.sampled_from(",;\t|"))
def test_whatever_a_spreadsheet_quotes_comes_back(rows: Sequence[tuple[str, str]], delimiter: str) -> None:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    text = "".join(delimiter.join(map(quoted, row)) + "\r\n" for row in [("symbol", "note"), *rows])
    told = [row for row in rows if any(cell.strip() for cell in row) and row != ("symbol", "note")]
    assert [(row["symbol"], row["note"]) for _, row in good(read(text))] == told
