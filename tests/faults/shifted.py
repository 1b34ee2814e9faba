"""Run a service whose wall clock is wrong: `python -m tests.faults.shifted --seconds 7200 services.producers.coingecko`.

`--jump-after S` leaves the clock right for the first S seconds, and then sets it at once, forwards or backwards.
"""

import argparse
import runpy
import sys
import time
from datetime import UTC, datetime, timedelta

from libs.process.clock import SystemClock


def shift(seconds: float, after: float) -> None:
    """Set the clock that every service of ours takes; monotonic time and waiting stay as they are."""
    begun, by = time.monotonic(), timedelta(seconds=seconds)

    def utc(self: SystemClock) -> datetime:
        now = datetime.now(UTC)
        return now + by if time.monotonic() - begun >= after else now

    SystemClock.utc = utc  # type: ignore[method-assign]


def main() -> None:
    """Shift, then be the service."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--jump-after", type=float, default=0.0)
    parser.add_argument("module")
    asked = parser.parse_args()
    shift(asked.seconds, asked.jump_after)
    sys.argv = [asked.module]
    runpy.run_module(asked.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
