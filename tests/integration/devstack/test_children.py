"""What a process starts ends with it, whatever happens to it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from libs.devstack.children import Nursery
from libs.devstack.errors import ChildDiedError, StateError
from libs.devstack.state import alone, check_room

ROOT = Path(__file__).parents[3]
READY = "print('ready', flush=True); time.sleep(600)"
SLEEP = [sys.executable, "-c", f"import time; {READY}"]
STUBBORN = [sys.executable, "-c", f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"]
PARENT = """
    import sys, time
    from pathlib import Path
    from libs.devstack.children import Nursery
    from libs.devstack.state import alone
    state = Path(sys.argv[1])
    with alone(state, waiting=print) as lock, Nursery(held=[lock]) as nursery, nursery.temporary_folder("x-") as folder:
        child = nursery.start("child", {command!r}, log=state / "child.log")
        while not child.last_words():
            time.sleep(0.02)
        print(child.process.pid, folder, flush=True)
        time.sleep(600)
"""


def wait_until_gone(pid: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.02)


@pytest.mark.parametrize("command", [SLEEP, STUBBORN], ids=["polite", "stubborn"])
def test_a_killed_parent_leaves_no_child_no_folder_and_in_the_end_no_lock(command: list[str], tmp_path: Path) -> None:
    program = textwrap.dedent(PARENT).format(command=command)
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid, folder = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    with alone(tmp_path, waiting=lambda _: None):  # free only when everything that it started has ended
        wait_until_gone(int(pid), 1)
        assert not Path(folder).exists()


def test_the_lock_of_a_living_process_is_refused_with_its_number(tmp_path: Path) -> None:
    program = textwrap.dedent(PARENT).format(command=SLEEP)
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    try:
        parent.stdout.readline()
        with pytest.raises(StateError, match=f"process {parent.pid}"), alone(tmp_path, waiting=lambda _: None):
            pass
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_a_child_that_ends_says_its_last_words(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.start("teller", [sys.executable, "-c", "print('the disk is full'); exit(3)"], log=tmp_path / "log")
    child.process.wait()
    with pytest.raises(ChildDiedError, match=r"teller ended with exit code 3.*\n.*the disk is full"):
        child.check()
    nursery.forget(child)


def test_a_nursery_that_closes_ends_its_children(tmp_path: Path) -> None:
    with Nursery() as nursery:
        child = nursery.start("sleeper", SLEEP, log=tmp_path / "log")
    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_root_becomes_nobody_and_still_passes_through_closed_folders(nursery: Nursery, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "inside").write_text("seen")
    program = f"import os; print(os.geteuid(), open({str(tmp_path / 'inside')!r}).read())"
    child = nursery.start("reader", [sys.executable, "-c", program], log=tmp_path / "log", user="nobody")
    child.process.wait()
    nursery.forget(child)
    assert child.log.read_text() == "65534 seen\n"


def test_a_disk_with_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    check_room(tmp_path)
    with pytest.raises(StateError, match=r"nearly full.*make clean-state"):
        check_room(tmp_path, needed=10**18)
