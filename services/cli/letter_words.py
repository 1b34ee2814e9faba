"""How dead letters, and what was done about them, are told."""

import sys
from base64 import b64encode
from typing import Any, Final

from libs.kafka.tailing import TopicRecord
from libs.recovery.finding import Found
from libs.recovery.letters import Letter, State
from libs.recovery.redriving import Tally
from services.cli.printing import print_json
from services.cli.screen import Screen
from services.cli.terminal_text import on_one_line

COLUMNS: Final = ("place", "failed at", "state", "source", "error class", "stage", "attempt", "origin", "bytes", "detail")
LONGEST_DETAIL: Final = 80
LAID_OUT: Final = frozenset("\n\t\r")
"""Of the characters that are no letters, those that text may have and still be text."""


def say_found(screen: Screen, found: Found, hidden: int, *, as_json: bool) -> None:
    """Say which letters were found, newest first."""
    if as_json:
        letters = [_letter_body(letter, state) for letter, state in found.letters]
        print_json({"letters": letters, "shown": len(letters), "total": found.total, "hidden": hidden})
        return
    if found.letters:
        screen.table(COLUMNS, [_row(letter, state) for letter, state in found.letters])
    screen.say(f"{len(found.letters)} of {found.total} letters that fit")
    _say_hidden(screen, hidden)


def say_record(screen: Screen, record: TopicRecord, *, as_json: bool) -> None:
    """Say all of one letter; nothing of it is changed, and what is no text is written as base64."""
    if as_json:
        headers = [{"name": name, **_bytes_body(value)} for name, value in record.headers]
        place = {"partition": record.partition, "offset": record.offset, "timestamp_ms": record.timestamp_ms}
        print_json({**place, "headers": headers, "key": _bytes_body(record.key), "value": _bytes_body(record.value)})
        return
    width = max((len(name) for name, _ in record.headers), default=0)
    for name, value in record.headers:
        screen.say(f"{on_one_line(name):{width}}  {on_one_line(_told(value))}")
    screen.say(f"{'key':{width}}  {on_one_line(_told(record.key))}")
    screen.say(f"{'value':{width}}  {len(record.value or b'')} bytes:")
    screen.say(_told(record.value))


def print_raw(record: TopicRecord) -> None:
    """Write the bytes of the value to stdout."""
    sys.stdout.buffer.write(record.value or b"")


def say_tally(screen: Screen, tally: Tally, *, redriving: bool, as_json: bool, dry_run: bool) -> None:
    """Say what was done, and what was not and why."""
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "matched": tally.matched,
                "redriven": tally.done if redriving else 0,
                "dropped": 0 if redriving else tally.done,
                "already": tally.already,
                "repeats": tally.repeats,
                "cannot": {what.value: number for what, number in sorted(tally.cannot.items())},
                "left": tally.left,
                "hidden": tally.hidden,
            }
        )
        return
    verb = "re-driven" if redriving else "dropped"
    cannot = sum(tally.cannot.values())
    screen.say(
        f"{'would be ' if dry_run else ''}{verb} {tally.done}; settled before {tally.already}, repeats {tally.repeats}, "
        f"cannot {cannot}, left {tally.left}; {tally.matched} letters fit"
    )
    for what, number in sorted(tally.cannot.items()):
        screen.warn(
            f"{number} cannot be re-driven ({what.value}): {what.explanation}; `kasparro dead-letters drop` gives letters up"
        )
    _say_hidden(screen, tally.hidden)


def _say_hidden(screen: Screen, hidden: int) -> None:
    if hidden:
        screen.warn(
            f"{hidden} offsets lie behind a transaction that is still open and were not looked at: repeat this in a minute"
        )


def _letter_body(letter: Letter, state: State) -> dict[str, Any]:
    told, origin = letter.told, letter.told.origin
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "failed_at": letter.failed_at,
        "state": state.value,
        "source": told.source,
        "error_class": told.error_class,
        "stage": told.stage,
        "run_id": told.run_id,
        "attempt": told.attempt,
        "origin": {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset} if origin else None,
        "size": letter.size,
        "detail": told.detail,
    }


def _row(letter: Letter, state: State) -> tuple[str, ...]:
    told, origin = letter.told, letter.told.origin
    return (
        f"{letter.partition}:{letter.offset}",
        letter.failed_at.isoformat(timespec="seconds"),
        state.value,
        told.source or "-",
        told.error_class,
        told.stage or "-",
        str(told.attempt),
        f"{origin.topic} {origin.partition}:{origin.offset}" if origin else "-",
        str(letter.size),
        on_one_line(told.detail[:LONGEST_DETAIL]),
    )


def _bytes_body(value: bytes | None) -> dict[str, str | None]:
    if value is None:
        return {"text": None}
    text = _text(value)
    return {"base64": b64encode(value).decode()} if text is None else {"text": text}


def _told(value: bytes | None) -> str:
    if value is None:
        return "(none)"
    text = _text(value)
    return f"base64 {b64encode(value).decode()}" if text is None else text


def _text(value: bytes) -> str | None:
    """Return the bytes as text if that is what they are: what a terminal would take for an order is none."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter in LAID_OUT for letter in text) else None
