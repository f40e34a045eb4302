"""Functions that tests have done beside the program."""

import os
import time

from workspace.errors import RungError


def done(say):
    """Done at once: the number of the process."""
    return os.getpid()


def never_ends(say, *_):
    """As a check that takes a minute; its title is the number of its process."""
    say(("began", str(os.getpid())))
    time.sleep(60)


def dies(say):
    """The machine has no memory left for it."""
    say(("working",))
    os.kill(os.getpid(), 9)


def wrong(_, kind):
    """In one of three ways."""
    if kind == "ours":
        raise RungError("No row r-1.", "rung status")
    if kind == "file":
        raise FileNotFoundError(2, "No such file or directory", "/no/such")
    raise ValueError("odd")
