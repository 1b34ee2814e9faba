"""The page at /: the files of services/query/page, read once, each with a tag of its content.

Browsers, which ask for text/html, get the page there; whoever else asks is sent to the documentation, as before there was a page.
The files are written by hand and served as they are: nothing is built, and nothing comes from elsewhere.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).with_name("page")
INDEX = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline and nothing from elsewhere. The page makes elements, and never reads a text as markup."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""The browser keeps a file and asks each time whether it is still the same: an upgrade is seen at once, for a 304."""
CONTENT_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is served."""

    content: bytes
    content_type: str
    tag: str


def read_page_files(folder: Path = FOLDER) -> Mapping[str, PageFile]:
    """Read every file of the page, by its name. One of a type that we do not know is a mistake of ours."""
    return {path.name: _read(path) for path in sorted(folder.iterdir()) if path.is_file()}


def page_routes() -> list[web.RouteDef]:
    """Return the routes of / and of its files."""
    files = read_page_files()

    async def index(request: web.Request) -> web.Response:
        if not _wants_html(request):
            return web.Response(status=HTTPStatus.FOUND, headers={"Location": "/docs", "Vary": "Accept"})
        return _answer(request, files[INDEX], {"Vary": "Accept"})

    async def file(request: web.Request) -> web.Response:
        found = files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return _answer(request, found, {})

    return [web.get("/", index), web.get("/page/{name}", file)]


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    return PageFile(content, CONTENT_TYPES[path.suffix], b64encode(sha256(content).digest()[:12], b"-_").decode())


def _wants_html(request: web.Request) -> bool:
    """Whether text/html is asked for by name, as browsers do; `*/*` and no Accept at all are a program's."""
    asked = (part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(","))
    return "text/html" in asked


def _answer(request: web.Request, file: PageFile, headers: Mapping[str, str]) -> web.Response:
    sent = {**HEADERS, **headers, "ETag": f'"{file.tag}"'}
    held = request.if_none_match if "If-None-Match" in request.headers else None
    if held is not None and any(one.value in {file.tag, "*"} for one in held):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=sent)
    return web.Response(body=file.content, headers={**sent, "Content-Type": file.content_type})
