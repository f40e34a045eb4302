"""A row with every kind of secret, shown by everything that shows rows: nothing of it is seen bare."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from conftest_tui import rested, running, text_of
from in_process import rung
from rows_in_files import lines
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

BODY = "MIIEpAIBAAKCAQEAx7" + "Kq3vT9ZsLmBf0dWn" * 2 + "Rr5uYcEo8hJ1"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
AWS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def block(kind: str, line: str = "\n", *, footer: bool = True) -> str:
    """A private key: header, two lines of body and a short one, footer."""
    end = [f"-----END {kind}-----"] if footer else []
    return line.join([f"-----BEGIN {kind}-----", BODY, f"b2{BODY}", "q7Zz==", *end])


BARE = {
    "private key": (block("RSA PRIVATE KEY"), ["q7Zz==", BODY]),
    "private key without footer": (block("PRIVATE KEY", footer=False), ["q7Zz==", BODY]),
    "private key without header": (block("PRIVATE KEY").split("\n", 1)[1], ["q7Zz==", BODY]),
    "private key escaped": (block("EC PRIVATE KEY", "\\n"), ["q7Zz==", BODY]),
    "private key in one line": (block("PRIVATE KEY", " "), ["q7Zz==", BODY]),
    "private key of Windows": (block("ENCRYPTED PRIVATE KEY", "\r\n"), ["q7Zz==", BODY]),
    "PGP": (block("PGP PRIVATE KEY BLOCK").replace("BLOCK-----\n", "BLOCK-----\nVersion: X 1\n\n", 1), [BODY]),
    "OpenSSH": (block("OPENSSH PRIVATE KEY"), ["q7Zz==", BODY]),
    "address": ("anna.lee@example.org", ["anna", "example.org"]),
    "international address": ("anna@bücher.de", ["anna", "bücher"]),
    "address of other letters": ("жанна@пример.рф", ["жанна", "пример"]),
    "address among Chinese": ("联系zhang@example.com谢谢", ["zhang", "example.com"]),
    "phone": ("+49 170 1234567", ["1234567"]),
    "local mobile": ("Mobil 01761234567", ["01761234567"]),
    "local number in threes": ("081-234-5678", ["234-5678"]),
    "number after a number": ("room 12 (415) 555-0177", ["555-0177"]),
    "number before a number": ("030/7654321 22", ["7654321"]),
    "local mobile without a word": ("01761234568", ["01761234568"]),
    "card": ("4111 1111 1111 1111", ["1111"]),
    "card with dots": ("4111.1111.1111.1111", ["1111"]),
    "card with several signs": ("4111-1111 1111.1111", ["1111"]),
    "card in full width": ("４１１１１１１１１１１１１１１１", ["１１１１"]),
    "card of the 2 series": ("2223003122003222", ["2223003122003222"]),
    "IBAN": ("DE89 3704 0044 0532 0130 00", ["0532"]),
    "IBAN in lower case": ("de89370400440532013000", ["0532"]),
    "IBAN with hyphens": ("DE89-3704-0044-0532-0130-00", ["0532"]),
    "AWS secret": (f"aws_secret_access_key = {AWS}", [AWS]),
    "AWS pair": (f"AKIAABCDEFGHIJKLMNOP {AWS}", ["AKIAABCD", AWS]),
    "bearer": ("Authorization: Bearer Zx81abcd0123efgh4567", ["Zx81abcd"]),
    "basic": ("Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==", ["dXNlcjpw"]),
    "JWT": (JWT, ["eyJhbGci", "dozjgNry"]),
    "JWT cut off": (JWT.rsplit(".", 1)[0], ["eyJhbGci", "eyJzdWIi"]),
    "key by its name": ('api_key: "abcd1234efgh5678ijkl"', ["abcd1234"]),
    "PuTTY": (
        f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 2\n{BODY}\nPrivate-Lines: 1\n"
        f"b2{BODY}\nPrivate-MAC: 00ffab12",
        [BODY, "00ffab12"],
    ),
    "PuTTY cut off": (f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 2\n{BODY}\nq7Zz==", [BODY]),
    "password": ("password: hunter22", ["hunter22"]),
    "password in quotes": ("\"passwd\": 'S3cr3t!x'", ["S3cr3t!x"]),
    "password of letters": ("db_password=correcthorse", ["correcthorse"]),
    "password in a sentence": ("the password is Sommer2024!", ["Sommer2024!"]),
    "secret": ("secret: q1w2e3r4", ["q1w2e3r4"]),
    "address with zero width": ("an\u200bna.lee@exam\u2060ple.org", ["lee@"]),
    "key with zero width": ("sk-ant-api03-" + "A1b2\u200bC3d4" * 6, ["C3d4A1b2"]),
    "router's key": ("sk-or-v1-" + "0a1b2c3d" * 8, ["0a1b2c3d"]),
    "service's token": ("gsk_" + "A1b2C3d4" * 7, ["gsk_A1b2"]),
    "bot's token": ("1234567890:AA" + "b7Cd_e8F" * 4 + "x", ["b7Cd_e8F"]),
    "storage key": ("AccountName=x;AccountKey=" + "Eby8vdM0" * 10 + "==;", ["Eby8vdM0"]),
    "vendor's key": ("sk-ant-api03-" + "A1b2C3d4" * 6, ["A1b2C3d4"]),
}
"""One of every kind of secret and personal data, as people write them: the text, and its parts nobody may see."""


def found_bare(shown: str) -> list[str]:
    """Names of those of which a part is in a text, a screen or a file, however it is folded into lines."""
    whole = "".join(re.sub(r'"token": "[^"]*"', "", shown).split())  # a token may hold any four digits
    whole = whole.replace("\\n", "")
    return [name for name, (_, parts) in BARE.items() if any("".join(part.split()) in whole for part in parts)]


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


def row(number: int) -> dict[str, Any]:
    """A row with every eighth kind in question and answer."""
    text = "\n| and |\n".join(BARE[kind][0] for kind in KINDS[number::ROWS])
    talk = [("user", f"What about this? {text}"), ("assistant", f"{text}\nwas answered as {number}")]
    return {"messages": [{"role": role, "content": said} for role, said in talk], "from": {"said": [text]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All kinds twice: in the pool and, the same questions, as a test set, so that leaks are shown as well."""
    (tmp_path / "rung.toml").write_text('[project]\nname = "codes"\nperson = "sam"\n[review]\npool = "all"\n')
    for name, role in (("test", "test"), ("rows", "pool")):
        rows = lines(tmp_path / f"{name}.jsonl", map(row, range(ROWS)))
        rung("data", "import", rows, "--as", role, cwd=tmp_path, code=0)
    (tmp_path / "broken.jsonl").write_text(rows.read_text().replace("}\n", "\n"))
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
    asked = [
        {
            "id": f"chatcmpl-{number}",
            "model": "m",
            "messages": [{"role": "user", "content": f"ask {number} {text}"}],
            "response": {"choices": [{"message": {"role": "assistant", "content": text}}]},
            "metadata": {"comment": text},
        }
        for number, (text, _) in enumerate(BARE.values())
    ]
    lines(folder / "log.jsonl", asked, '{"broken": "' + BARE["private key escaped"][0] + "\n")
    done = rung("watch", "import", "log.jsonl", "--rejects", "rejects.jsonl", cwd=folder, code=0)
    files = [path for path in (folder / "watch").rglob("*") if path.is_file()] + [folder / "rejects.jsonl"]
    kept = [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in files]
    assert b"[KEY]" in b"".join(kept)
    assert not found_bare(done.stdout + "".join(part.decode() for part in kept))
