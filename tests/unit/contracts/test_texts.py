"""Nobody may publish an event that Postgres can never store: it would be set aside, and its run would have no end."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from libs.contracts.commands import PollCommand
from libs.contracts.run_events import RUN_EVENT, ShardFailed

AT = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize("where", ["source", "shard"])
def test_a_command_with_a_name_that_cannot_be_stored_is_refused_where_it_comes_in(where: str) -> None:
    names = {"source": "coingecko", "shard": "1"} | {where: "a\0b"}
    command = {"run_id": UUID(int=1), "trigger": "manual", "requested_at": AT, "expires_at": AT, **names}
    with pytest.raises(ValidationError, match="NUL"):
        PollCommand.model_validate(command)


def test_words_that_quote_a_nul_are_told_and_can_be_stored() -> None:
    told = ShardFailed(run_id=UUID(int=1), source="coingecko", at=AT, shard="1", error='it said "a\0b"')
    assert told.error == 'it said "a\\0b"'
    assert RUN_EVENT.validate_json(RUN_EVENT.dump_json(told)) == told
