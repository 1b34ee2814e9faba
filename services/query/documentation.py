"""The API's pages for people: Swagger UI and Redoc, from files that ship with us, so that they work with no internet."""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

import msgspec
from aiohttp import web

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; child-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere. Both pages write styles into themselves; Redoc's search runs in a worker made from a blob."""

_SWAGGER_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Kasparro API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
  <div id="swagger"></div>
  <script src="/docs/assets/swagger-ui-bundle.js"></script>
  <script src="/docs/assets/start-swagger.js"></script>
</body>
</html>
"""
_START_SWAGGER = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger", deepLinking: true, validatorUrl: null, displayRequestDuration: true,
});
"""
_REDOC_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Kasparro API</title>
  <link rel="icon" href="data:,">
  <style>img[src^="https:"] { display: none }</style>
</head>
<body>
  <div id="redoc"></div>
  <script src="/docs/assets/redoc.standalone.js"></script>
  <script src="/docs/assets/start-redoc.js"></script>
</body>
</html>
"""
_START_REDOC = """Redoc.init("/openapi.json", { hideLoading: true }, document.getElementById("redoc"));
"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_A_DAY = "public, max-age=86400"


def documentation_routes(document: dict[str, object]) -> list[web.RouteDef]:
    """Return the routes of the document and its pages."""
    encoded = msgspec.json.encode(document)
    static = _static_files()
    routes = [
        web.get("/openapi.json", _serving(encoded, "application/json")),
        web.get("/docs", _serving(_SWAGGER_PAGE.encode(), "text/html")),
        web.get("/redoc", _serving(_REDOC_PAGE.encode(), "text/html")),
        web.get("/docs/assets/start-swagger.js", _serving(_START_SWAGGER.encode(), "text/javascript")),
        web.get("/docs/assets/start-redoc.js", _serving(_START_REDOC.encode(), "text/javascript")),
    ]
    return routes + [web.get(f"/docs/assets/{path.name}", _serving_file(path)) for path in static]


def _static_files() -> list[Path]:
    """Find the files of the sidecar wheel without importing it: it is made for Django, which we leave out."""
    spec = find_spec("drf_spectacular_sidecar")
    if spec is None or spec.origin is None:
        raise RuntimeError("drf-spectacular-sidecar is not installed: the query group of pyproject.toml names it")
    folder = Path(spec.origin).parent / "static" / "drf_spectacular_sidecar"
    files = [
        folder / "swagger-ui-dist" / "swagger-ui.css",
        folder / "swagger-ui-dist" / "swagger-ui-bundle.js",
        folder / "redoc" / "bundles" / "redoc.standalone.js",
    ]
    if missing := [str(path) for path in files if not path.is_file()]:
        raise RuntimeError(f"drf-spectacular-sidecar has changed its layout; missing: {', '.join(missing)}")
    return files


def _serving(content: bytes, content_type: str) -> Handler:
    async def serve(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=headers)

    return serve


def _serving_file(path: Path) -> Handler:
    async def serve(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(path, headers={"Cache-Control": _A_DAY})

    return serve
