"""Runs a command where no network is but loopback: `python tests/offline.py COMMAND...`. `make check` does.

Where the account may not have a network of its own (no user namespaces), it says so and runs the command as it is.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
SET_FLAGS, UP = 0x8914, 0x1


def cut() -> bool:
    """Leave the network; True where that was possible. Root stays root, so that its rights stay what they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(NEW_NETWORK if user == 0 else NEW_USER | NEW_NETWORK):
        return False
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket() as any_:
        fcntl.ioctl(any_, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))
    return True


if __name__ == "__main__":
    if not sys.platform.startswith("linux") or not cut():
        os.write(2, b"The network could not be cut here: the tests run with it.\n")
    os.execvp(sys.argv[1], sys.argv[1:])
