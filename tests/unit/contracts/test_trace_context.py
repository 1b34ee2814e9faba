"""A run is a trace: whoever has its id has the trace's, and a header that anybody wrote is taken or left, never trusted."""

from uuid import UUID, uuid4

import pytest

from libs.contracts.trace_context import (
    SAMPLED,
    TraceContext,
    context_in,
    context_of_run,
    read_traceparent,
    trace_fields,
)

RUN = UUID("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_run_that_nobody_traces_is_its_own_trace() -> None:
    assert context_of_run(RUN).traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-a3ce929d0e0e4736-01"
    assert trace_fields(context_of_run(RUN), RUN) == {}


def test_every_run_makes_a_context_that_can_be_read_again() -> None:
    for context in (context_of_run(uuid4()) for _ in range(200)):
        assert read_traceparent(context.traceparent) == context
        assert context_in(context.headers) == context
        assert len(context.traceparent) == 55


def test_a_child_is_another_span_of_the_same_trace() -> None:
    context = context_of_run(RUN)
    child = context.child()
    assert (child.trace_id, child.flags) == (context.trace_id, SAMPLED)
    assert child.span_id != context.span_id


def test_a_callers_trace_goes_on_and_its_decision_with_it() -> None:
    assert read_traceparent(HEADER) == TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1)
    not_sampled = read_traceparent(HEADER[:-2] + "00")
    assert not_sampled is not None
    assert not_sampled.child().traceparent.endswith("-00")
    other = TraceContext("f" * 32, "1" * 16)
    assert trace_fields(other, RUN) == {"trace_id": "f" * 32}


@pytest.mark.parametrize("later", ["01" + HEADER[2:], "01" + HEADER[2:] + "-more.than-this"])
def test_what_a_later_version_adds_is_passed_over(later: str) -> None:
    assert read_traceparent(later) == read_traceparent(HEADER)


@pytest.mark.parametrize(
    "none",
    [
        "",
        "traceparent",
        HEADER.upper(),
        HEADER + "-more",
        HEADER + " ",
        HEADER + "\n",
        HEADER[:-1],
        "ff" + HEADER[2:],
        HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        HEADER.replace("00f067aa0ba902b7", "0" * 16),
        HEADER.replace("4bf9", "4bg9"),
        "01" + HEADER[2:] + "more",
        HEADER * 1_000,
        "\u0660" * 55,
    ],
)
def test_what_w3c_does_not_allow_is_as_though_it_were_not_there(none: str) -> None:
    assert read_traceparent(none) is None
    assert context_in([("traceparent", none.encode())]) is None


def test_of_headers_only_traceparent_counts() -> None:
    assert context_in([("other", HEADER.encode()), ("traceparent", HEADER.encode())]) == read_traceparent(HEADER)
    assert context_in([("traceparent", None)]) is None
    assert context_in([("traceparent", b"\xff\xfe")]) is None
    assert context_in([]) is None
