"""POST /etl: asking the producers for runs, and waiting for what becomes of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Literal
from uuid import uuid4

import structlog
from aiohttp import web

from libs.contracts.commands import WHOLE_SOURCE, PollCommand
from libs.contracts.run_events import RUN_EVENT, RunRequested
from libs.contracts.trace_context import TRACEPARENT, TraceContext, context_of_run, read_traceparent, trace_fields
from libs.domain.runs import RunStatus, Trigger
from libs.kafka.errors import KafkaUnreachableError
from libs.kafka.records import Record
from services.query.endpoints import Parameters
from services.query.following import RunStory, unreachable
from services.query.keys import CLOCK, PUBLISHER, RUNNING, RUNS, TOPICS, TRACER, TRACES
from services.query.parameters import SourceInPath, WaitSeconds, known_source
from services.query.problems import NotTakenError, ProviderFailedError, SourceNotRunningError
from services.query.rendering import Answer

log = structlog.get_logger(__name__)

COMMAND_LIVES = timedelta(minutes=10)

Outcome = Literal["finished", "still_going", "failed", "not_taken", "requested"]


class RunAsked(Parameters):
    """A run of one source."""

    source: SourceInPath
    timeout: WaitSeconds = 60.0


class RunAllAsked(Parameters):
    """A run of every source."""

    timeout: WaitSeconds = 60.0


class BackgroundRunAsked(Parameters):
    """A run that nobody waits for."""

    source: SourceInPath


@dataclass(frozen=True, slots=True)
class Awaited:
    """What became of a run in the time that its caller gave it."""

    story: RunStory
    outcome: Outcome

    @property
    def location(self) -> str:
        """Where to follow it."""
        return f"/stats/runs/{self.story.run_id}"


async def run_source(request: web.Request, asked: RunAsked) -> Answer:
    """Run now and wait for the end."""
    story = _story(request, _running_source(request, asked.source))
    awaited = await _awaited_run(request, story, asked.timeout)
    body, location = awaited.story.body(), {"Location": awaited.location}
    if awaited.outcome == "failed":
        raise ProviderFailedError(f"the run failed: {story.error}", headers=location, run=body)
    if awaited.outcome == "not_taken":
        raise NotTakenError(_not_taken([story.source]), headers=location, run=body)
    return Answer(body, HTTPStatus.OK if awaited.outcome == "finished" else HTTPStatus.ACCEPTED, location)


async def run_all(request: web.Request, asked: RunAllAsked) -> Answer:
    """Run source by source, all that run here, and wait for the slow ones while the next run."""
    try:
        all_awaited = await _all_awaited(request, asked.timeout)
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    runs = [_report(awaited) for awaited in all_awaited]
    if failed := [one.story.source for one in all_awaited if one.outcome == "failed"]:
        raise ProviderFailedError(f"failed: {', '.join(failed)}; see runs", runs=runs)
    if untaken := [one.story.source for one in all_awaited if one.outcome == "not_taken"]:
        raise NotTakenError(_not_taken(untaken), runs=runs)
    finished = all(one.outcome == "finished" for one in all_awaited)
    headers = {} if finished else {"Location": "/stats"}
    return Answer({"runs": runs}, HTTPStatus.OK if finished else HTTPStatus.ACCEPTED, headers)


async def run_in_background(request: web.Request, asked: BackgroundRunAsked) -> Answer:
    """Ask for a run and return at once."""
    story = _story(request, _running_source(request, asked.source))
    with _tracing(request, story) as trace:
        await _publish(request, story, trace)
    location = Awaited(story, "requested").location
    body = {"run_id": story.run_id, "source": story.source, "status": "requested", "location": location}
    return Answer(body, HTTPStatus.ACCEPTED, {"Location": location})


async def _all_awaited(request: web.Request, seconds: float) -> list[Awaited]:
    """The next source is asked for once the one before it is over, or has had its share of the time that was left."""
    clock, sources = request.app[CLOCK], request.app[RUNNING]
    deadline = clock.monotonic() + seconds
    awaited: list[asyncio.Task[Awaited]] = []
    async with asyncio.TaskGroup() as runs:
        for still_to_come, source in zip(range(len(sources), 0, -1), sources, strict=True):
            left = max(0.0, deadline - clock.monotonic())
            awaited.append(runs.create_task(_awaited_run(request, _story(request, source), left)))
            await asyncio.wait(awaited[-1:], timeout=left / still_to_come)
    return [one.result() for one in awaited]


async def _awaited_run(request: web.Request, story: RunStory, seconds: float) -> Awaited:
    clock, runs = request.app[CLOCK], request.app[RUNS]
    await runs.until_ready()
    with runs.watching(story) as watch, _tracing(request, story) as trace:
        await _publish(request, story, trace)
        deadline = clock.monotonic() + seconds
        if not await watch.until_taken(min(seconds, runs.taken_within_seconds)):
            waited_long_enough = seconds >= runs.taken_within_seconds and not watch.leaving
            return Awaited(story, "not_taken" if waited_long_enough else "requested")
        finished = await watch.until_finished(max(0.0, deadline - clock.monotonic()))
    if story.status is RunStatus.FAILED:
        return Awaited(story, "failed")
    return Awaited(story, "finished" if finished else "still_going")


@contextmanager
def _tracing(request: web.Request, story: RunStory) -> Iterator[TraceContext]:
    """Have a span for a run that is asked for: in the caller's trace if there is one, else in one that is the run itself."""
    caller = read_traceparent(request.headers.get(TRACEPARENT, ""))
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else request.path
    attributes = {
        "http.request.method": request.method,
        "http.route": route,
        "kasparro.source": story.source,
        "kasparro.run_id": str(story.run_id),
    }
    own = None if caller is not None else context_of_run(story.run_id)
    with request.app[TRACER].span(f"{request.method} {route}", parent=caller, own=own, attributes=attributes) as trace:
        request[TRACES] = [*request.get(TRACES, ()), trace]
        yield trace


