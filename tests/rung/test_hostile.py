"""Hostile and unlucky input: each ends with a sentence and a next step, never in silence or a traceback."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import pytest

from rung.demo.walk import STEPS
from rung.text.evaluation_text import about_data
from workspace.folder import Project

Rung = Callable[..., in_process.Done]


@pytest.fixture
def rung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rung:
    """A command, as the installed script runs it, in a new project in a folder of an odd name."""
    root = tmp_path / "mein Projekt é"
    root.mkdir()
    (root / "rung.toml").write_text("")
    (root / "other.json").write_text('{"schema_version": 1}')
    (root / "rows.jsonl").write_text('{"prompt": "a b c", "completion": "d"}\n' * 2)
    monkeypatch.chdir(root)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return in_process.rung


def error_of(told: in_process.Done) -> Any:
    """The error of the document that a command printed beside its words."""
    assert "Traceback" not in told.stderr
    return json.loads(told.stdout)["error"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("rules check nosuch", "nosuch"),
        ("rules check rung.toml", "rung.toml"),
        ("advise --answers nosuch.toml", "nosuch.toml"),
        ("advise --diff rung.toml", "rung.toml"),
        ("advise --diff other.json", "other.json"),
        ("advise --set citations=maybe", "maybe"),
        ("plan --set learning-rat=1", "learning-rat"),
        ("plan --set ünï=1 --set rank", "ünï"),
        ("plan --preflight --sweep lr=1e-4,2e-4", "--preflight"),
        ("plan -o there", "-o"),
        ("plan rank=8", "rank=8"),
        ("plan --set rank=8 check", "rung plan check --help"),
        ("plan sweep lr=1", "sweep"),
        ("plan sweep lr=1e-4,2e-4 --by ada", "--by"),
        ("verdict --scores nosuch", "nosuch"),
        ("verdict R-001 --scores s.jsonl", "R-001"),
        ("evaluate --answers filled.csv", "--answers"),
        ("evaluate --power --human", "--power"),
        ("evaluate --human --sheet a --reveal", "--sheet"),
        ("judge --sheet a --answers b", "--sheet"),
        ("release verify", "rung release verify DIR"),
        ("release check L-001", "L-001"),
        ("data check rows.jsonl --show nosuch", "nosuch"),
        ("data check --threshold 0.9", "--threshold"),
        ("data check rows.jsonl ''", "files"),
        ("data import ''", "files"),
        ("data dedup rows.jsonl -o /dev/full", "/dev/full"),
        ("data dedup rows.jsonl -o ''", "--out"),
        (f"data generate --count {'9' * 23}", "--count"),
        ("review export -o x.csv --count -5", "--count"),
        ("estimate --model Qwen3-8B --gpu H10", "--gpu"),
        ("why v001", "rung status"),
        ("init ''", "folder"),
        ("--quiet status --verbose", "use one of them"),
    ],
)
def test_a_mistake_is_told_with_a_way_on(rung: Rung, line: str, named: str) -> None:
    words = shlex.split(line)
    told = rung(*words)
    assert (told.returncode, told.stdout) == (2, "") and "\n-> " in told.stderr
    error = error_of(rung(*words, "--json"))
    assert error["hint"] and named in (error["where"], error["found"], error["hint"])


def test_problems_of_a_kind_in_a_score_file_are_counted(rung: Rung) -> None:
    """The first three of each kind in the shell; every one, with its line, in the document."""
    rows = [{"id": n, "baseline": 0.5} | ({} if n % 2 else {"tuned": 1 + n / 8}) for n in range(1, 21)]
    Path("s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, told = rung("verdict", "--scores", "s.jsonl")
    assert code == 2 and len(told.splitlines()) == 2 * 4 + 1 and told.count("7 more") == 2 and "line 20" in told
    problems = json.loads(rung("verdict", "--scores", "s.jsonl", "--json")[1])["error"]["problems"]
    assert [each["where"] for each in problems] == [f"s.jsonl line {n}" for n in range(1, 21)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[rental]\n", "line 1"),
        ('[[rental]]\ngpu = "A 24GB"\n', '"per_hour"'),
        ('[[api]]\nmodel = "m"\ninput = "3"\noutput = 1.0\n', "input"),
        ('[[rentals]]\ngpu = "A"\n', '"rental"'),
        ("[upkeep]\nper_month = 3\n", "[[upkeep]]"),
        ('[[upkeep]]\nper_month = 3\ndate = "today"\n', "date"),
        ("[[upkeep]]\nper_moth = 3\n", '"per_month"'),
    ],
)
def test_a_team_s_own_prices_are_read_with_care(rung: Rung, text: str, named: str) -> None:
    Path("rules").mkdir()
    Path("rules/prices.toml").write_text(text)
    done = rung("advise", "--set", "task=chat", "--set", "incumbent_model=gpt-5", "--json")
    error = error_of(done)
    assert (done.returncode, error["where"]) == (2, "rules/prices.toml") and named in error["message"]


def test_notes_on_the_data_in_another_encoding_end_no_page(tmp_path: Path) -> None:
    (tmp_path / "about-data.md").write_bytes(b"- Die F\xe4lle sind \xf6ffentlich.\n")
    assert about_data(Project(tmp_path)) == ["Die F\ufffdlle sind \ufffdffentlich."]


def test_a_model_that_cannot_be_had_is_told_before_and_by_its_name(
    rung: Rung, nothing_beyond_this_machine: list[str]
) -> None:
    Path("rung.toml").write_text('[model]\nbase = "nobody/no-such-model"\n')
    rung("data", "import", "rows.jsonl")
    told = rung("data", "generate", "--count", "1", "--provider", "local", "--json")
    assert error_of(told)["where"] == "nobody/no-such-model" and "The output:" not in told.stderr
    assert set(nothing_beyond_this_machine) <= {"huggingface.co"}  # where the model would be
    nothing_beyond_this_machine.clear()
    for model in (
        'base = "claude-x"\nprovider = "anthropic"',
        'base = "gpt-x"\nprovider = "openai"',
        'base = "ft/gpt-x"\nprovider = "openai"\nbase_url = "https://api.openai.com/v1"',
        'base = "gpt-x"\nprovider = "openai"\nbase_url = "https://gateway.example.invalid/v1"',
    ):
        Path("rung.toml").write_text(f"[model]\n{model}\n")
        told = rung("plan", "--json")
        assert told.returncode == 1 and "plan managed" in error_of(told)["hint"]
    Path("rung.toml").write_text('[model]\nbase = "gpt2"\nprovider = "openai"\nbase_url = "http://127.0.0.1:8000/v1"\n')
    told = rung("plan", "--json")
    assert told.returncode == 1 and "OWNER/NAME" in error_of(told)["hint"] and "managed" not in told.stdout
    Path("tiny").mkdir()
    for base in ("tiny", "embedded"):
        Path("rung.toml").write_text(
            f'[model]\nbase = "{base}"\nprovider = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        )
        hint = error_of(rung("plan", "--json"))["hint"]
        assert hint == "rung advise", "its weights are here; a server answers for it"
    assert nothing_beyond_this_machine == []


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("rung questions | head -1 >/dev/null", 0, ""),
        ("rung locate | true", 0, ""),
        ("rung nosuch 2>&1 | true", 2, ""),
        ("rung locate >&-", 0, ""),
        ("rung nosuch 2>&-", 2, ""),
        ("rung <&-", 0, ""),
        ("rung advise <&-", 2, "--answers"),
        ("rung data import - <&-", 2, "rung data import"),
        ("rung locate >/dev/full", 2, "No space"),
        ("rung nosuch --json >/dev/full", 2, "'nosuch'"),
        ("rung why nosuch 2>/dev/full", 2, ""),
    ],
)
def test_a_reader_that_goes_and_a_stream_that_is_closed_or_full(rung: Rung, line: str, code: int, said: str) -> None:
    script = line.replace("rung", f"{sys.executable} -P -m rung", 1) + "; echo exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    told = done.stderr
    assert done.stdout.endswith(f"exit {code}\n") and said in told, done
    assert "Traceback" not in told and "Exception ignored" not in told, told


@pytest.mark.parametrize(
    ("name", "data", "line", "way"),
    [
        ("rung.db", b"junk" * 100, "review next", "rung doctor"),
        ("rung.db", b"SQLite format 3\0" + b"\xff" * 4096, "review next", "rung doctor"),
        ("decision.json", b'{"a": 1', "advise --recheck", "rung doctor"),
    ],
)
def test_a_damaged_file_of_the_project_has_a_way_on(rung: Rung, name: str, data: bytes, line: str, way: str) -> None:
    rung("advise", "--set", "task=code")
    Path(name).write_bytes(data)
    told = rung(*line.split())
    assert "codec" not in told.stderr and "Traceback" not in told.stderr
    assert way in (told.stderr if told.returncode else told.stdout), told


def test_the_demo_ends_with_one_document(rung: Rung, tmp_path: Path) -> None:
    Path("demo").mkdir()
    steps = {step.name: 0 for step in STEPS}
    state = {"fast": False, "seconds": dict.fromkeys(steps, 1.5), "exits": steps}
    Path("demo/.demo.json").write_text(json.dumps(state))
    done = rung("demo", "--into", "demo", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and set(found["steps"]) == set(steps) and "done before" in done.stderr
    assert (found["arms"], found["verdict"], found["seconds"]) == ([], None, round(1.5 * len(steps), 1))


OVER_WHAT_IS_READ = (
    "watch report --html rung.db",
    "data check --html rows.jsonl",
    "data check rows.jsonl --words words.txt --html words.txt",
    "advise --set task=code --report guideline.md",
    "share -o guideline.md",
    "data import rows.jsonl --rejects rows.jsonl",
    "watch import rows.jsonl --rejects rows.jsonl",
    "data dedup other.jsonl rows.jsonl -o link.jsonl",
    "data dedup rows.jsonl -o out.jsonl --removed rows.jsonl",
    "data convert rows.jsonl -o rows.jsonl --to alpaca",
    "data leakage --train rows.jsonl --test other.jsonl --clean rows.jsonl",
    "data leakage --train other.jsonl --test rows.jsonl --clean rows.jsonl",
    "data convert rows.jsonl -o -",
    "data import rows.jsonl --rejects answers.toml",
    "data dedup rows.jsonl -o datasets/v001/test.jsonl",
    "data leakage --train rows.jsonl --test rows.jsonl --clean plans/P-001.toml",
    "review invite mo -o rung.toml",
    "evaluate --human --sheet evaluations/E-001/report.json",
    "judge --sheet evaluations/E-001/outputs.jsonl",
    "watch import rows.jsonl --rejects watch/W-001.jsonl",
)
WHERE_ONLY_STAGES_WRITE = (
    "data convert rows.jsonl -o rung.db",
    "data convert rows.jsonl -o rung.db-wal",
    "data dedup rows.jsonl -o kept.jsonl --removed datasets/v001/removed.jsonl",
    "data leakage --train rows.jsonl --test other.jsonl --clean evaluations/E-001/new.jsonl",
    "data import rows.jsonl --rejects decision.json",
    "data check rows.jsonl --html releases/L-001/page.html",
    "review export -o link/v001/rows.csv",
    "review invite mo -o plans/P-001.toml",
    "data convert rows.jsonl -o watch/report.json",
    "init runs/R-001",
    "demo --fast --into runs/R-001",
)
"""It would pass for what a stage made: `rung.db` for a store, a file below `datasets/` for a frozen one."""
THERE = ("datasets/v001/test.jsonl", "plans/P-001.toml", "watch/W-001.jsonl", "guideline.md", "answers.toml",
         "evaluations/E-001/report.json", "evaluations/E-001/outputs.jsonl", "rung.db", "words.txt")  # fmt: skip


@pytest.mark.parametrize(
    ("line", "there"),
    [
        *((line, THERE) for line in OVER_WHAT_IS_READ),
        *(
            (line, ("answers.toml", "datasets/v001/train.jsonl", "../next/rung.toml"))
            for line in WHERE_ONLY_STAGES_WRITE
        ),
    ],
)
def test_nothing_is_written_over_what_is_read_or_where_only_stages_write(
    rung: Rung, line: str, there: tuple[str, ...]
) -> None:
    for name in there:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("what = 1\n" if there is THERE else "")
    Path("other.jsonl").write_bytes(Path("rows.jsonl").read_bytes())
    Path("link").symlink_to("datasets")
    Path("link.jsonl").symlink_to("rows.jsonl")

    def found() -> dict[Path, object]:
        files = (path for path in Path("..").rglob("*") if path.name not in ("rung.db-wal", "rung.db-shm"))
        return {path: path.is_file() and path.read_bytes() for path in files}

    before = found()
    told = rung(*line.split(), "--json")
    error = error_of(told)
    assert told.returncode == 2 and error["hint"], told
    assert error["where"] in line.split() if there is THERE else line.endswith(Path(error["where"]).name), told
    assert found() == before


def test_a_page_takes_the_place_of_an_older_page_or_of_nothing(rung: Rung) -> None:
    for start in ("", "<!doctype html>\n<title>old</title>", "\ufeff\n<HTML>old"):
        Path("page.html").write_text(start)
        assert rung("data", "check", "rows.jsonl", "--html", "page.html").returncode == 0
        assert len(Path("page.html").read_text()) > 1000
    assert rung("data", "check", "rows.jsonl", "--html", "/dev/null").returncode == 0
