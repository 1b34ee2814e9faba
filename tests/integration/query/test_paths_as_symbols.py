from typing import Any

from services.query.api import ENDPOINTS
from tests.integration.query.answers import Api
from tests.integration.query.rows import AssetRow, insert_assets

WORDS = [end for one in ENDPOINTS if (end := one.path.removeprefix("/data/")) != one.path and end.isalpha()]


async def test_a_symbol_that_is_a_path_is_read_in_upper_case_and_by_the_filter(api: Api, database: Any) -> None:
    """The page asks so; so may everybody (docs/http-api.md)."""
    assert {"count", "stream"} <= set(WORDS)
    await insert_assets(database, [AssetRow(word) for word in WORDS])
    for word in WORDS:
        assert (await api.get(f"/data/{word.upper()}")).body["asset_uid"] == word
        assert [one["asset_uid"] for one in (await api.get(f"/data?symbol={word}")).body["data"]] == [word]
