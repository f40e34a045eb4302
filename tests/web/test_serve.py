"""`rung review serve` as a program of its own: what it prints, what it refuses, how it bears slow and odd clients."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import in_process
import pytest
from in_shell import rung

from curation.example import Example, chat_row
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import Settings

SERVE = ("-m", "rung", "review", "serve", "--port", "0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rung.toml").write_text('[project]\nname = "codes"\nperson = "sam"\n')
    with open_store(Project(tmp_path), Settings()) as store:
        store.add([Example(chat_row("q1", "a1"))], role="candidates")
    return tmp_path


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, *SERVE, *flags]
        program = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(program)
        assert program.stdout is not None
        first = program.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found, first + program.communicate(timeout=120)[1]
        return program, found[0]

    yield start
    for program in running:
        program.kill()
        program.communicate()


def get(url: str, **headers: str) -> tuple[int, str]:
    answer = httpx.get(url, headers=headers, timeout=300)
    return answer.status_code, answer.text


def test_serves_prints_how_it_is_reached_and_ends_on_ctrl_c(folder: Path, serve):
    program, address = serve()
    link = rung("review", "invite", "dana", "--base", address, cwd=folder).stdout.strip()
    status, page = get(link)
    assert status == 200 and "dana" in page
    assert get(address)[0] == 401
    program.send_signal(signal.SIGINT)
    assert program.stdout is not None and program.stderr is not None
    out, errors = program.stdout.read(), program.stderr.read()
    program.wait(300)
    port = urlsplit(address).port
    assert re.search(rf"ssh -L {port}:127\.0\.0\.1:{port} ", out) and f"proxy_pass http://127.0.0.1:{port}" in out
    assert re.search(rf"{address}/enter/\S+", out) and f"--base {address}" in out
    assert program.returncode == 0 and errors.count("\n") == 1
    assert link.rsplit("/", 1)[1] not in out + errors, "no link in the output"


def test_a_program_is_told_in_one_document_where_the_page_is(folder: Path):
    command = [sys.executable, *SERVE, "--json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        lines = iter(program.stdout.readline, "}\n")
        told = json.loads("".join(lines) + "}")
        assert get(told["address"])[0] == 401 and told["login"] == "link"
        status, page = get(told["link"])
        assert status == 200 and "sam" in page, "whoever starts it gets in"
        assert get(told["link"][:-1])[0] == 401
        assert told["invite"].endswith(f"--base {told['address']}")
        program.send_signal(signal.SIGINT)
        assert program.communicate(timeout=300)[0] == "" and program.returncode == 0


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("port = 9000", "http://127.0.0.1:9000"),
        ('host = "0.0.0.0"', f"http://{socket.gethostname()}:8642"),
        ('host = "::1"', "http://[::1]:8642"),
        ('url = "https://review.example.org/"', "https://review.example.org"),
    ],
)
def test_a_link_leads_where_the_page_can_be_reached(folder: Path, written: str, base: str):
    with (folder / "rung.toml").open("a") as file:
        file.write(f"[web]\n{written}\n")
    assert rung("review", "invite", "dana", cwd=folder).stdout.startswith(f"{base}/enter/")


@pytest.mark.parametrize(
    ("flags", "code", "named"),
    [
        (("--host", "0.0.0.0"), 1, "rung review invite"),
        (("--host", "0.0.0.0", "--login", "none"), 1, "--host 127.0.0.1"),
        (("--login", "proxy"), 2, "[web] proxy"),
        (("--login", "magic"), 2, "magic"),
        (("--host", "not an address", "--login", "link"), 1, "rung review invite"),
    ],
)
def test_refuses(folder: Path, flags: tuple[str, ...], code: int, named: str):
    done = in_process.rung("review", "serve", "--port", "0", *flags, cwd=folder, code=code)
    assert done.stdout == "" and "\n-> " in done.stderr and named in done.stderr


def test_a_port_that_is_taken(folder: Path):
    """As a program, so that what a person sees is what is checked: one message, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = rung("review", "serve", "--port", taken.getsockname()[1], cwd=folder)
    assert done.returncode == 2 and "127.0.0.1:" in done.stderr and "Traceback" not in done.stderr


