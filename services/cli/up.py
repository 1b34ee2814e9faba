"""`kasparro up`: the whole pipeline on this machine, from nothing, in one command."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import msgspec

from libs.devstack.broker import train
from libs.devstack.children import Nursery
from libs.devstack.ports import LOOPBACK, free_port, is_free
from libs.devstack.state import Kind, StateFolder, alone, check_room
from libs.process.shutdown import run_until_stopped
from services.cli.errors import CannotListenError, MixedDataError, PortTakenError
from services.cli.parts import POSTGRES, QUERY, Parts, listed
from services.cli.providers import PROVIDERS, Provider, reachable
from services.cli.reloading import reload_when_saved
from services.cli.screen import Screen
from services.cli.settings import UpSettings, is_named
from services.cli.stack import Stack, patiently
from services.cli.starting import start_everything

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 2.0
PATIENCE_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asked for."""

    settings: UpSettings
    parts: Parts
    verbose: bool = False
    reload: bool = False


def run_up(wish: Wish, screen: Screen) -> None:
    """Run until stopped. Raises what is wrong; nothing is left running then."""
    with alone(wish.settings.state, waiting=screen.warn) as lock:
        check_room(wish.settings.state)
        _check_ports(wish)
        with Nursery(held=[lock]) as nursery, screen.shown():
            run_until_stopped(_run(wish, nursery, screen))


async def _run(wish: Wish, nursery: Nursery, screen: Screen) -> None:
    stood_in_for = await _who_needs_the_sandbox(wish, screen)
    folder = StateFolder(wish.settings.state, Kind.SANDBOX if stood_in_for else Kind.REAL)
    folder.turn_logs_over()
    async with _stopped_at_the_end() as stopping, asyncio.TaskGroup() as tasks:
        port = wish.settings.kasparro_kafka_port or free_port()
        stack = Stack(wish.settings, wish.parts, folder, stood_in_for, nursery, screen, dict(os.environ), tasks, port)
        stopping.append(stack)
        tasks.create_task(stack.watch_disk(), name="disk")
        await start_everything(stack)
        stack.follow_logs(everything=wish.verbose)
        if wish.reload:
            tasks.create_task(reload_when_saved(stack.services, screen), name="reload")
        stack.say_where()
        await _until_useful(stack)
        _show_banner(stack)
        await _remember_classes(stack)
        await asyncio.Event().wait()


@asynccontextmanager
async def _stopped_at_the_end() -> AsyncIterator[list[Stack]]:
    """Stop what was put into the list, after everything that keeps it running has ended."""
    stacks: list[Stack] = []
    try:
        yield stacks
    finally:
        for stack in stacks:
            await patiently(asyncio.ensure_future(stack.stop()))


def _check_ports(wish: Wish) -> None:
    settings = wish.settings
    wanted = [("PORT", settings.port, settings.host)] if wish.parts.query else []
    own = (("KASPARRO_KAFKA_PORT", settings.kasparro_kafka_port), ("KASPARRO_POSTGRES_PORT", settings.kasparro_postgres_port))
    wanted += [(variable, port, LOOPBACK) for variable, port in own if port]
    for variable, port, host in wanted:
        if not _can_have(port, host, variable):
            raise PortTakenError(
                f"Port {port} is in use by another program. Stop that one, or take another port: make run {variable}={port + 1}"
            )


def _can_have(port: int, host: str, variable: str) -> bool:
    try:
        return is_free(port, host)
    except OSError as error:
        wrong = "HOST or PORT" if variable == "PORT" else variable
        raise CannotListenError(f"Nothing can listen on port {port} of {host}: {error.strerror}. Correct {wrong}") from error


async def _who_needs_the_sandbox(wish: Wish, screen: Screen) -> tuple[Provider, ...]:
    """Return the providers that the sandbox plays: all that the operator has not placed himself, or none."""
    settings = wish.settings
    chosen = tuple(each for each in PROVIDERS if each.source in wish.parts.producers)
    open_to_us = tuple(each for each in chosen if not is_named(each.base_url_variable))
    if not open_to_us or settings.sandbox == "never":
        return ()
    named = settings.kafka_bootstrap_servers or settings.database_url
    if settings.sandbox == "always":
        if named:
            raise MixedDataError(
                "SANDBOX=always makes data up, and KAFKA_BOOTSTRAP_SERVERS or DATABASE_URL names servers that may hold real "
                "data. Unset both to run the sandbox beside servers of its own."
            )
        return open_to_us
    if len(open_to_us) < len(chosen):
        return ()
    with screen.step("Providers") as step:
        answers = await reachable(open_to_us)
        step.done_as(", ".join(f"{source} {'answers' if up else 'is out of reach'}" for source, up in answers.items()))
    if any(answers.values()):
        return ()
    if named:
        screen.warn("No provider can be reached, and the sandbox is not used with servers that may hold real data.")
        return ()
    return open_to_us


async def _until_useful(stack: Stack) -> None:
    """Return when the first asset is served, or as near to that as the chosen parts come."""
    if not stack.parts.query:
        return
    whole = bool(stack.parts.producers) and stack.parts.normalizer
    url = f"{stack.api_url}/data?limit=1" if whole else f"{stack.api_url}/ready"
    with stack.screen.step("First assets" if whole else "HTTP API") as step:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session:
            reminder = asyncio.get_running_loop().time() + PATIENCE_SECONDS
            while not await _answers(session, url, with_assets=whole):
                if asyncio.get_running_loop().time() > reminder:
                    reminder += PATIENCE_SECONDS
                    stack.screen.warn(f"Still waiting for {step.title.lower()}; the logs are in {stack.folder.log(QUERY).parent}")
                await asyncio.sleep(LOOK_SECONDS)


async def _answers(session: aiohttp.ClientSession, url: str, *, with_assets: bool) -> bool:
    try:
        async with session.get(url) as answer:
            if not answer.ok or not with_assets:
                return answer.ok
            return bool(msgspec.json.decode(await answer.read())["total"])
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


def _show_banner(stack: Stack) -> None:
    rows: list[tuple[str, str]] = []
    if stack.parts.query:
        rows += [("page", f"{stack.api_url}/"), ("assets", f"{stack.api_url}/data")]
        rows += [("docs", f"{stack.api_url}/docs"), ("health", f"{stack.api_url}/health")]
    rows.append(("kafka", stack.bootstrap_servers or ""))
    if stack.database:
        secret = stack.folder.postgres / "password"
        rows.append((POSTGRES, f"postgresql://kasparro@127.0.0.1:{stack.database.port}/kasparro (password in {_short(secret)})"))
    rows.append(("logs", _short(stack.folder.log(QUERY).parent)))
    rows.append(("running", listed(stack.services)))
    notes = []
    if stack.is_sandbox:
        why = "as SANDBOX=always says" if stack.settings.sandbox == "always" else "because the real providers cannot be reached"
        notes = [f"sandbox: true. The sandbox plays {listed(each.source for each in stack.stood_in_for)} {why}: made-up numbers."]
    stack.screen.banner("Kasparro serves. Ctrl-C stops it.", rows, notes)


def _short(path: os.PathLike[str]) -> str:
    return os.path.relpath(path)


async def _remember_classes(stack: Stack) -> None:
    """Once a clone, when everything serves: make the broker's next start a second instead of three."""
    if stack.jars and not stack.jars.cache.exists():
        with stack.nursery.temporary_folder("kasparro-training-") as folder:
            await train(stack.nursery, stack.jars, folder)
