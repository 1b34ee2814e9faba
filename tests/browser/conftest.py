"""The page in a real Chromium, headless, before the real pipeline: broker, Postgres, sandbox, normalizer, query as processes.

The browser is the system's. Where there is none these tests are skipped, and say what to install; CHROMIUM names another.
They drive it by its async interface: the sync one leaves a running event loop behind, in which no other test can run.
"""

import asyncio
import csv
import io
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from libs.devstack.broker import Jars
from tests.acceptance.conftest import Up, starting_up, trained_jars

__all__ = ["trained_jars"]

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "screenshots"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
WHAT_TO_INSTALL = "no Chromium here: install one (Debian: apt-get install chromium), or name one in CHROMIUM"
ARGUMENTS = (
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
)
"""Nothing is asked of anybody but the page's own server."""
PATIENCE_MS = 30_000
TAKEN_SECONDS = 60.0

HOSTILE = (
    ("<img src=x onerror=alert(1)>", "<script>alert('name')</script>"),
    ('"quoted"\'s', "Quotes \" and ' and `"),
    ("\u202eRTL", "\u202eturned \u2066around"),
    ("🦀🚀", "Emoji 👩‍👩‍👧 coin"),
    ("שלום", "עברית (Hebrew)"),
    ("a/b?c#d", "Paths & queries %41"),
    ("stream", "A path of the API"),
)
"""Symbol and name; each is another script, or another way to be taken for markup or for an address."""


def hostile_file() -> str:
    """Return them as a CSV file of a source."""
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(("symbol", "name", "price", "market_cap", "rank", "last_updated"))
    for number, listing in enumerate(HOSTILE, 1):
        rows.writerow((*listing, number, 1_000 * number, 9_000 + number, "2026-01-01T00:00:00Z"))
    return file.getvalue()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is here, and let it be skipped where there is no browser."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(600))
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason=WHAT_TO_INSTALL))


@pytest.fixture(scope="module")
def up(trained_jars: Jars, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The pipeline, with a market that moves every two seconds and a file of hostile symbols."""
    folder = tmp_path_factory.mktemp("page")
    files = folder / "files"
    files.mkdir()
    shutil.copy(ROOT / "data" / "crypto_market.csv", files)
    (files / "hostile.csv").write_text(hostile_file())
    with starting_up(folder) as start:
        up = start(CSV_PATH=str(files), SANDBOX_STEP_SECONDS="2", ETL_INTERVAL_SECONDS="15")
        up.wait_for_banner()
        up.wait_until(lambda: _has_run(up), TAKEN_SECONDS, "a run of each source")
        yield up


def _has_run(up: Up) -> bool:
    succeeded = {run["source"] for run in up.get("/stats?status=succeeded&limit=100")["runs"]}
    return {"coingecko", "coinpaprika", "csv"} <= succeeded


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        assert CHROMIUM is not None
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS), chromium_sandbox=os.geteuid() != 0
        )
        yield browser
        await browser.close()


OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_page(browser: Browser, up: Up) -> AsyncIterator[OpenPage]:
    """Open the page at a place; whatever it says on the console as an error, and every exception, fails the test."""
    complaints: list[str] = []

    async def open_page(place: str = "", **context: object) -> Page:
        opened = await browser.new_context(base_url=f"http://127.0.0.1:{up.port}", locale="en-US", **context)  # type: ignore[arg-type] # any of theirs
        opened.set_default_timeout(PATIENCE_MS)
        page = await opened.new_page()
        page.on("console", lambda message: _listen(message, complaints))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"/{place}")
        return page

    open_page.complaints = complaints  # type: ignore[attr-defined] # a test that cuts a connection on purpose empties it
    yield open_page
    assert complaints == []


def _listen(message: ConsoleMessage, complaints: list[str]) -> None:
    if message.type in {"error", "warning"}:
        complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


@pytest.fixture
def shoot() -> Callable[[Page, str], Awaitable[None]]:
    """Keep a picture of what is seen, in screenshots/ (not in git)."""

    async def shoot(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        await page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    return shoot


async def ask(up: Up, path: str) -> object:
    """Ask the API from within a test's event loop."""
    return await asyncio.to_thread(up.get, path)
