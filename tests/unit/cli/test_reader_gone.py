"""`kasparro status | head`: who stops reading is told nothing of how things are."""

import subprocess
import sys

from services.cli.screen import READER_GONE

TALKING = "from services.cli.screen import Screen\nscreen = Screen()\nwhile True: screen.console.print('x' * 1_000)"


def test_a_command_whose_reader_is_gone_ends_as_by_sigpipe_and_not_with_the_1_of_something_wrong() -> None:
    with subprocess.Popen([sys.executable, "-c", TALKING], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(60) == READER_GONE
        assert child.stderr.read() == b""
