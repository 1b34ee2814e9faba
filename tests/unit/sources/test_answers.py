import json
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.sources.answers import AnswerError, rows_in
from tests.recorded import FIXTURES, RECORDED, needs_full_recordings

objects = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3)
spaces = st.sampled_from(["", " ", "\n", "\r\n\t "])


@given(st.lists(objects, min_size=1, max_size=5), spaces)
def test_rows_are_the_bytes_that_were_sent(rows: list[dict[str, object]], space: str) -> None:
    sent = [json.dumps(row).encode() for row in rows]
    between = f"{space},{space}".encode()
    assert rows_in(b"[" + space.encode() + between.join(sent) + space.encode() + b"]\n") == sent


def test_digits_of_a_recorded_answer_are_untouched() -> None:
    answer = (FIXTURES / "coinpaprika_tickers.json").read_bytes()
    rows = rows_in(answer)
    assert len(rows) == 13
    assert b"[" + b",\n".join(rows) + b"]\n" == answer


def test_a_byte_order_mark_is_no_part_of_the_answer() -> None:
    assert rows_in(b"\xef\xbb\xbf[{}]") == [b"{}"]


def test_an_empty_list_is_an_answer_unless_the_caller_knows_better() -> None:
    assert rows_in(b" [ ] ") == []
    with pytest.raises(AnswerError, match="empty list"):
        rows_in(b"[]", may_be_empty=False)


@pytest.mark.parametrize(
    "bad",
    [b'{"name":"\\ud83d"}', b'{"name":"\\udc00 \\ud83d"}', b'{"price":NaN}', b'{"name":"\xff\xfe"}', b"3", b"null", b'"text"'],
)
def test_a_bad_row_spares_its_neighbours(bad: bytes) -> None:
    assert rows_in(b'[{"id":"a"},' + bad + b' , {"id":"b"}]') == [b'{"id":"a"}', bad, b'{"id":"b"}']


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"<!DOCTYPE html><title>Just a\n moment</title>", "HTML page, not JSON: 'Just a moment'"),
        (b'[{"id":"a"},{"id":"b', "truncated"),
        (b'[{"id":"a"},{"id":"\\ud8', "truncated|not readable"),
        (b'[{"id":"a"}]]', "not readable as JSON"),
        (b'[{"id":"a"} {"id":"b"}]', "not readable as JSON"),
        (b'{"error":"id not found"}', "the provider says: id not found"),
        (b'{"status":{"error_code":429,"error_message":"Slow down"}}', "the provider says: Slow down"),
        (b'{"error":{"code":10,"message":"No such plan"}}', "the provider says: No such plan"),
        (b'{"rows":[]}', "not a list"),
        (b'{"data":[{"id":"a"}],"status":"ok"}', "not a list: it begins"),
        (b"null", "not a list"),
        (b"Service Unavailable", "not JSON: it begins 'Service Unavailable'"),
        (b"\xff\xfe\x00", "not JSON"),
        (b'["bitcoin",1]', "not of objects"),
        (b"[[{}]]", "not of objects"),
        (b"[" * 100_000, "list that is"),
        (b"{" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_list_of_rows_is_called_what_it_is(answer: bytes, words: str) -> None:
    with pytest.raises(AnswerError, match=words):
        rows_in(answer)


@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda tail: b'[{"a":' + tail))
def test_no_bytes_do_more_than_fail_the_answer(answer: bytes) -> None:
    with suppress(AnswerError):
        assert all(isinstance(row, bytes) for row in rows_in(answer))


@needs_full_recordings
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("coingecko_404.json", "Could not find coin"),
        ("coingecko_429.json", "You've exceeded the Rate Limit"),
        ("coingecko_429.html", "HTML page, not JSON: 'Access denied"),
        ("coinpaprika_402.json", "is not allowed in this plan"),
        ("coinpaprika_404.json", "id not found"),
    ],
)
def test_recorded_errors_are_told_in_the_provider_s_words(name: str, words: str) -> None:
    with pytest.raises(AnswerError, match=re.escape(words)):
        rows_in((RECORDED / "errors" / name).read_bytes())
