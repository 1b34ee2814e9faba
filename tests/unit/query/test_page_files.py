"""The page's files: what they load, what they never do, and how they are served. No browser is needed to read them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from services.query.api import ENDPOINTS
from services.query.serving_page import CONTENT_TYPES, FOLDER, INDEX, page_routes, read_page_files

BROWSERS_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
FILES = read_page_files()
TEXT = {name: file.content.decode() for name, file in FILES.items()}
HTML = TEXT[INDEX]
MODULES = {name for name in FILES if name.endswith(".js") and name != "theme-first.js"}


@asynccontextmanager
async def served() -> AsyncIterator["TestClient[Any, Any]"]:
    app = web.Application()
    app.add_routes(page_routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_browsers_get_the_page_and_programs_the_way_to_the_documentation() -> None:
    async with served() as client:
        async with client.get("/", headers={"Accept": BROWSERS_ACCEPT}) as response:
            assert (response.status, response.content_type, await response.text()) == (200, "text/html", HTML)
            assert response.headers["Vary"] == "Accept"
        for accept in ("*/*", "application/json", ""):
            async with client.get("/", headers={"Accept": accept}, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"], response.headers["Vary"]) == (302, "/docs", "Accept")


@pytest.mark.parametrize("name", sorted(FILES))
async def test_each_file_has_its_type_its_tag_and_the_policy_and_is_sent_once(name: str) -> None:
    async with served() as client:
        async with client.get(f"/page/{name}") as response:
            assert (response.status, await response.read()) == (200, FILES[name].content)
            assert response.headers["Content-Type"] == CONTENT_TYPES[name[name.rindex(".") :]]
            policy = response.headers["Content-Security-Policy"]
            tag = response.headers["ETag"]
            assert (response.headers["Referrer-Policy"], response.headers["Cache-Control"]) == ("no-referrer", "no-cache")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert re.fullmatch(r'"[\w-]{16}"', tag)
        async with client.get(f"/page/{name}", headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", tag)
        async with client.get(f"/page/{name}", headers={"If-None-Match": '"another"'}) as response:
            assert response.status == 200


async def test_only_what_is_in_the_folder_is_served() -> None:
    async with served() as client:
        for path in ("/page/", "/page/nothing.js", "/page/..%2Fapp.py", "/page/%2e%2e/app.py", "/page/../app.py"):
            async with client.get(path) as response:
                assert response.status == 404, path


def test_two_files_never_share_a_tag() -> None:
    assert len({file.tag for file in FILES.values()}) == len(FILES)


def test_the_page_names_every_module_and_sheet_so_that_no_request_waits_for_another() -> None:
    named = set(re.findall(r'(?:href|src)="/page/([^"]+)"', HTML))
    assert named == set(FILES) - {INDEX}
    preloaded = re.findall(r'<link rel="modulepreload" href="/page/([^"]+)">', HTML)
    assert [*preloaded, "main.js"] == [*sorted(MODULES - {"main.js"}), "main.js"]


def test_every_import_is_of_a_module_that_exports_it() -> None:
    for name in MODULES:
        for names, module in re.findall(r'^import \{ ([^}]+) \} from "\./([^"]+)";$', TEXT[name], re.MULTILINE):
            assert module in MODULES, (name, module)
            exported = set(re.findall(r"^export (?:async )?(?:const|function|class) (\w+)", TEXT[module], re.MULTILINE))
            assert {each.strip() for each in names.split(",")} <= exported, (name, module)
        assert len(re.findall(r"^import ", TEXT[name], re.MULTILINE)) == len(
            re.findall(r'^import .* from "\./', TEXT[name], re.MULTILINE)
        )


def test_modules_import_no_circles() -> None:
    imports = {name: set(re.findall(r'from "\./([^"]+)"', TEXT[name])) for name in MODULES}
    while leaves := {name for name, needed in imports.items() if not needed}:
        imports = {name: needed - leaves for name, needed in imports.items() if name not in leaves}
    assert imports == {}


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    assert re.findall(r"<script(?![^>]*\bsrc=)", HTML) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", HTML) == []
    for name, text in TEXT.items():
        assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"@import|url\((?![\"']?#)", text), name


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_text_is_ever_read_as_markup_or_as_code(name: str) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\.cssText"
    assert not re.search(rf"{markup}|\beval\(|new Function", TEXT[name])
    assert '"style"' not in TEXT[name]


def test_the_token_is_kept_for_the_tab_and_is_in_no_address() -> None:
    assert "localStorage" not in TEXT["token.js"]
    assert [name for name in MODULES if "kasparro-token" in TEXT[name]] == ["token.js"]
    assert "Authorization: `Bearer ${token}`" in TEXT["api.js"]


def test_the_page_knows_which_symbols_are_paths_of_the_api() -> None:
    paths = {endpoint.path.removeprefix("/data/") for endpoint in ENDPOINTS if endpoint.path.startswith("/data/")}
    words = re.search(r"NO_ASSETS = new Set\(\[(.*)\]\)", TEXT["api.js"])
    assert words is not None
    assert set(re.findall(r'"(\w+)"', words[1])) == {path for path in paths if "/" not in path and "{" not in path}


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_stay_small(name: str) -> None:
    lines = TEXT[name].count("\n")
    assert lines <= 250, f"{name} has {lines} lines: what are its two purposes?"


def test_everything_in_the_folder_is_served() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES)
