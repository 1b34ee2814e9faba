"""Become another program that ends with its parent: `python -I -S launch.py PARENT_PID SIGNAL USER COMMAND…`.

A program of its own, so that nothing runs between fork and exec of a threaded parent. Standard library only.
USER `-` stays who we are. Postgres refuses to run as root; where root starts it, it becomes USER and keeps just the right
to pass through folders that USER may not enter (a clone in /root, a mktemp folder), so that no folder's mode is changed.
"""

import ctypes
import os
import pwd
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_KEEPCAPS: Final = 8
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
LINUX_CAPABILITY_VERSION_3: Final = 0x20080522
ORPHANED = 1


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def main() -> None:
    """Never returns."""
    parent, number, user, *command = sys.argv[1:]
    if user != "-":
        _become(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)  # after _become: a change of user clears it
    if os.getppid() != int(parent):
        sys.exit(ORPHANED)  # it died before we could ask to be told
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):  # the lesser right first; containers often have only the other
        bit = 1 << capability
        words = (_Words * 2)(_Words(bit, bit, bit), _Words(0, 0, 0))
        if libc.capset(ctypes.byref(_Header(LINUX_CAPABILITY_VERSION_3, 0)), words) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


if __name__ == "__main__":
    main()
