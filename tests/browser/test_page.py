"""What people see: lists, an asset, the pipeline, a run, a stream that is cut; by pointer, by keys, on a phone, in the dark."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route, expect

from tests.acceptance.conftest import STOP_SECONDS, Up
from tests.browser.conftest import HOSTILE, PATIENCE_MS, OpenPage, ask

Shoot = Callable[[Page, str], Awaitable[None]]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 860}
PLACES = {"assets": "", "asset": "#/asset/btc", "pipeline": "#/pipeline"}
ROWS = "table.assets tbody tr"
QUICKLY_MS = 300

expect.set_options(timeout=PATIENCE_MS)


async def settle(page: Page, place: str) -> None:
    """Wait until a view has what it shows."""
    if place == PLACES["assets"]:
        await expect(page.locator(ROWS)).to_have_count(50)
    elif place == PLACES["pipeline"]:
        await expect(page.locator("#panel-sources .card")).to_have_count(4)
        await expect(page.locator("#panel-lag tbody tr")).to_have_count(4)
        await expect(page.locator(".bone")).to_have_count(0)
    else:
        await expect(page.locator(".figure .value")).to_contain_text("$")
        await expect(page.locator(".listings table").first).to_be_visible()
        await expect(page.locator("svg.candles")).to_be_visible()


async def test_it_fills_and_says_that_the_numbers_are_made_up(open_page: OpenPage, shoot: Shoot) -> None:
    page = await open_page(viewport=DESK)
    await settle(page, "")
    await expect(page.locator("#sandbox")).to_be_visible()
    await expect(page.get_by_role("link", name="CoinGecko").first).to_have_attribute("href", "https://www.coingecko.com")
    await expect(page).to_have_title("Assets · Kasparro")
    await expect(page.locator(ROWS).first).to_contain_text("Bitcoin")
    # Of a pipeline that has just begun there is a trend once a second minute has a tick, and it is asked for each minute.
    await expect(page.locator("svg.spark path").first).to_be_attached(timeout=5 * PATIENCE_MS)
    await shoot(page, "assets-light")


async def test_a_price_changes_without_a_reload(open_page: OpenPage) -> None:
    page = await open_page()
    await settle(page, "")
    await page.evaluate("window.isTheSame = true")
    value = page.locator(f"{ROWS} .value")
    before = await value.all_inner_texts()
    wide = await page.locator("table.assets").bounding_box()
    await page.wait_for_function(
        "before => [...document.querySelectorAll('table.assets .value')].some((one, n) => one.innerText !== before[n])",
        arg=before,
    )
    assert await page.evaluate("window.isTheSame") is True
    after = await page.locator("table.assets").bounding_box()
    assert wide is not None
    assert after is not None
    assert (after["width"], after["height"]) == (wide["width"], wide["height"])


async def test_the_list_is_searched_sorted_and_paged_by_addresses_that_go_back(open_page: OpenPage) -> None:
    page = await open_page()
    await settle(page, "")
    await page.get_by_label("Search assets").fill("ethereum")
    await expect(page.locator(ROWS).first).to_contain_text("Ethereum")
    await expect(page.locator(".total")).to_contain_text("found")
    assert "q=ethereum" in page.url
    await page.get_by_label("Search assets").fill("no such asset")
    await expect(page.locator(".empty")).to_contain_text("Nothing has that in its symbol or name.")
    await page.go_back()
    await settle(page, "")
    await expect(page.get_by_label("Search assets")).to_have_value("")

    await page.get_by_role("link", name="Price, USD").click()
    await expect(page.locator("th.price")).to_have_attribute("aria-sort", "descending")
    await expect(page.locator(f"{ROWS} .value").first).to_have_text(await dearest(page))
    await page.get_by_role("link", name="Next →").click()
    await expect(page.locator(".paging .place")).to_contain_text("Page 2 of")
    assert "page=2" in page.url
    await page.go_back()
    await expect(page.locator(".paging .place")).to_contain_text("Page 1 of")


async def dearest(page: Page) -> str:
    script = """async () => {
        const { price } = await import('/page/format.js');
        return price((await (await fetch('/data?sort=-price&limit=1')).json()).data[0].price_usd);
    }"""
    return str(await page.evaluate(script))


async def test_an_asset_shows_its_candles_and_where_it_comes_from(open_page: OpenPage, shoot: Shoot) -> None:
    page = await open_page(viewport=DESK)
    await settle(page, "")
    await page.locator(ROWS).first.get_by_role("link").click()
    await settle(page, PLACES["asset"])
    await expect(page).to_have_title("BTC · Bitcoin · Kasparro")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    await expect(page.locator(".why")).to_contain_text("Its values are those of")
    await expect(page.locator(".listings .chip", has_text="taken")).to_have_count(1)
    assert await page.locator("g.candle").count() >= 1
    await page.get_by_role("button", name="1m", exact=True).click()
    await expect(page.get_by_role("button", name="1m", exact=True)).to_have_attribute("aria-pressed", "true")
    stage = page.get_by_role("slider")
    await stage.hover()
    await expect(page.locator(".cross line").first).to_be_attached()
    await stage.focus()
    await page.keyboard.press("Home")
    await expect(stage).to_have_attribute("aria-valuenow", "0")
    assert "open" in str(await stage.get_attribute("aria-valuetext"))
    await shoot(page, "asset-light")


async def test_those_that_lost_are_shown_with_why(open_page: OpenPage) -> None:
    page = await open_page("#/asset/dash")
    await expect(page.get_by_role("table", name="Listings that lost")).to_be_visible()
    impostor = page.locator(".listings tr", has=page.locator(".chip", has_text="another asset"))
    await expect(impostor.locator(".explained").first).to_contain_text("another asset with the same symbol")


async def test_an_asset_that_is_not_there_is_told_and_leads_back(open_page: OpenPage) -> None:
    page = await open_page("#/asset/there-is-none")
    await expect(page.get_by_role("alert")).to_contain_text("there is no asset")
    open_page.complaints.clear()  # type: ignore[attr-defined] # the browser notes each 404
    await page.get_by_role("link", name="All assets", exact=False).last.click()
    await settle(page, "")


async def test_an_asset_that_could_not_be_had_at_first_is_asked_for_again(open_page: OpenPage) -> None:
    page = await open_page("#/pipeline")
    await page.route("**/data/btc", lambda route: route.fulfill(status=503, json={"code": "busy", "detail": "Too much."}))
    await page.evaluate("location.hash = '#/asset/btc'")
    await expect(page.get_by_role("alert")).to_contain_text("Too much.")
    await page.unroute("**/data/btc")
    await settle(page, PLACES["asset"])
    await expect(page.get_by_role("alert")).to_have_count(0)
    await expect(page.locator("#feed")).to_have_attribute("data-state", "live")
    open_page.complaints.clear()  # type: ignore[attr-defined] # the browser notes each 503


@pytest.mark.parametrize(("symbol", "name"), HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_symbols_are_text(open_page: OpenPage, symbol: str, name: str) -> None:
    page = await open_page()
    await page.get_by_label("Search assets").fill(symbol)
    row = page.locator(ROWS).first
    await expect(row.locator("bdi.symbol")).to_have_text(symbol)
    assert await row.locator("bdi.name").text_content() == name
    assert await page.locator("main img, main script").count() == 0
    isolated = "element => [getComputedStyle(element).unicodeBidi, element.dir]"
    assert await row.locator("bdi.symbol").evaluate(isolated) == ["isolate", "auto"]
    await row.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    await expect(page.locator(".figure .value")).to_contain_text("$")


async def test_a_run_by_hand_goes_from_the_click_to_its_end(open_page: OpenPage, up: Up, shoot: Shoot) -> None:
    page = await open_page("#/pipeline", viewport=DESK)
    await settle(page, PLACES["pipeline"])
    card = page.locator(".card", has=page.get_by_role("heading", name="coinpaprika"))
    await card.get_by_role("button").click()
    await expect(card.locator(".progress")).to_have_attribute("data-status", "succeeded", timeout=2 * PATIENCE_MS)
    await expect(card.locator(".run-words")).to_contain_text("2,500 fetched")
    await expect(card.get_by_role("button")).to_be_enabled()
    await expect(page.locator("#announcer")).to_contain_text("coinpaprika: Done")
    await expect(page.locator("#panel-runs tr", has_text="by hand")).to_have_count(1)
    await expect(card.locator("meter")).to_have_count(2)
    await shoot(page, "pipeline-light")
    runs = await ask(up, "/stats?source=coinpaprika&limit=50")
    assert isinstance(runs, dict)
    assert "manual" in {run["trigger"] for run in runs["runs"]}


async def test_the_stream_is_cut_and_goes_on(open_page: OpenPage, up: Up) -> None:
    page = await open_page()
    await settle(page, "")
    await expect(page.locator("#feed")).to_have_attribute("data-state", "live")
    query = next(each for each in up.family if "services.query" in each.cmdline())
    query.kill()
    await expect(page.locator("#feed")).not_to_have_attribute("data-state", "live")
    await expect(page.locator("#feed")).to_have_attribute("data-state", "live", timeout=1_000 * STOP_SECONDS)
    before = await page.locator(f"{ROWS} .value").all_inner_texts()
    await page.wait_for_function(
        "before => [...document.querySelectorAll('table.assets .value')].some((one, n) => one.innerText !== before[n])",
        arg=before,
    )
    open_page.complaints.clear()  # type: ignore[attr-defined] # refused connections, while nobody listened


async def test_a_stream_that_is_refused_is_replaced_by_asking_and_said_so(open_page: OpenPage) -> None:
    page = await open_page("#/pipeline")  # the pipeline has no stream: the list is opened once it is refused
    await page.route("**/data/stream?**", lambda route: route.fulfill(status=503, body="{}"))
    await page.get_by_role("link", name="Assets", exact=True).click()
    await expect(page.locator("#feed")).to_have_text("Asking every 5 s")
    before = await page.locator(f"{ROWS} .value").all_inner_texts()
    await page.wait_for_function(
        "before => [...document.querySelectorAll('table.assets .value')].some((one, n) => one.innerText !== before[n])",
        arg=before,
    )
    open_page.complaints.clear()  # type: ignore[attr-defined] # the browser notes the 503


async def test_an_api_that_is_away_is_told_over_the_numbers_that_were_there(open_page: OpenPage) -> None:
    page = await open_page()
    await settle(page, "")
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Price, USD").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nobody answers.")
    await expect(page.locator("#feed")).to_have_text("API away")
    await expect(page.locator("table.assets")).to_have_class("assets stale")
    await page.context.set_offline(False)
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("alert")).to_have_count(0)
    open_page.complaints.clear()  # type: ignore[attr-defined] # what could not be reached


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PLACES)
async def test_axe_finds_nothing_serious(open_page: OpenPage, shoot: Shoot, name: str, theme: str) -> None:
    page = await open_page(PLACES[name], viewport=DESK, color_scheme=theme, reduced_motion="reduce")
    await settle(page, PLACES[name])
    found = await Axe().run(page)
    serious = [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in found.response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    if theme == "dark":
        await shoot(page, f"{name}-dark")


@pytest.mark.parametrize("name", PLACES)
async def test_on_a_phone_nothing_is_wider_than_the_screen(open_page: OpenPage, shoot: Shoot, name: str) -> None:
    page = await open_page(PLACES[name], viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    await settle(page, PLACES[name])
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    await shoot(page, f"{name}-phone")


async def test_the_theme_follows_the_system_until_it_is_chosen(open_page: OpenPage) -> None:
    page = await open_page(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(ground)
    await page.get_by_role("button", name="Theme").click()
    assert await page.evaluate(ground) != dark
    await page.reload()
    assert await page.evaluate(ground) != dark
    await page.get_by_role("button", name="Theme: Light").click()
    assert await page.evaluate(ground) == dark


async def test_everything_is_reached_by_keys(open_page: OpenPage) -> None:
    page = await open_page()
    await settle(page, "")
    await page.keyboard.press("Tab")
    await expect(page.locator("#skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    reached: list[str] = []
    for _ in range(11):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.innerText || document.activeElement.id"))
    assert reached[0] == "search"
    assert all("Coin" in words for words in reached[1:3])  # whose data it is
    heads = ["#", "Asset", "Price, USD", "Market cap", "Volume 24 h", "True as of"]
    assert [words.replace("\n", "").strip("↑↓ ") for words in reached[3:9]] == heads
    assert "Bitcoin" in reached[9]
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    for _ in range(2):
        await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")  # an order, from its head
    await expect(page.locator("th.updated")).to_have_attribute("aria-sort", "descending")


async def test_the_token_is_asked_for_and_kept_in_the_tab(open_page: OpenPage) -> None:
    page = await open_page("#/pipeline")
    await settle(page, PLACES["pipeline"])
    shown: list[str | None] = []

    async def answer(route: object) -> None:
        shown.append(await route.request.header_value("Authorization"))  # type: ignore[attr-defined] # a Route
        if shown[-1] == "Bearer right":
            await route.continue_()  # type: ignore[attr-defined] # a Route
        else:
            body = '{"code": "unauthorized", "detail": "POST needs the header"}'
            await route.fulfill(status=401, body=body, content_type="application/problem+json")  # type: ignore[attr-defined] # a Route

    await page.route("**/etl/run-background/csv", answer)
    card = page.locator(".card", has=page.get_by_role("heading", name="csv"))
    await card.get_by_role("button").click()
    await page.get_by_label("Token", exact=True).fill("curly\u201d")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text("cannot be sent")
    for token in ("wrong", "right"):
        await page.get_by_label("Token", exact=True).fill(token)
        await page.keyboard.press("Enter")
        if token == "wrong":
            await expect(page.get_by_role("dialog")).to_contain_text("That was not the token")
    await expect(card.locator(".progress")).to_have_attribute("data-status", "succeeded", timeout=2 * PATIENCE_MS)
    assert shown == [None, "Bearer wrong", "Bearer right"]
    assert await page.evaluate("[sessionStorage.length, localStorage.getItem('kasparro-token')]") == [1, None]
    assert "right" not in page.url
    await card.get_by_role("button").click()
    await expect(card.get_by_role("button")).to_be_enabled()
    assert shown[3:] == ["Bearer right"]
    open_page.complaints.clear()  # type: ignore[attr-defined] # the browser notes each 401


async def test_while_nobody_looks_it_rests(open_page: OpenPage) -> None:
    page = await open_page()
    await settle(page, "")
    asked: list[str] = []
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    await page.evaluate(hide, True)
    await expect(page.locator("#feed")).to_have_text("Resting")
    page.on("request", lambda request: asked.append(request.url))
    await asyncio.sleep(6)  # longer than it waits between two questions: that none comes has no condition to wait for
    assert asked == []
    await page.evaluate(hide, False)
    await expect(page.locator("#feed")).not_to_have_text("Resting")


async def test_two_buttons_share_one_question_for_the_token(open_page: OpenPage) -> None:
    page = await open_page("#/pipeline")
    await settle(page, PLACES["pipeline"])
    both = asyncio.Barrier(2)
    sent: list[tuple[str, str | None]] = []

    async def answer(route: Route) -> None:
        token = await route.request.header_value("Authorization")
        if token is None:
            await both.wait()
        sent.append((route.request.url.rsplit("/", 1)[-1], token))
        code = "unauthorized" if token is None else "busy"
        await route.fulfill(
            status=401 if token is None else 409,
            body=f'{{"code": "{code}", "detail": "No."}}',
            content_type="application/problem+json",
        )

    await page.route("**/etl/run-background/*", answer)
    for source in ("csv", "coingecko"):
        await page.get_by_role("button", name=f"Run {source} now").click()
    await page.get_by_label("Token", exact=True).fill("right")
    await page.keyboard.press("Enter")
    await expect(page.locator(".progress[data-status=failed]")).to_have_count(2)
    assert sorted(sent[2:]) == [("coingecko", "Bearer right"), ("csv", "Bearer right")]
    open_page.complaints.clear()  # type: ignore[attr-defined] # the browser notes each 401


async def test_trends_are_asked_for_again_while_the_page_stays_open(open_page: OpenPage) -> None:
    page = await open_page("#/pipeline")
    await page.clock.install()
    await page.evaluate("location.hash = '#/'")
    await expect(page.locator("svg.spark").first).to_be_attached()
    async with page.expect_request("**/data/sparklines*"):
        await page.clock.fast_forward("02:30")


async def test_a_chart_is_of_the_servers_time_when_the_readers_clock_is_wrong(open_page: OpenPage) -> None:
    page = await open_page()
    await page.clock.install(time=datetime.now(UTC) + timedelta(days=60))
    await page.reload()
    await settle(page, "")
    async with page.expect_request("**/history?*") as asked:
        await page.evaluate("location.hash = '#/asset/btc'")
    begin = parse_qs(urlsplit((await asked.value).url).query)["from"][0]
    assert datetime.fromisoformat(begin) < datetime.now(UTC)
    await settle(page, PLACES["asset"])


async def test_how_soon_it_is_seen(open_page: OpenPage, capsys: pytest.CaptureFixture[str]) -> None:
    """A measurement, printed: what a machine under load does is no claim about the page."""
    page = await open_page("#/pipeline")
    painted: list[float] = []
    filled: list[float] = []
    for _ in range(5):
        await page.goto("about:blank")
        started = time.perf_counter()
        await page.goto("/")
        await expect(page.locator(ROWS)).to_have_count(50)
        filled.append(1_000 * (time.perf_counter() - started))
        painted.append(float(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")))
    depth = await page.evaluate("performance.getEntriesByType('resource').filter(e => e.name.includes('/page/')).length")
    with capsys.disabled():
        print(
            f"\nfirst paint: median {sorted(painted)[2]:.0f} ms of {[round(each) for each in painted]}, wanted {QUICKLY_MS}; "
            f"50 assets seen: median {sorted(filled)[2]:.0f} ms; {depth} files"
        )
    assert all(each > 0 for each in painted)
