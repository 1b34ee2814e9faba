"""What a real Prometheus makes of the configuration, the rules and the dashboard, while everything is well and when it is not."""

import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from deploy.grafana.panels import ROWS, Panel
from tests.monitoring.stack import SERVICES, Stack
from tests.unit.deploy.expressions import rules, selectors

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

PANELS = [panel for row in ROWS for panel in row.panels]
WELL = "Alerts"
"""The panel that has nothing to show while everything is well."""
WRONG = {"kind": "server_error", "count": 1_000}
Act = Callable[[Stack], Awaitable[None]]


def as_grafana_asks(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$source", ".*")


async def test_every_target_is_up(stack: Stack) -> None:
    async def targets() -> list[Any]:
        found: list[Any] = (await stack.ask("targets"))["activeTargets"]
        return found

    async def all_up() -> bool:
        found = await targets()
        return len(found) == len(SERVICES) + 1 and {one["health"] for one in found} == {"up"}

    await stack.until(all_up, targets)


async def test_every_rule_is_evaluated_without_an_error(stack: Stack) -> None:
    async def states() -> dict[str, str]:
        groups = (await stack.ask("rules"))["groups"]
        return {rule["name"]: f"{rule['health']} {rule.get('lastError', '')}" for group in groups for rule in group["rules"]}

    async def all_well() -> bool:
        return {state.strip() for state in (await states()).values()} == {"ok"}

    await stack.until(all_well, states)
    assert (await states()).keys() == {rule.get("alert") or rule["record"] for rule in rules()}


async def test_every_metric_that_is_asked_for_is_there(stack: Stack) -> None:
    asked = [rule["expr"] for rule in rules()] + [as_grafana_asks(one) for panel in PANELS for one in panel.queries.values()]
    names = {str(selector.name) for expression in asked for selector in selectors(expression)} - {"ALERTS"}

    async def missing() -> set[str]:
        await stack.read_something()
        return {name for name in names if not await stack.series(f"count({name})")}

    async def none_missing() -> bool:
        return not await missing()

    await stack.until(none_missing, missing)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
async def test_every_panel_has_something_to_show(stack: Stack, panel: Panel) -> None:
    async def empty() -> list[str]:
        await stack.read_something()
        return [one for one in panel.queries.values() if not await stack.series(as_grafana_asks(one))]

    async def none_empty() -> bool:
        return not await empty()

    if panel.title != WELL:
        await stack.until(none_empty, empty)


async def terminate(stack: Stack) -> None:
    await stack.processes.terminate("normalizer")


async def start(stack: Stack) -> None:
    stack.processes.start("normalizer")


async def signalled(stack: Stack, *, number: int) -> None:
    stack.processes.running["normalizer", 1].signal(number)


async def kill_postgres(stack: Stack) -> None:
    stack.servers.kill_database()


async def start_postgres(stack: Stack) -> None:
    await stack.servers.start_database()


async def misbehave(stack: Stack) -> None:
    await stack.provider.order({**WRONG, "provider": "coinpaprika"})


async def behave(stack: Stack) -> None:
    await stack.provider.behave()


async def stop_csv(stack: Stack) -> None:
    await stack.processes.terminate("csv")


async def start_csv(stack: Stack) -> None:
    stack.processes.start("csv")


@pytest.mark.parametrize(
    ("breaks", "mends", "alerts"),
    [
        pytest.param(terminate, start, [{"KasparroProcessDown", "KasparroServiceMissing", "KasparroNoData"}], id="no normalizer"),
        pytest.param(
            partial(signalled, number=signal.SIGSTOP),
            partial(signalled, number=signal.SIGCONT),
            [{"KasparroProcessDown"}],
            id="a frozen normalizer",
        ),
        pytest.param(kill_postgres, start_postgres, [{"KasparroDependencyDown"}], id="no Postgres"),
        pytest.param(misbehave, behave, [{"KasparroSourceFailing"}], id="a provider that answers 500"),
        pytest.param(  # failing, where a run of the last hour was too late for a busy machine
            stop_csv, start_csv, [{"KasparroSourceSilent"}, {"KasparroSourceFailing"}], id="no producer of a source"
        ),
    ],
)
async def test_an_alert_fires_and_resolves(stack: Stack, breaks: Act, mends: Act, alerts: list[set[str]]) -> None:
    """One of the sets of alerts fires."""

    async def calm() -> bool:
        return not await stack.firing()

    async def fires() -> bool:
        firing = await stack.firing()
        return any(each <= firing for each in alerts)

    await stack.until(calm, stack.firing)
    await breaks(stack)
    await stack.until(fires, stack.firing)
    await mends(stack)
    await stack.until(calm, stack.firing)
