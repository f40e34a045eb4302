"""Code of a model runs apart: honest programs pass, hostile ones reach nothing and leave nothing behind."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading

import pytest

from evaluation.metrics.item_metrics import passes
from evaluation.metrics.run_code import SandboxLimits, run_code
from workspace.errors import RungError

SHORT = SandboxLimits(cpu_seconds=1, wall_seconds=3.0, memory=256 * 2**20)
PATIENT = SandboxLimits(cpu_seconds=2, wall_seconds=120.0, memory=256 * 2**20)
"""A busy machine takes seconds to start an interpreter; only what sleeps is measured by the clock."""
SECRET = "planted-3f21"


def test_honest_programs_pass_and_wrong_ones_do_not():
    add = "import collections, ctypes, json, math, random, re, sqlite3, threading\ndef add(a, b):\n    return a + b\n"
    note = "open('note.txt', 'w').write('x'); assert open('note.txt').read() == 'x'; import os; os.mkdir('a')"
    thread = "t = threading.Thread(target=add, args=(1, 2)); t.start(); t.join()"
    for tests in ("assert add(2, 3) == 5", note, thread):
        assert run_code(add, tests, PATIENT).passed
    assert run_code(add, "assert add(2, 3) == 6", PATIENT).why == "error"
    assert run_code("def add(:", "assert True", PATIENT).why == "error"
    assert run_code(add, "import os; assert os.listdir('.') == []", PATIENT).passed, "nothing is left of the last one"


ENDS = {
    "leaves early": ("import sys; sys.exit(0)", {"left early"}),
    "loops": ("while True: pass", {"limit", "time"}),
    "sleeps": ("import time; time.sleep(60)", {"time"}),
    "eats memory": ("x = bytearray(2**33)", {"error"}),
    "writes a big file": ("f = open('big', 'wb')\nfor _ in range(64): f.write(b'0' * 2**20); f.flush()",
                          {"error", "limit"}),
    "writes many files": ("for n in range(99): open(str(n), 'wb').write(b'0' * 10**6)", {"error"}),
    "fills memory through files": ("import os\nfor n in range(30): os.write(os.memfd_create('m'), b'0' * 2**21)",
                                   {"error", "limit"}),
    "starts threads without end": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
        {"error", "time"}),
    "ends all it may": ("import os; os.kill(-1, 9)", {"limit", "error"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_a_program_has_no_end_of_its_own(name):
    code, expected = ENDS[name]
    ran = run_code(
        code, "import time; time.sleep(99)", PATIENT if expected <= {"error", "limit", "left early"} else SHORT
    )
    assert not ran.passed and ran.why in expected, ran


STARTS = {
    "fork": "import os; os.fork()",
    "a program": "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)",
    "posix_spawn": "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "a raw clone": "import ctypes; c = ctypes.CDLL(None, use_errno=True); assert c.syscall(56, 17, 0, 0, 0, 0) >= 0",
    "a raw fork": "import ctypes; c = ctypes.CDLL(None, use_errno=True); assert c.syscall(57) >= 0",
    "a namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "ptrace": "import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
}


@pytest.mark.parametrize("name", STARTS)
def test_no_process_is_started(name):
    code = f"try:\n    {STARTS[name].replace(chr(10), chr(10) + '    ')}\nexcept OSError: raise SystemExit(3)"
    ran = run_code(code, "", PATIENT)
    assert not ran.passed and ran.why in ("error", "limit"), ran


READS = {
    "open": "found = open(P, 'rb').read()",
    "a symbolic link": "import os; os.symlink(P, 'l'); found = open('l', 'rb').read()",
    "ctypes": "import ctypes; c = ctypes.CDLL(None); b = ctypes.create_string_buffer(9999)\n"
              "c.read(c.open(P.encode(), 0), b, 9999); found = b.raw",
    "sqlite, attached": "import sqlite3; c = sqlite3.connect(':memory:'); c.execute('attach ? as o', (P,))\n"
                        "found = repr(c.execute('select * from o.decisions').fetchall()).encode()",
    "the parent's root": "import os; found = open(f'/proc/{os.getppid()}/root{P}', 'rb').read()",
    "the root of process 1": "found = open(f'/proc/1/root{P}', 'rb').read()",
    "a listing": "import os; found = b'planted' if os.path.basename(P) in os.listdir(os.path.dirname(P)) else b''",
}  # fmt: skip


@pytest.fixture
def outside(tmp_path):
    """Files of a project beside the sandbox: text and a database, each with the secret."""
    (tmp_path / "plain").write_text(SECRET)
    with sqlite3.connect(tmp_path / "rung.db") as connection:
        connection.execute("create table decisions(verdict)")
        connection.execute("insert into decisions values (?)", (SECRET,))
    connection.close()
    return tmp_path


def not_apart(code):
    """Exit code of the program as anybody runs it."""
    with tempfile.TemporaryDirectory() as room:
        return subprocess.run([sys.executable, "-I", "-c", code], cwd=room, capture_output=True).returncode


READ = "assert b'planted' in found"


@pytest.mark.parametrize("name", READS)
def test_no_file_is_read(name, outside):
    path = str(outside / ("rung.db" if name == "sqlite, attached" else "plain"))
    code = f"P = {path!r}\n{READS[name]}"
    ran = run_code(code, READ, PATIENT)
    assert not ran.passed and ran.why == "error", ran
    if not name.startswith("the "):
        assert not_apart(code + f"\n{READ}") == 0, "the same program, not apart, reads it"


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/shadow", "/proc/self/environ", "/proc/1/cmdline", "/sys/kernel"])
def test_nothing_of_the_machine_is_seen(path):
    assert run_code("import os", f"assert not os.path.exists({path!r})", PATIENT).passed
    assert os.path.exists(path)


WRITES = {
    "open": "open(P, 'w')",
    "removes": "import os; os.remove(P)",
    "renames": "import os; os.rename(P, P + '2')",
    "changes its time": "import os; os.utime(P, (0, 0))",
    "makes a folder": "import os; os.mkdir(P + '.d')",
    "ctypes": "import ctypes; c = ctypes.CDLL(None); c.unlink(P.encode()); c.open(P.encode(), 65, 511)",
    "sqlite": "import sqlite3; c = sqlite3.connect(D); c.execute('update decisions set verdict = 1'); c.commit()",
    "sqlite, attached": "import sqlite3; c = sqlite3.connect(':memory:'); c.execute('attach ? as o', (P + '.new',))\n"
                        "c.execute('create table o.a(b)'); c.commit()",
    "a pipe": "import os; os.mkfifo(P + '.new')",
    "a socket": "import socket; socket.socket(socket.AF_UNIX).bind(P + '.s')",
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_no_file_is_written(name, outside):
    def seen():
        return {str(p): (p.read_bytes() if p.is_file() else b"", p.stat()[:9]) for p in sorted(outside.rglob("*"))}

    before, code = seen(), f"P, D = {str(outside / 'plain')!r}, {str(outside / 'rung.db')!r}\n{WRITES[name]}"
    ran = run_code(code, "", PATIENT)
    after = seen()
    assert {k: v[0] for k, v in after.items()} == {k: v[0] for k, v in before.items()}
    assert {k: v[1][:7] for k, v in after.items()} == {k: v[1][:7] for k, v in before.items()}
    assert name == "ctypes" or not ran.passed, ran
    not_apart(code)
    assert seen() != before, "the same program, not apart, changes something"


def test_nothing_of_the_environment_is_seen(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    code = "import os, ctypes\nfound = repr(os.environ) + repr(ctypes.CDLL(None).getenv(b'ANTHROPIC_API_KEY'))"
    assert run_code(code, "assert 'secret' not in found and found.endswith('0')", PATIENT).passed


@pytest.mark.parametrize("kind", ["tcp", "udp", "unix", "abstract"])
def test_a_listening_server_hears_nothing(kind, tmp_path):
    family, how = (socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    address = ("127.0.0.1", 0)
    if kind in ("unix", "abstract"):
        family, address = socket.AF_UNIX, str(tmp_path / "s") if kind == "unix" else f"\0rung-{os.getpid()}"
    with socket.socket(family, how) as server:
        server.bind(address)
        if how == socket.SOCK_STREAM:
            server.listen()
        server.settimeout(1)
        heard = []

        def listen():
            with contextlib.suppress(TimeoutError):
                heard.append(server.accept() if how == socket.SOCK_STREAM else server.recv(9))

        thread = threading.Thread(target=listen)
        thread.start()
        to = server.getsockname()
        to = to.decode() if isinstance(to, bytes) else to
        code = f"import socket\ns = socket.socket({int(family)}, {int(how)})\ns.connect({to!r})\ns.send(b'x')"
        ran = run_code(code, "", PATIENT)
        thread.join()
    assert not heard and (not ran.passed or kind == "udp"), "datagrams of a network of its own reach nobody"


def test_nothing_runs_where_it_cannot_run_apart(tmp_path):
    code = "from evaluation.metrics.item_metrics import item_metric\nfrom workspace.errors import RungError\n"
    code += "try: item_metric('code', None)\nexcept RungError as error: print(error.exit_code, error.hint)\n"
    code += "from evaluation.metrics.run_code import run_code\n"
    hostile = f"open({str(tmp_path / 'ran')!r}, 'w')"
    code += f"try: run_code({hostile!r}, '')\nexcept RungError as error: print('no')\n"
    bad = tmp_path / "bin" / "bwrap"
    bad.parent.mkdir()
    bad.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2; exit 1\n")
    bad.chmod(0o755)
    for path in ("/nowhere", str(bad.parent)):
        env = {**os.environ, "PATH": path}
        done = subprocess.run(
            [sys.executable, "-X", "fork", "-c", code], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("2 ") and "bubblewrap" in done.stdout and done.stdout.endswith("no\n")
    assert not (tmp_path / "ran").exists()


def test_the_metric_runs_what_stands_in_fences_and_needs_tests():
    answer = "Here:\n```python\ndef f():\n    return 1\n```\nDone."
    assert passes(answer, "assert f() == 1") == 1.0 and passes(answer, "assert f() == 2") == 0.0
    assert passes("Nothing to do:\n```python\n```", "assert True") == 1.0, "a fence may be empty"
    with pytest.raises(RungError, match='"tests"'):
        passes(answer, "")
