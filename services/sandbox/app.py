"""The sandbox provider as one aiohttp application: a process runs it, a test starts it on a port of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from libs.process.clock import Clock, SystemClock
from services.sandbox.control import bad_orders_are_explained, control_routes
from services.sandbox.faults.answers import FAULT, refusal, reset_connection, send_half, wait_if_slow
from services.sandbox.faults.plan import Fault, FaultKind, FaultPlan, Provider
from services.sandbox.market.market import Market
from services.sandbox.providers.binance import PREFIX as BINANCE_PREFIX
from services.sandbox.providers.binance import binance_routes
from services.sandbox.providers.binance_rows import BinanceRows
from services.sandbox.providers.coingecko import PREFIX as COINGECKO_PREFIX
from services.sandbox.providers.coingecko import coingecko_routes, page_of
from services.sandbox.providers.coingecko_rows import CoinGeckoRows
from services.sandbox.providers.coinpaprika import PREFIX as COINPAPRIKA_PREFIX
from services.sandbox.providers.coinpaprika import coinpaprika_routes
from services.sandbox.providers.coinpaprika_rows import CoinPaprikaRows
from services.sandbox.providers.keys import refused_key
from services.sandbox.request_log import AskedRequest, RequestLog
from services.sandbox.steps import Steps

_PLAYED: Final[Mapping[str, Provider]] = {
    COINGECKO_PREFIX: "coingecko",
    COINPAPRIKA_PREFIX: "coinpaprika",
    BINANCE_PREFIX: "binance",
}

SANDBOX_HEADER: Final = "X-Kasparro-Sandbox"
"""On every answer, errors too: nobody takes these data for real by mistake."""


def create_app(
    market: Market,
    *,
    steps: Steps | None = None,
    clock: Clock | None = None,
    faults: Iterable[Fault] = (),
    required_key: str | None = None,
) -> web.Application:
    """Return the application. Without `steps` it follows the wall clock; `faults` are ordered from the start.

    The clock dates the request log and Retry-After, and is what a slow answer waits on.
    """
    clock = clock or SystemClock()
    steps = steps or Steps(market.step_seconds, clock)
    plan, log = FaultPlan(faults), RequestLog()
    app = web.Application(middlewares=[bad_orders_are_explained, _provider_behaviour(steps, plan, log, clock, required_key)])
    app.add_routes(control_routes(market, steps, plan, log))
    coingecko_rows, coinpaprika_rows = CoinGeckoRows(market), CoinPaprikaRows(market)
    app.add_routes(binance_routes(BinanceRows(market), steps))
    app.add_routes(coingecko_routes(coingecko_rows, steps))
    app.add_routes(coinpaprika_routes(coinpaprika_rows, steps))
    app.cleanup_ctx.append(_answers_ready(steps, coingecko_rows, coinpaprika_rows))
    app.on_response_prepare.append(_say_that_it_is_made_up)
    return app


def _answers_ready(
    steps: Steps, coingecko_rows: CoinGeckoRows, coinpaprika_rows: CoinPaprikaRows
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Prepare each step as it begins, so that hardly a request waits for it: the first takes 0.25 s, the others 0.1 s."""

    def prepare() -> None:
        coingecko_rows.ranked(steps.current())
        coinpaprika_rows.at(steps.current())

    async def keep_ready() -> None:
        while True:
            await steps.next_step()
            prepare()

    async def ready(_: web.Application) -> AsyncIterator[None]:
        prepare()
        if steps.held:
            yield
            return
        task = asyncio.create_task(keep_ready())  # no TaskGroup: a test may end this in another task than it began in
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return ready


async def _say_that_it_is_made_up(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers[SANDBOX_HEADER] = "true"


def _provider_behaviour(steps: Steps, plan: FaultPlan, log: RequestLog, clock: Clock, required_key: str | None) -> Middleware:
    """What happens to each request to a provider, around its route: it is noted, its key is checked, it meets its fault."""

    @web.middleware
    async def behave(request: web.Request, handler: Handler) -> web.StreamResponse:
        provider = _provider_of(request.path)
        if provider is None:
            return await handler(request)
        asked = _asked(request, provider, steps, clock)
        log.add(asked)
        refused = refused_key(request, provider, required_key)
        fault = None if refused else plan.take(provider, page_of(request) if provider == "coingecko" else None)
        asked.fault = fault.kind.value if fault else None
        answer = refused or (await _with_fault(request, handler, fault, provider, clock) if fault else await handler(request))
        asked.status = None if fault and fault.kind is FaultKind.RESET else answer.status
        return answer

    return behave


async def _with_fault(
    request: web.Request, handler: Handler, fault: Fault, provider: Provider, clock: Clock
) -> web.StreamResponse:
    request[FAULT] = fault
    if fault.kind is FaultKind.RESET:
        reset_connection(request)
        return web.Response()
    await wait_if_slow(fault, clock)
    answer = refusal(fault, provider, clock) or await handler(request)
    if fault.kind is FaultKind.TRUNCATED and isinstance(answer, web.Response):
        return await send_half(request, answer)
    return answer


def _provider_of(path: str) -> Provider | None:
    return next((provider for prefix, provider in _PLAYED.items() if path.startswith(f"{prefix}/")), None)


def _asked(request: web.Request, provider: Provider, steps: Steps, clock: Clock) -> AskedRequest:
    return AskedRequest(
        at=clock.utc(),
        provider=provider,
        method=request.method,
        path=request.path,
        query={name: "…" if "key" in name.lower() else value for name, value in request.query.items()},
        header_names=tuple(sorted({name.lower() for name in request.headers})),
        step=steps.current(),
    )
