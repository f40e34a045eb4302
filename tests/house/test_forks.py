"""A fork does what an interpreter of its own does, and what a fork cannot take over becomes one."""

import fcntl
import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from forks import REAL
from lives import wait_until

from rung.start import start_project


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--json"], ["data", "import", "-", "--as", "pool"]])
def test_the_same_code_and_streams(tmp_path: Path, words: list[str]) -> None:
    found = []
    for python in (REAL, sys.executable, sys.executable):
        place = tmp_path / str(len(found)) / "bank"
        place.mkdir(parents=True)
        start_project(place)
        command = [python, "-P", "-m", "rung", *words]
        given = '{"prompt": "Wo?", "completion": "Köln"}\n{"prompt": "half\n'.encode()
        done = subprocess.run(command, cwd=place, input=given, capture_output=True, env={**os.environ, "COLUMNS": "70"})
        found.append((done.returncode, done.stdout, done.stderr, sorted(path.name for path in place.iterdir())))
    assert found[0] == found[1] == found[2] and sys.executable != REAL


@pytest.mark.parametrize(
    ("before", "forks"),
    [
        ("umask 077", True),
        ("ulimit -n 100", False),
        ("export LANG=C", False),
        ("exec 2>&-", False),
    ],
)
def test_what_a_fork_cannot_take_over_becomes_an_interpreter(tmp_path: Path, before: str, forks: bool) -> None:
    start_project(tmp_path)
    reads = (sys.executable, "-P", "-m", "rung", "data", "import", "-", "--as", "pool")
    command = ["bash", "-c", f'{before}; exec "$@"', "--", *reads]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as done:
        pipe = done.stdin
        assert pipe
        pipe.write(b'{"prompt": "Where?", "completion": "Here"}\n')
        pipe.flush()
        wait_until(lambda: fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) == bytes(4))  # all is read
        assert (b"-IS" in Path(f"/proc/{done.pid}/cmdline").read_bytes()) == forks
        pipe.close()
        assert done.wait() == 0
    assert (tmp_path / "rung.db").is_file()
