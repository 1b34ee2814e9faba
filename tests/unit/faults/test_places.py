"""What the fault suite breaks, and where it kills: it would find nothing in a place that has moved, and nobody would see why."""

import subprocess
import sys

BREAK_AND_DOOM = """
from functools import partial
from tests.faults.broken import BUGS
from tests.faults.doomed import POINTS, doom

assert BUGS and POINTS
for name, put in [*BUGS.items(), *((name, partial(doom, name, 1)) for name in POINTS)]:
    try:
        put()
    except (AssertionError, AttributeError, ImportError) as error:
        print(name, "has no place:", error)
"""


def test_every_bug_and_every_point_has_its_place() -> None:
    """In a process of its own: what is broken stays broken."""
    ended = subprocess.run([sys.executable, "-c", BREAK_AND_DOOM], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == ""
