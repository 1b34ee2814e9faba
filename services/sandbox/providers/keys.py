"""Key checks, when asked for: the header that each provider wants, and how it refuses."""

import hmac
from http import HTTPStatus
from typing import Final

from aiohttp import web

from services.sandbox.faults.answers import json_answer
from services.sandbox.faults.plan import Provider

_HEADERS: Final = {"coingecko": ("x-cg-demo-api-key", "x-cg-pro-api-key"), "coinpaprika": ("Authorization",)}
"""A provider that is not here knows no keys."""

_REFUSALS: Final = {
    "coingecko": '{"status":{"error_code":10002,"error_message":"API Key Missing. (Sandbox: SANDBOX_REQUIRE_KEY is set.)"}}',
    "coinpaprika": '{"error":"invalid API key (sandbox: SANDBOX_REQUIRE_KEY is set)"}',
}


def refused_key(request: web.Request, provider: Provider, required: str | None) -> web.Response | None:
    """Return the refusal of a request that does not carry the required key in the provider's header."""
    if required is None or provider not in _HEADERS:
        return None
    sent = (request.headers.get(header, "") for header in _HEADERS[provider])
    if any(hmac.compare_digest(key.encode("utf-8", "surrogateescape"), required.encode()) for key in sent):
        return None
    return json_answer(_REFUSALS[provider], HTTPStatus.UNAUTHORIZED)
