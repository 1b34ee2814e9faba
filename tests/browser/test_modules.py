"""The page's pure modules by themselves, in the browser: no pipeline is needed for them."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from services.query.serving_page import page_routes

SECONDS = 30.0


async def evaluated(browser: Browser, module: str, expression: str, **context: Any) -> Any:
    """Return what an expression over a module, `it`, comes to."""
    app = web.Application()
    app.add_routes(page_routes())
    async with TestServer(app) as server, asyncio.timeout(SECONDS):
        opened = await browser.new_context(locale="en-US", **context)
        page = await opened.new_page()
        await page.goto(str(server.make_url("/page/theme.css")))
        return await page.evaluate(f"import('/page/{module}').then((it) => ({expression}))")


@pytest.mark.parametrize(
    ("low", "high"), [("1", "1.0000000000000002"), ("0.9999999999999999", "1"), ("1e20", "1.1e20"), ("1e-20", "3e-20")]
)
async def test_an_axis_has_few_marks_even_where_doubles_lie_no_closer(browser: Browser, low: str, high: str) -> None:
    marks = await evaluated(browser, "scales.js", f"it.roundValues({low}, {high}, 5)")
    assert len(marks) <= 7
    assert all(float(low) <= mark <= float(high) for mark in marks)


async def test_a_symbol_that_is_no_path_is_searched_for(browser: Browser) -> None:
    assert await evaluated(browser, "routes.js", "it.parse('#/asset/..')") == {
        "view": "assets",
        "search": "..",
        "sort": "rank",
        "page": 1,
    }


async def test_a_state_that_a_later_api_tells_of_is_shown_as_it_is(browser: Browser) -> None:
    found = (
        "{group: 'g', members: 1, checkpoints: [{topic: 't', status: 'sleepy', lag_messages: 1, lag_seconds: 2, partitions: []}]}"
    )
    assert "sleepy" in await evaluated(browser, "pipeline-work.js", f"it.lag({found}).textContent")


async def test_what_throws_is_asked_for_again_and_told(browser: Browser) -> None:
    expression = """{
        const told = [];
        addEventListener('error', (event) => (told.push(event.message), event.preventDefault()));
        let calls = 0;
        return new Promise((resolve) => {
            const close = it.every(10, async () => {
                calls += 1;
                if (calls === 3) resolve([told, close()]);
                if (calls === 1) throw new Error('a mistake of a view');
            });
        });
    }"""
    told, _ = await evaluated(browser, "live.js", f"(() => {expression})()")
    assert told == ["Uncaught Error: a mistake of a view"]


async def test_an_error_that_stays_is_said_once(browser: Browser) -> None:
    expression = """{
        const place = document.createElement('div');
        const [away, late] = [{status: 0, message: 'Away.'}, {status: 503, message: 'Late.'}];
        const shown = [away, away, late].map((error) => (it.showTrouble(place, error), place.firstChild));
        return [shown[0] === shown[1], shown[1] === shown[2], place.childNodes.length, place.textContent];
    }"""
    same, other, boxes, text = await evaluated(browser, "notices.js", f"(() => {expression})()")
    assert (same, other, boxes, text) == (True, False, 1, "Something is away. Late.")