def test_elsewhere_with_links_under_its_own_names(folder: Path, serve):
    rung("review", "invite", "dana", cwd=folder)
    _, address = serve("--host", "0.0.0.0", "--url", "https://review.example.org")
    here = f"127.0.0.1:{urlsplit(address).port}"
    for host, status in ((here, 401), ("review.example.org", 401), ("evil.example", 400)):
        assert get(f"http://{here}/", host=host)[0] == status


def test_missing_extra_is_one_sentence(folder: Path):
    absent = "sys.modules['uvicorn'] = sys.modules['starlette'] = None"
    code = f"import sys; {absent}; from rung.cli import main; sys.argv = ['rung', 'review', 'serve']; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.search(r'"web".*\n-> .*"rung\[web\]"', done.stderr)


def test_a_killed_server_loses_nothing_and_the_form_goes_on(folder: Path, serve):
    """Cookie and form outlive the server: nothing of a session is in its memory."""
    program, address = serve()
    with httpx.Client(base_url=address, timeout=300) as dana:
        dana.get(rung("review", "invite", "dana", "--base", address, cwd=folder).stdout.strip())
        fields = dict(re.findall(r'name="(csrf|row|token)" value="([^"]+)"', dana.get("/").text))
        program.send_signal(signal.SIGKILL)
        program.wait()
        serve("--port", str(urlsplit(address).port))
        assert dana.post("/decide", data={**fields, "verdict": "approve"}).status_code == 303
    with open_store(Project(folder), Settings()) as store:
        assert [row.state for row in store.rows()] == ["approved"]


def test_slow_and_broken_bodies(make_site, serving, monkeypatch: pytest.MonkeyPatch):
    """One that stops in the middle changes nothing, is given up, and others are served meanwhile."""
    monkeypatch.setattr("rung.web.login.BODY_SECONDS", 0.5)
    address = urlsplit(serving(make_site().desk))
    start = b"POST /decide HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=300) as slow:
        slow.sendall(start + b"Content-Length: 100\r\n\r\nrow=")
        assert get(address.geturl() + "/")[0] == 401
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
    for bad in (b"Content-Length: -5\r\n\r\n", b"Content-Length: 99999999999\r\n\r\n", b"\x00\x01\r\n\r\n"):
        with socket.create_connection((address.hostname, address.port), timeout=300) as odd:
            odd.sendall(start + bad)
            assert re.match(rb"HTTP/1.1 4\d\d ", odd.recv(1000))
    assert get(address.geturl() + "/")[0] == 401


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST /decide HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nrow=",
    ],
)
def test_half_sent_requests_keep_nobody_out(folder: Path, serve, half: bytes):
    """A reviewer goes on, on a kept and on a new connection, while 300 others send half a request.

    The server sleeps before the last hundred, so it finds them together with the reviewer's next request.
    """
    process, address = serve("--login", "none")
    parts = urlsplit(address)
    with httpx.Client(base_url=address, timeout=60) as reviewer, contextlib.ExitStack() as held:
        assert reviewer.get("/").status_code == 200
        for count in range(300):
            if count == 200:
                process.send_signal(signal.SIGSTOP)
            slow = held.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=60))
            with contextlib.suppress(OSError):
                slow.sendall(half)
        threading.Timer(0.5, process.send_signal, [signal.SIGCONT]).start()
        assert reviewer.get("/").status_code == 200
        page = httpx.get(address, timeout=60)
        fields = dict(re.findall(r'name="(csrf|row|token)" value="([^"]+)"', page.text))
        assert page.status_code == 200 and fields
        done = httpx.post(f"{address}/decide", data={**fields, "verdict": "approve"}, cookies=page.cookies, timeout=60)
        assert done.status_code == 303
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0 and errors.count("\n") == 1
    with open_store(Project(folder), Settings()) as store:
        assert [row.state for row in store.rows()] == ["approved"]


@pytest.mark.parametrize("answered", [False, True])
def test_headers_that_do_not_come_end_the_connection(
    make_site, serving, monkeypatch: pytest.MonkeyPatch, answered: bool
):
    """Also after an answer, and however often a byte of the next request comes."""
    monkeypatch.setattr("rung.web.serve.HEADER_SECONDS", 0.5)
    address = urlsplit(serving(make_site().desk))
    with socket.create_connection((address.hostname, address.port), timeout=60) as slow:
        if answered:
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert slow.recv(100).startswith(b"HTTP/1.1 401")
        slow.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 60:
                slow.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 30
