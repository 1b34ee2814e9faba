"""`kasparro watch`: on a terminal, in a pipe and for scripts, before the running service."""

import asyncio
import json
import signal
from decimal import Decimal
from typing import Any

from tests.integration.query.answers import Api
from tests.integration.query.commands import Ended, kasparro, line_of, on_a_terminal, piped
from tests.integration.query.rows import AssetRow, insert_assets

HOSTILE = "<\x1b]0;owned\x07\u202eevil[red]>"
BTC = AssetRow("btc", 1, Decimal("66927.227380145"), Decimal(1_317_629_789_047), Decimal(25_000))
ETH = AssetRow("eth", 2, Decimal("3.84e-18"), source="csv")


def address(api: Api) -> str:
    return str(api.client.make_url("")).rstrip("/")


async def change_price(database: Any, uid: str, price: str) -> None:
    await database.execute(
        "UPDATE assets SET price_usd = $2, version = nextval('asset_versions'), updated_at = now() WHERE asset_uid = $1",
        uid,
        Decimal(price),
    )


async def once(api: Api, *words: str) -> Ended:
    return await kasparro("watch", "--once", "--api", address(api), *words, API_TOKEN="wrong")


async def test_one_picture_in_a_pipe_has_whole_prices_and_whose_they_are(api: Api, database: Any) -> None:
    await insert_assets(database, [BTC, ETH, AssetRow(HOSTILE, 3, Decimal(1), agreeing="[]")])
    ended = await once(api)
    assert (ended.code, ended.err) == (0, ""), ended
    title, header, btc, eth, hostile, *attribution = ended.out.splitlines()
    assert title.startswith(f"3 assets at {address(api)}")
    assert header.split()[:4] == ["asset", "name", "price", "USD"]
    assert btc.split()[:4] == ["btc", "The", "btc", "66927.227380145"]
    assert "1.318 T" in btc
    assert eth.split()[3] == "3.84e-18"
    assert "<\\x1b]0;owned\\x07\\u202eevil[red]>" in hostile
    assert "Powered by CoinPaprika https://coinpaprika.com" in attribution
    assert not set(ended.out) & set("\x1b\x07\u202e")
    assert len((await once(api, "--top", "1")).out.splitlines()) == len(ended.out.splitlines()) - 2
    assert "eth" not in (await once(api, "--source", "coingecko")).out.replace("The", "")


async def test_signs_that_the_terminals_encoding_lacks_are_spelt_out(api: Api, database: Any) -> None:
    await insert_assets(database, [AssetRow("münz中")])
    ended = await kasparro("watch", "--once", "--api", address(api), PYTHONIOENCODING="latin-1:strict")
    assert (ended.code, ended.err) == (0, ""), ended
    assert "m\ufffdnz\\u4e2d" in ended.out  # what was sent is Latin-1, and is read as UTF-8 here


async def test_named_assets_are_shown_in_their_order_and_one_that_is_not_there_ends_with_1(api: Api, database: Any) -> None:
    await insert_assets(database, [BTC, ETH])
    ended = await once(api, "ETH", "nosuch", "btc")
    assert (ended.code, ended.err) == (1, "error: there is no asset nosuch\n")
    assert [line.split()[0] for line in ended.out.splitlines()[2:4]] == ["eth", "btc"]
    document = json.loads((await once(api, "btc", "--json")).out, parse_float=Decimal)
    assert set(document) == {"api", "at", "sandbox", "data", "attribution"}
    assert (document["sandbox"], document["data"][0]["price_usd"]) == (False, Decimal("66927.227380145"))


async def test_without_a_stream_it_polls_and_says_so(api: Api, database: Any) -> None:
    await insert_assets(database, [BTC, ETH])
    async with piped("watch", "--json", "--api", address(api)) as child:
        lines = [json.loads(await line_of(child), parse_float=Decimal) for _ in range(2)]
        assert [(one["event"], one["data"]["asset_uid"], one["sandbox"]) for one in lines] == [
            ("asset", "btc", False),
            ("asset", "eth", False),
        ]
        assert lines[0]["data"]["price_usd"] == BTC.price_usd
        await change_price(database, "btc", "70000.5")
        await database.execute("DELETE FROM assets WHERE asset_uid = 'eth'")
        changed, gone = [json.loads(await line_of(child), parse_float=Decimal) for _ in range(2)]
        assert (changed["data"]["asset_uid"], changed["data"]["price_usd"]) == ("btc", Decimal("70000.5"))
        assert (gone["event"], gone["data"]) == ("removed", {"asset_uid": "eth"})
        child.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(child.wait(), 30) == 130
        assert child.stderr
        assert "polling every 5 s" in (await child.stderr.read()).decode()


async def test_who_reads_no_more_ends_it_at_once_and_well(api: Api, database: Any) -> None:
    await insert_assets(database, [BTC])
    async with piped("watch", "--api", address(api), "btc") as child:
        assert (await line_of(child)).split()[1:4] == ["btc", "66927.227380145", "USD"]
        child._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # what `head` does
        assert await asyncio.wait_for(child.wait(), 30) == 0
        assert child.stderr
        assert "Error" not in (await child.stderr.read()).decode()


async def test_a_terminal_is_filled_follows_and_is_given_back(api: Api, database: Any) -> None:
    await insert_assets(
        database,
        [BTC, AssetRow(HOSTILE, 2, Decimal(1), agreeing="[]"), *(AssetRow(f"u{n}", n, Decimal(n)) for n in range(3, 40))],
    )
    async with on_a_terminal("watch", "--api", address(api), columns=120, lines=20) as terminal:
        picture = await terminal.until_shown(
            "◐ polling every 5 s", "the stream is refused", "66,927.23", "Powered by CoinPaprika"
        )
        assert len(picture.splitlines()) <= 20
        assert "u16" in picture
        assert "u30" not in picture
        await change_price(database, "btc", "70000.5")
        await terminal.until_shown("70,000.50", "▲", "▁█")
        terminal.resize(50, 12)
        picture = await terminal.until_shown("70,000.50", "btc")
        while max(map(len, picture.splitlines())) > 50:
            picture = await terminal.until_shown("btc")
            await asyncio.sleep(0.1)
        assert "market cap" not in picture
        terminal.press_control_c()
        assert await terminal.ended() == 130
        terminal.read()
        said = terminal.said
    assert "\x1b[?1049h" in said
    assert said.rstrip().endswith(("\x1b[?25h", "\x1b[?1049l"))
    assert "\x1b]" not in said
    assert "\u202e" not in said
    assert "Traceback" not in said


async def test_sigterm_gives_the_terminal_back_too(api: Api, database: Any) -> None:
    await insert_assets(database, [BTC])
    async with on_a_terminal("watch", "btc", "nosuch", "--api", address(api)) as terminal:
        await terminal.until_shown("66,927.23", "nosuch is not there")
        terminal.child.send_signal(signal.SIGTERM)
        assert await terminal.ended() == 128 + signal.SIGTERM
        terminal.read()
        assert "\x1b[?1049l" in terminal.said


async def test_a_dumb_terminal_gets_lines(api: Api, database: Any) -> None:
    await insert_assets(database, [BTC])
    async with piped("watch", "--api", address(api), TERM="dumb") as child:
        assert "66927.227380145 USD" in await line_of(child)
