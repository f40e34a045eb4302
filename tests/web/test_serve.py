"""`rung review serve` as a program of its own: what it prints, what it refuses, how it bears slow and odd clients."""

from __future__ import annotations

import contextlib
import hmac
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
import pytest
from in_shell import rung
from typer.testing import CliRunner

from curation.example import Example, chat_row
from curation.review import Desk, Ruling, decide_all, invite, next_item, open_desk
from curation.store import open_store
from rung.cli import build_app
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def as_program(*command: str) -> list[str]:
    """The words that start the program: what stands in for Python is there only once the tests run."""
    return [sys.executable, "-m", "rung", *command]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rung.toml").write_text('[project]\nname = "codes"\nperson = "sam"\n')
    with open_store(Project(tmp_path), Settings()) as store:
        store.add([Example(chat_row("q1", "a1"))], role="candidates")
    return tmp_path


def invite_here(folder: Path) -> str:
    with open_store(Project(folder), Settings()) as store:
        return invite(store, "dana")


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> tuple[subprocess.Popen[str], str]:
        command = as_program("review", "serve", "--port", "0", *flags)
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
    command = as_program("review", "serve", "--port", "0", "--json")
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
def test_refuses(folder: Path, flags: tuple[str, ...], code: int, named: str, monkeypatch):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(build_app(), ["review", "serve", "--port", "0", *flags])
    assert isinstance(done.exception, RungError) and done.exception.exit_code == code and done.stdout == ""
    assert done.exception.hint and (named in done.exception.message or named in done.exception.hint)


def test_a_port_that_is_taken(folder: Path):
    """As a program, so that what a person sees is what is checked: one message, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = rung("review", "serve", "--port", taken.getsockname()[1], cwd=folder)
    assert done.returncode == 2 and "127.0.0.1:" in done.stderr and "Traceback" not in done.stderr


def test_elsewhere_with_links_under_its_own_names(folder: Path, serve):
    invite_here(folder)
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
        dana.get(f"/enter/{invite_here(folder)}")
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


class Stranger:
    """Someone with a personal link and a program of their own: sends what they like, forms with their own csrf."""

    def __init__(self, folder: Path, address: str, name: str, role: str = "reviewer"):
        with open_store(Project(folder), load_settings(folder / "rung.toml")) as store:
            token = invite(store, name, role=role)
        self.client = httpx.Client(base_url=address, timeout=60)
        self.client.get(f"/enter/{token}")
        self.csrf = hmac.new(token.encode(), b"form", "sha256").hexdigest()

    def post(self, path: str, row: str, token: str = "made-up", **fields: str) -> httpx.Response:
        data = {"csrf": self.csrf, "row": row, "token": token, "verdict": "reject", "reason": "1", **fields}
        return self.client.post(path, data=data)

    def take(self, row: str) -> str:
        """Lease a row; its token."""
        page = self.client.get(f"/?row={row}").text
        assert f'name="row" value="{row}"' in page, page[:500]
        return str(re.findall(r'name="token" value="([^"]+)"', page)[0])


SECRET = "the answer of the lead"


@pytest.fixture
def decided(folder: Path) -> Callable[[str], Desk]:
    """`decided(more)`: 12 rows, `more` in [review]; the lead, kim, decided r-000003, r-000004 was removed."""

    def make(more: str) -> Desk:
        (folder / "rung.toml").write_text(f'[project]\nname = "codes"\nperson = "sam"\n[review]\n{more}\n')
        desk = open_desk(Project(folder), load_settings(folder / "rung.toml"))
        desk.store.add([Example(chat_row(f"question {n}", f"answer {n}")) for n in range(12)], role="candidates")
        invite(desk.store, "kim", role="lead")
        decide_all(desk, "kim", [("r-000003", Ruling("edit", text=SECRET))], kind="person")
        desk.store.exclude(["r-000004"], "a leak", "leaks")
        return desk

    return make


def test_no_reply_tells_a_stranger_to_a_row_what_was_decided_on_it(folder: Path, serve, decided):
    """Decided, open, held by someone else, out of the data: under a made-up token all rows answer alike."""
    desk = decided("")
    next_item(desk, "kim", want="r-000006")
    mallory = Stranger(folder, serve()[1], "mallory")
    for fields in ({}, {"verdict": "edit", "text": SECRET}, {"verdict": "edit", "text": ""}, {"verdict": "approve"}):
        replies = set()
        for row in ("r-000003", "r-000004", "r-000005", "r-000006"):
            answer = mallory.post("/decide", row, **fields)
            told = answer.text.replace(fields.get("text") or "no text", "")
            assert answer.status_code == 409 and "kim" not in told and SECRET not in told
            replies.add(re.sub(r'value="[^"]*"|name="csrf"|csrf', "", told.replace(row, "ROW")))
        assert len(replies) == 1
    for path in ("/open", "/unmask", "/contest", "/undo", "/forget", "/stop", "/reopen"):
        answer = mallory.post(path, "r-000003")
        assert "kim" not in answer.text and SECRET not in answer.text
    row = desk.store.row("r-000003")
    assert (row.state, row.reviewer, len(desk.store.events(kind="contest"))) == ("edited", "kim", 0)


def test_a_decision_is_contested_by_whoever_held_the_row_and_no_one_else(folder: Path, serve, decided):
    desk = decided("lease_seconds = 1")
    address = serve()[1]
    mallory, dana = Stranger(folder, address, "mallory"), Stranger(folder, address, "dana")
    tokens = {row: dana.take(row) for row in ("r-000005", "r-000007")}
    time.sleep(1.2)
    for row, who in (("r-000005", "mo"), ("r-000007", "kim")):
        decide_all(desk, who, [(row, Ruling("approve"))], kind="person")
        for token in ("made-up", tokens[row], tokens["r-000005"]):
            assert mallory.post("/contest", row, token).status_code == 403
    late = dana.post("/decide", "r-000005", tokens["r-000005"])
    assert late.status_code == 409 and re.search(r"\bmo\b", late.text) and "/contest" in late.text
    of_the_lead = dana.post("/decide", "r-000007", tokens["r-000007"])
    assert of_the_lead.status_code == 409 and "/contest" not in of_the_lead.text
    assert dana.post("/contest", "r-000007", tokens["r-000005"]).status_code == 403
    assert dana.post("/contest", "r-000007", tokens["r-000007"]).status_code == 403, "the lead's decision"
    assert dana.post("/contest", "r-000005", tokens["r-000005"]).status_code == 303
    assert [desk.store.row(row).state for row in tokens] == ["unsure", "approved"]
    decide_all(desk, "kim", [("r-000005", Ruling("approve"))], kind="person")
    assert dana.post("/contest", "r-000005", tokens["r-000005"]).status_code == 403, "a second time"
