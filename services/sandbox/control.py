"""The sandbox's own endpoints: health, and what a test may order and ask. They never meet a fault."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.sandbox.faults.plan import FAULTS, FaultPlan
from services.sandbox.market.market import Market
from services.sandbox.request_log import RequestLog
from services.sandbox.steps import Steps


class ClockOrder(BaseModel):
    """What POST /__clock takes: exactly one of these."""

    model_config = ConfigDict(extra="forbid")

    hold: bool = Field(False, description="Stop at the current step")
    step: int | None = Field(None, description="Stop at this step", ge=0, le=10**9)
    advance: int | None = Field(None, description="Move by so many steps, back if negative, and stop", ge=-(10**6), le=10**6)
    release: bool = Field(False, description="Follow the wall clock again")

    @model_validator(mode="after")
    def _exactly_one(self) -> "ClockOrder":
        if [self.hold, self.step is not None, self.advance is not None, self.release].count(True) != 1:
            raise ValueError("give exactly one of hold, step, advance, release")
        return self

    def obey(self, steps: Steps) -> None:
        """Move the clock."""
        if self.release:
            steps.release()
        elif self.advance is not None:
            steps.advance(self.advance)
        else:
            steps.hold(self.step)


def control_routes(market: Market, steps: Steps, plan: FaultPlan, log: RequestLog) -> web.RouteTableDef:
    """Return the routes that look at, and change, what is given."""
    routes = web.RouteTableDef()

    @routes.get("/health")
    async def health(_: web.Request) -> web.Response:
        listings = {"coingecko": len(market.coingecko), "coinpaprika": len(market.coinpaprika)}
        listings["binance"] = len(market.binance)
        return _answer({"sandbox": True, "status": "ok", "seed": market.seed, "listings": listings, **_clock(steps)})

    @routes.get("/__clock")
    async def clock(_: web.Request) -> web.Response:
        return _answer(_clock(steps))

    @routes.post("/__clock")
    async def move_clock(request: web.Request) -> web.Response:
        ClockOrder.model_validate_json(await request.read()).obey(steps)
        return _answer(_clock(steps))

    @routes.get("/__faults")
    async def faults(_: web.Request) -> web.Response:
        return _answer(_faults(plan))

    @routes.post("/__faults")
    async def order_faults(request: web.Request) -> web.Response:
        body = await request.read()
        plan.add(FAULTS.validate_json(body if body.lstrip().startswith(b"[") else b"[" + body + b"]"))
        return _answer(_faults(plan))

    @routes.delete("/__faults")
    async def clear_faults(_: web.Request) -> web.Response:
        plan.clear()
        return _answer(_faults(plan))

    @routes.get("/__requests")
    async def requests(_: web.Request) -> web.Response:
        return _answer({"total": log.total, "requests": [asdict(asked) for asked in log.newest()]})

    @routes.delete("/__requests")
    async def forget_requests(_: web.Request) -> web.Response:
        log.clear()
        return _answer({"total": log.total, "requests": []})

    return routes


@web.middleware
async def bad_orders_are_explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 400 with what was wrong, in place of a 500."""
    try:
        return await handler(request)
    except ValidationError as error:
        problems = [
            {"where": ".".join(map(str, problem["loc"])), "what": problem["msg"]}
            for problem in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        return _answer({"error": "this order cannot be read", "problems": problems}, HTTPStatus.BAD_REQUEST)


def _clock(steps: Steps) -> dict[str, Any]:
    step = steps.current()
    at = datetime.fromtimestamp(step * steps.step_seconds, UTC)
    return {"step": step, "step_seconds": steps.step_seconds, "held": steps.held, "at": at.isoformat()}


def _faults(plan: FaultPlan) -> dict[str, Any]:
    return {"faults": [fault.model_dump(mode="json", exclude_defaults=True) | {"left": left} for fault, left in plan.left()]}


def _answer(body: dict[str, Any], status: int = HTTPStatus.OK) -> web.Response:
    written = json.dumps(body, default=datetime.isoformat, ensure_ascii=False)
    return web.Response(body=written.encode("utf-8", "replace") + b"\n", status=status, content_type="application/json")
