"""What an operator is told of a replay before it happens. Pure."""

from collections.abc import Sequence

from libs.postgres.writing.rebuilding import Held
from libs.recovery.targets import Move

COLUMNS = ("topic", "partition", "committed", "from", "to", "again", "skipped", "oldest", "end")


def row_of(move: Move) -> Sequence[str]:
    """Return the cells of a partition, under COLUMNS."""
    committed = "-" if move.committed is None else str(move.committed)
    numbers = (move.from_offset, move.to_offset, move.replayed, move.skipped, move.log_start, move.log_end)
    return (move.topic, str(move.partition), committed, *map(str, numbers))


def summary_of(moves: Sequence[Move]) -> str:
    """Say how much is read again."""
    return f"{sum(move.replayed for move in moves)} offsets are read again; markers of transactions count too, records are fewer"


def warnings_of(moves: Sequence[Move], held: Sequence[Held]) -> list[str]:
    """Say what is lost already, and what would be lost by going on."""
    return [*_eaten(moves), *skipped_of(moves), *beyond_reach_of(held)]


def skipped_of(moves: Sequence[Move]) -> list[str]:
    """Say what would never be read."""
    return [
        f"{move.topic} partition {move.partition}: FORWARD from {move.from_offset} to {move.to_offset}, up to {move.skipped} "
        "records will never be applied"
        for move in moves
        if move.skipped
    ]


def beyond_reach_of(held: Sequence[Held]) -> list[str]:
    """Say what emptying the tables would lose for good."""
    ticks = [
        f"{one.source}: {one.ticks_beyond_reach} of {one.ticks} ticks of the history, and the candles of their time, "
        "are in no record that the topic keeps: the rebuild LOSES them; without --history they stay"
        for one in held
        if one.ticks_beyond_reach
    ]
    return ticks + [
        f"{one.source}: {one.raw_rows_beyond_reach} of {one.raw_rows} raw rows and the newest content of "
        f"{one.quotes_beyond_reach} of {one.quotes} listings are in no record that the topic keeps: the rebuild LOSES them"
        for one in held
        if one.raw_rows_beyond_reach or one.quotes_beyond_reach
    ]


def _eaten(moves: Sequence[Move]) -> list[str]:
    told = []
    for move in moves:
        where = f"{move.topic} partition {move.partition}"
        if move.eaten is None:
            told.append(
                f"{where}: retention has removed everything below {move.log_start}, perhaps some of what you asked for; "
                f"the replay begins at {move.log_start}, the oldest that is kept"
            )
        elif move.eaten:
            told.append(
                f"{where}: retention has removed {move.eaten} offsets of what you asked for ({move.log_start - move.eaten} to "
                f"{move.log_start - 1}); the replay begins at {move.log_start}, the oldest that is kept"
            )
    return told
