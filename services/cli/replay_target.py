"""What `--to` says, as a target."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from libs.recovery.targets import Beginning, Moment, Offsets, Target
from services.cli.errors import UseError
from services.cli.moments import EXAMPLES, moment_of

LARGEST_OFFSET: Final = 2**63 - 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PAIR: Final = re.compile(r"(\d{1,9})=(\d{1,19})")


def target_of(text: str, partitions: Sequence[int], now: datetime) -> Target:
    """Read `beginning`, `0=1200,3=77`, `1200` (of the partitions chosen) or a moment. Raises UseError.

    What has digits alone is an offset, never a time.
    """
    if text == "beginning":
        return Beginning()
    if "=" in text:
        if partitions:
            raise UseError(f"--to {text} names the partitions already: leave --partition out")
        return Offsets(dict(_pairs(text)))
    if text.isdecimal():
        if not partitions:
            raise UseError(f"--to {text} is an offset: say of which partitions (--partition), or write 0={text},1=...")
        return Offsets(dict.fromkeys(partitions, _offset(text)))
    try:
        moment = moment_of(text, now)
    except UseError as error:
        raise UseError(f"--to: {error}; or `beginning`, or offsets such as 0=1200,3=77") from None
    if moment < EPOCH:
        raise UseError(f"--to: {moment.isoformat()} is before 1970, where Kafka's time begins: write `beginning`")
    return Moment(moment)


def _pairs(text: str) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for part in text.split(","):
        found = PAIR.fullmatch(part.strip())
        if found is None:
            raise UseError(f"--to: {part!r} is no PARTITION=OFFSET; a time is written as {EXAMPLES}")
        pairs.append((int(found[1]), _offset(found[2])))
    if len(dict(pairs)) < len(pairs):
        raise UseError(f"--to {text} names a partition twice")
    return pairs


def _offset(text: str) -> int:
    if len(text) > len(str(LARGEST_OFFSET)) or int(text) > LARGEST_OFFSET:
        raise UseError(f"--to: {text} is larger than any offset")
    return int(text)
