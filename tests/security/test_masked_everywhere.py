"""A row with every kind of secret, shown by everything that shows rows: nothing of it is seen bare."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from bare import BARE, found_bare
from conftest_tui import rested, running, text_of
from in_shell import rung
from starlette.testclient import TestClient
from typer.testing import CliRunner

from curation.mask import mask
from curation.review import invite, open_desk
from rung.cli import build_app as build_shell
from rung.tui.app import RungApp
from rung.tui.source import ScreenSource
from rung.web.app import build_app
from rung.web.serve import host_names
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import load_settings

KINDS = list(BARE)
FALSE = [
    "E11.40 and S52.502A of 2026-11-28, section 4.1.2",
    "the bearer of certificates-of-deposit-and-bonds",
    "hotel 12345678 has 400 rooms, and Abel arrives 1500-1200 later",
    "3141.5926535897932 and 1234567890123456",
    "1 000 000 000 rows of 12 345 678 9012, in 0001 0002 0003 parts; 100 250 300 4000",
    "write -----BEGIN at the top; the private key is yours",
    "your access token is missing, api key: none",
    "Forgot your password: click here; the password is reset weekly",
    "password: string, secret: the ingredient is love",
    "connect(user=name, password=passed, pwd=/srv/data1)",
    "Enter your password: ******** or password: ${PASS1} or password=<your1>",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("around", ["{}", "see {} please", "“{}”,", "first line\n{}\nlast line"])
def test_each_kind_is_masked_whole(kind: str, around: str) -> None:
    text = around.format(BARE[kind][0])
    assert not found_bare(mask(text))
    before, after = around.split("{}")
    assert mask(text).startswith(before) and mask(text).endswith(after), "and nothing else is"


@pytest.mark.parametrize("text", FALSE)
def test_what_is_none_stays(text: str) -> None:
    assert mask(text) == text


ROWS = 8


def row(number: int) -> str:
    """A row with every eighth kind in question and answer."""
    text = "\n| and |\n".join(BARE[kind][0] for kind in KINDS[number::ROWS])
    talk = [("user", f"What about this? {text}"), ("assistant", f"{text}\nwas answered as {number}")]
    messages = [{"role": role, "content": content} for role, content in talk]
    return json.dumps({"messages": messages, "from": {"said": [text]}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All kinds twice: in the pool and, the same questions, as a test set, so that leaks are shown as well."""
    (tmp_path / "rung.toml").write_text('[project]\nname = "codes"\nperson = "sam"\n[review]\npool = "all"\n')
    (tmp_path / "rows.jsonl").write_text("\n".join(map(row, range(ROWS))) + "\n")
    (tmp_path / "test.jsonl").write_text("\n".join(map(row, range(ROWS))) + "\n")
    (tmp_path / "broken.jsonl").write_text("\n".join(row(number)[:-1] for number in range(ROWS)) + "\n")
    for name, role in (("test", "test"), ("rows", "pool")):
        done = rung("data", "import", f"{name}.jsonl", "--as", role, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    return tmp_path


def test_no_command_shows_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.chdir(folder)
    for words in (
        ("data", "check"),
        ("data", "check", "--json"),
        ("data", "check", "rows.jsonl"),
        ("data", "check", "rows.jsonl", "--json"),
        ("data", "check", "--show", "secrets"),
        ("data", "check", "--show", "pii"),
        ("data", "check", "--html", "check.html"),
        ("data", "import", "broken.jsonl"),
        ("data", "import", "broken.jsonl", "--json"),
        ("data", "dedup", "rows.jsonl", "test.jsonl", "-o", "out.jsonl"),
        ("data", "leakage", "--train", "rows.jsonl", "--test", "test.jsonl"),
        ("data", "leakage", "--train", "rows.jsonl", "--test", "test.jsonl", "--json"),
        ("data", "freeze", "--test-only"),
        *(("why", f"r-{n + 1:06}") for n in range(ROWS)),
        *(("why", f"r-{n + 1:06}", "--json") for n in range(3)),
        *(("review", "next", "--reviewer", f"a{n}") for n in range(ROWS)),
        *(("review", "next", "--reviewer", f"b{n}", "--json") for n in range(ROWS)),
        ("review", "status", "--json"),
    ):
        done = CliRunner().invoke(build_shell(), [*words])
        told = str(done.exception.as_json()) if isinstance(done.exception, RungError) else ""
        assert done.output or told, (words, done.exception)
        shown += [(words, name) for name in found_bare(done.output + told)]
    shown += [(("check.html",), name) for name in found_bare((folder / "check.html").read_text())]
    assert not shown


def test_no_page_shows_them(folder: Path) -> None:
    project = Project(folder)
    desk = open_desk(project, load_settings(project.settings_file))
    with desk.store, TestClient(build_app(desk, host_names(desk.settings.web)), base_url="http://127.0.0.1") as client:
        client.get(f"/enter/{invite(desk.store, 'dana', role='lead')}")
        shown = []
        for path in ("/", "/team", "/guideline"):
            shown += [(path, name) for name in found_bare(client.get(path).text)]
        for _ in range(ROWS):
            page = client.get("/")
            form = dict(re.findall(r'name="(csrf|row|token)" value="([^"]+)"', page.text))
            shown += [("/", name) for name in found_bare(page.text)]
            client.post("/decide", data={**form, "verdict": "approve"})
        assert not shown


async def test_no_screen_shows_them(folder: Path) -> None:
    app = RungApp(ScreenSource.of(folder))
    shown = []
    async with running(app, (120, 40)) as pilot:
        await rested(pilot)
        for keys in (
            ["4"],
            *(["s"] for _ in range(8)),
            ["escape"],
            ["3"],
            ["r"],
            ["enter"],
            *(["j"] for _ in range(5)),
        ):
            await pilot.press(*keys)
            await rested(pilot)
            shown += [(keys, name) for name in found_bare(text_of(app))]
    assert not shown


def test_no_log_of_requests_keeps_them(folder: Path) -> None:
    lines = []
    for number, kind in enumerate(KINDS):
        text = BARE[kind][0]
        lines.append(
            {
                "id": f"chatcmpl-{number}",
                "model": "m",
                "messages": [{"role": "user", "content": f"ask {number} {text}"}],
                "response": {"choices": [{"message": {"role": "assistant", "content": text}}]},
                "metadata": {"comment": text},
            }
        )
    (folder / "log.jsonl").write_text(
        "\n".join(map(json.dumps, lines)) + "\n" + '{"broken": "' + BARE["private key escaped"][0] + "\n"
    )
    done = rung("watch", "import", "log.jsonl", "--rejects", "rejects.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    files = [path for path in (folder / "watch").rglob("*") if path.is_file()] + [folder / "rejects.jsonl"]
    kept = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in files]
    assert b"[KEY]" in b"".join(kept)
    assert not found_bare(done.stdout + "".join(part.decode() for part in kept))
