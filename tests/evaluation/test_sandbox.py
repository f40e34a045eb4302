"""Code of a model runs apart: honest programs pass, hostile ones get nowhere and leave nothing behind."""

import os
import socket
import threading
from itertools import combinations
from pathlib import Path

import pytest

from evaluation.metrics.code import code_of, score
from evaluation.metrics.pass_at_k import pass_at_k
from evaluation.sandbox import Limits, isolation, run_code
from workspace.errors import RungError

SHORT = Limits(cpu_seconds=1, wall_seconds=3.0, memory=256 * 2**20)
PATIENT = Limits(cpu_seconds=1, wall_seconds=120.0, memory=256 * 2**20)
"""A busy machine takes seconds to start an interpreter; only what sleeps is measured by the clock."""


@pytest.fixture(params=["as here", "guard"])
def kind(request):
    """With what this machine has, and with the guard alone."""
    return "" if request.param == "as here" else "guard"


def test_honest_programs_pass_and_wrong_ones_do_not(kind):
    add = "import collections, json, math, random, re, dataclasses\ndef add(a, b):\n    return a + b\n"
    assert run_code(add, "assert add(2, 3) == 5", PATIENT, apart=kind).passed
    assert run_code(
        add, "open('note.txt', 'w').write('x'); assert open('note.txt').read() == 'x'", PATIENT, apart=kind
    ).passed
    assert run_code(add, "assert add(2, 3) == 6", PATIENT, apart=kind).why == "error"
    assert run_code("def add(:", "assert True", PATIENT, apart=kind).why == "error"


HOSTILE = {
    "leaves early": ("import sys; sys.exit(0)", {"left early"}),
    "leaves at once": ("import os; os._exit(0)", {"left early"}),
    "loops": ("while True: pass", {"limit", "time"}),
    "sleeps": ("import time; time.sleep(60)", {"time"}),
    "eats memory": ("x = bytearray(2**33)", {"error"}),
    "writes a big file": (
        "f = open('big', 'wb')\nfor _ in range(64): f.write(b'0' * 2**20); f.flush()",
        {"error", "limit"},
    ),
    "forks": ("import os\nwhile True: os.fork()", {"forbidden"}),
    "starts threads without end": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
        {"error", "time"},
    ),
    "reads its parent's environment": ("import os; open(f'/proc/{os.getppid()}/environ').read()", {"forbidden"}),
    "reads the project": ("import glob; [open(p).read() for p in glob.glob('/*/*')]", {"forbidden"}),
    "starts a program": ("import subprocess; subprocess.run(['true'])", {"forbidden"}),
    "starts a shell": ("import os; os.system('true')", {"forbidden"}),
    "replaces itself": ("import os; os.execv('/bin/true', ['true'])", {"forbidden"}),
    "reads accounts": ("open('/etc/passwd').read()", {"forbidden"}),
    "reads by descriptor": ("import os; os.open('/etc/passwd', os.O_RDONLY)", {"forbidden"}),
    "climbs out": ("open('../../etc/passwd').read()", {"forbidden"}),
    "links out": ("import os; os.symlink('/etc/passwd', 'p'); open('p').read()", {"forbidden"}),
    "lists the root": ("import os; os.listdir('/')", {"forbidden"}),
    "goes native": ("import ctypes; ctypes.CDLL(None).getpid()", {"forbidden"}),
    "kills its parent": ("import os; os.kill(os.getppid(), 9)", {"forbidden"}),
    "looks for the guard": ("import gc; gc.get_objects()", {"forbidden"}),
    "opens a socket": ("import socket; socket.socket()", {"forbidden"}),
    "talks forever": ("while True: print('x' * 10000)", {"limit", "time"}),
    "catches all": ("try:\n    import os; os.fork()\nexcept BaseException:\n    pass", {"forbidden"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_get_nowhere(kind, name):
    code, expected = HOSTILE[name]
    ran = run_code(
        code,
        "assert True",
        PATIENT if expected & {"limit", "forbidden"} or expected == {"error"} else SHORT,
        apart=kind,
    )
    assert not ran.passed and ran.why in expected, ran


def test_no_file_of_ours_is_touched_and_the_folder_goes(tmp_path, kind):
    mine = tmp_path / "mine.txt"
    mine.write_text("kept")
    for code in (
        f"open({str(mine)!r}, 'w')",
        f"import os; os.remove({str(mine)!r})",
        f"import shutil; shutil.rmtree({str(tmp_path)!r})",
    ):
        assert run_code(code, "", PATIENT, apart=kind).why == "forbidden"
    assert mine.read_text() == "kept"
    seen = run_code(
        "import os; p = os.getcwd()", "assert p.rsplit('/', 1)[1].startswith('rung-code-')", PATIENT, apart=kind
    )
    assert seen.passed and not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("rung-code-*/note.txt"))


def test_nothing_of_the_environment_is_seen(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    assert run_code("import os", "assert 'ANTHROPIC_API_KEY' not in os.environ", PATIENT).passed


def test_a_listening_server_hears_nothing():
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(2)
    heard = []
    thread = threading.Thread(target=lambda: heard.append(_accept(server)))
    thread.start()
    port = server.getsockname()[1]
    assert not run_code(f"import urllib.request as u; u.urlopen('http://127.0.0.1:{port}')", "", SHORT).passed
    thread.join()
    server.close()
    assert heard == [None] and isolation() in ("namespaces", "guard")


def _accept(server):
    try:
        return server.accept()
    except TimeoutError:
        return None


def test_the_metric_runs_what_stands_in_fences_and_needs_tests():
    answer = "Here:\n```python\ndef f():\n    return 1\n```\nDone."
    assert code_of(answer) == "def f():\n    return 1\n"
    assert score(answer, "assert f() == 1") == 1.0 and score(answer, "assert f() == 2") == 0.0
    with pytest.raises(RungError, match='no key "tests"'):
        score(answer, "")


def test_pass_at_k_is_the_share_of_draws_with_a_pass():
    for n, passed, k in [(5, 2, 1), (5, 2, 3), (6, 0, 4), (4, 4, 2), (7, 1, 7)]:
        draws = list(combinations(range(n), k))
        assert pass_at_k(n, passed, k) == pytest.approx(sum(min(d) < passed for d in draws) / len(draws))
    with pytest.raises(ValueError, match="k = 6"):
        pass_at_k(5, 2, 6)