async def _publish(request: web.Request, story: RunStory, trace: TraceContext) -> None:
    """Send the command, then the news of it: a run that is announced and never commanded would stay requested for ever."""
    command = PollCommand(
        run_id=story.run_id,
        source=story.source,
        shard=WHOLE_SOURCE,
        trigger=story.trigger,
        requested_at=story.requested_at,
        expires_at=story.requested_at + COMMAND_LIVES,
    )
    event = RunRequested(run_id=story.run_id, source=story.source, at=story.requested_at, trigger=story.trigger)
    publisher, topics = request.app[PUBLISHER], request.app[TOPICS]
    commands = topics.commands[story.source]
    try:
        await publisher.publish([Record(commands, WHOLE_SOURCE.encode(), command.model_dump_json().encode(), trace.headers)])
        await publisher.publish([Record(topics.run_events, str(story.run_id).encode(), RUN_EVENT.dump_json(event))])
    except KafkaUnreachableError as error:
        raise unreachable(error) from error
    fields = trace_fields(trace, story.run_id)
    log.info("run_requested", run_id=str(story.run_id), source=story.source, trigger=story.trigger.value, **fields)


def _running_source(request: web.Request, source: str) -> str:
    """Return a source that a producer is expected for: a command to another would wait for nobody."""
    if known_source(source) not in request.app[RUNNING]:
        raise SourceNotRunningError(
            f"{source} is an optional source that does not run here: name it in EXTRA_SOURCES and start its producer",
            source=source,
        )
    return source


def _story(request: web.Request, source: str) -> RunStory:
    return RunStory(uuid4(), source, Trigger.MANUAL, request.app[CLOCK].utc())


def _report(awaited: Awaited) -> dict[str, Any]:
    story = awaited.story
    return {"source": story.source, "outcome": awaited.outcome, "location": awaited.location, "run": story.body()}


def _not_taken(sources: list[str]) -> str:
    minutes = int(COMMAND_LIVES.total_seconds() // 60)
    return (
        f"no producer of {', '.join(sources)} took the command; is it running? "
        f"One that starts within {minutes} minutes still takes it"
    )
