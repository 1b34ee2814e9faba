"""An asset's record carries the trace of the run whose tick changed it, also when a chunk holds ticks of several."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

from libs.contracts.trace_context import TraceContext, context_of_run
from libs.postgres.writing.chunks import Entry
from libs.postgres.writing.ticks import SetAside
from services.normalizer.traces import NO_TRACES, traces_in, traces_of
from tests.integration.writing.conftest import tick

ONE, OTHER = UUID(int=0xA << 100 | 1), UUID(int=0xB << 100 | 2)
CALLERS = TraceContext("c" * 32, "d" * 16)


def record(context: TraceContext | None = None) -> Any:
    return SimpleNamespace(headers=[] if context is None else [("other", b""), *context.headers])


def test_a_runs_trace_is_what_its_ticks_say_or_else_the_run_itself() -> None:
    records = [record(), record(CALLERS), record(CALLERS.child()), record()]
    entries: list[Entry] = [
        SetAside(0, ONE),
        tick("a", "btc", run_id=ONE),
        tick("b", "eth", run_id=ONE),
        tick("c", "dai", run_id=OTHER),
    ]
    assert traces_in(records, entries) == {ONE: CALLERS, OTHER: context_of_run(OTHER)}


def test_ticks_of_one_run_need_no_telling_apart() -> None:
    traces = traces_of([({ONE: CALLERS}, [tick("a", "btc", run_id=ONE)]), ({ONE: CALLERS}, [])])
    assert traces.runs == (CALLERS,)
    assert traces.headers_of("btc") == traces.headers_of("another") == CALLERS.headers


def test_of_several_runs_the_last_tick_of_an_asset_says_which() -> None:
    own = context_of_run(OTHER)
    entries: list[Entry] = [
        tick("a", "btc", run_id=ONE),
        tick("b", "eth", run_id=ONE),
        SetAside(3, ONE),
        tick("a", "btc", run_id=OTHER),
    ]
    traces = traces_of([({ONE: CALLERS, OTHER: own}, entries)])
    assert set(traces.runs) == {CALLERS, own}
    assert traces.headers_of("btc") == own.headers
    assert traces.headers_of("eth") == CALLERS.headers
    assert traces.headers_of("dai") == ()


def test_what_no_tick_of_ours_changed_belongs_to_no_trace() -> None:
    assert NO_TRACES.headers_of("btc") == ()
    assert traces_of([]).headers_of("btc") == ()
