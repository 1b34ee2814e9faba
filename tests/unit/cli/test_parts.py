"""Which parts `kasparro up` starts."""

import pytest

from libs.contracts.topics import SOURCE_TOPICS
from services.cli.errors import UnknownPartError
from services.cli.parts import Parts, choose, producers_found


def test_every_source_with_topics_has_a_producer_folder() -> None:
    assert set(producers_found()) == set(SOURCE_TOPICS)


def test_everything_is_the_default() -> None:
    chosen = choose(only=[], producers=True, normalizer=True, query=True)
    assert chosen.services == ("coingecko", "coinpaprika", "csv", "normalizer", "query")


def test_an_optional_source_is_started_where_it_is_named_and_asked_for_otherwise() -> None:
    chosen = choose(only=[], producers=True, normalizer=True, query=True, extra_sources={"binance"})
    assert chosen.services == (*producers_found(), "normalizer", "query")
    with pytest.raises(UnknownPartError, match="EXTRA_SOURCES=binance"):
        choose(only=["binance"], producers=True, normalizer=True, query=True)


def test_options_take_parts_away() -> None:
    assert choose(only=[], producers=False, normalizer=True, query=False) == Parts((), normalizer=True, query=False)


def test_only_names_parts_and_servers_alone_are_none_of_them() -> None:
    assert choose(only=["csv", "query"], producers=True, normalizer=True, query=True).services == ("csv", "query")
    assert choose(only=["servers"], producers=True, normalizer=True, query=True).services == ()


def test_an_unknown_part_names_the_known_ones() -> None:
    with pytest.raises(UnknownPartError, match=r"acme.*coingecko"):
        choose(only=["acme"], producers=True, normalizer=True, query=True)


def test_what_is_both_named_and_taken_away_is_not_started() -> None:
    named = choose(only=["csv", "query", "normalizer"], producers=False, normalizer=False, query=True)
    assert named.services == ("query",)
