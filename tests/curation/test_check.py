"""`rung data check`, `fix`, `dismiss`, `undo`, as a user runs them."""

import contextlib
import io
import json
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from typing import NamedTuple

import pytest

from rung.cli import main

WORDS = [
    "river",
    "garden",
    "window",
    "letter",
    "market",
    "bridge",
    "captain",
    "silver",
    "winter",
    "summer",
    "engine",
    "basket",
    "candle",
    "mirror",
    "forest",
]


def text(rng, words=24):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def row(question, answer, **other):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **other}


def lines(path, rows, *more):
    path.write_text("".join(json.dumps(each) + "\n" for each in rows) + "".join(more))
    return path


def rung(*command, cwd=".", code=None):
    """Run the command in this process: its exit code and what it wrote."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.argv = ["rung", *map(str, command)]
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            sys.argv = before
    assert code in (None, status), (status, out.getvalue(), err.getvalue())
    return Done(status, out.getvalue(), err.getvalue())


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def faulty():
    """Thirty sound rows, then an exact and a near copy, a contradiction, a phone number and a key."""
    rng = random.Random(1)
    sound = [row(text(rng), f"the answer number {i} is right") for i in range(30)]
    question = sound[4]["messages"][0]["content"]
    return [
        *sound,
        sound[2],
        row(sound[3]["messages"][0]["content"] + " today", "the answer number 3 is right"),
        row(question, "something else entirely"),
        row("call +44 20 7946 0958 " + text(rng), "it is done"),
        row("AKIAIOSFODNN7EXAMPLE " + text(rng), "it is done"),
    ]


def test_files_with_faults_exit_1_and_say_what_where_why_and_what_next(tmp_path, faulty):
    path = lines(tmp_path / "rows.jsonl", faulty, "{nope\n")
    done = rung("data", "check", path, code=1)
    said = done.stdout.splitlines()
    assert re.fullmatch(r"3 findings block the dataset\. \d+ checks found nothing\.", said[0])
    assert said[1] == "36 read = 33 kept + 1 exact + 1 near + 1 rejected"
    assert said[3].split()[:4] == ["✗", "Contradictions", "2", "blocks"]
    assert f"    {path}:5 and {path}:33   same question, different answers" in said
    assert f"    {path}:36   not JSON: the line ends before its value does" in done.stdout
    assert said[-1].startswith("Next: rung data ")
    assert "7946" not in done.stdout and "AKIA" not in done.stdout
    shown = rung("data", "check", path, "--show", "pii", code=1).stdout
    assert "[PHONE]" in shown and "7946" not in shown


def test_the_json_document(tmp_path, faulty):
    path = lines(tmp_path / "rows.jsonl", faulty)
    done = rung("data", "check", path, "--json", code=1)
    document = json.loads(done.stdout)
    assert document["read"] == document["kept"] + document["exact"] + document["near"] + document["rejected"] == 35
    assert [f["name"] for f in document["findings"] if f["severity"] == "blocks"] == ["contradictions", "secrets"]
    assert document["blocking"] == 2
    for finding in document["findings"]:
        assert finding["reason"] and finding["title"] and finding["rows"] > 0
    assert len(document["checks"]) >= 20 and "AKIA" not in done.stdout and "7946" not in done.stdout


def test_sound_files_exit_0_and_leaks_are_looked_for_between_train_and_test(tmp_path, faulty):
    train = lines(tmp_path / "train.jsonl", faulty[:20])
    said = rung("data", "check", train, code=0).stdout
    assert said.startswith("Nothing blocks the dataset.") and said.splitlines()[-1] == f"Next: rung data import {train}"
    test = lines(tmp_path / "test.jsonl", [faulty[7], row("a question that stands nowhere else at all", "x y z")])
    said = rung("data", "check", train, test, code=1).stdout
    assert "✗ Leaks into test" in said and f"{test}:1 and {train}:8   exact, 1.00, same answer" in said


def test_bad_input_exits_2(tmp_path, faulty):
    path = lines(tmp_path / "rows.jsonl", faulty[:5])
    assert "Did you mean" in rung("data", "check", tmp_path / "row.jsonl", code=2).stderr
    assert "Did you mean" in rung("data", "check", path, "--show", "contradiction", code=2).stderr
    done = rung("data", "check", tmp_path / "none.jsonl", "--json", code=2)
    assert json.loads(done.stdout)["error"]["message"]
    assert "rung init" in rung("data", "check", cwd=tmp_path, code=2).stderr


def test_an_empty_file_is_no_error(tmp_path):
    (tmp_path / "rows.jsonl").write_text("")
    assert "0 read" in rung("data", "check", tmp_path / "rows.jsonl", code=0).stdout


def test_the_page_holds_all_and_fetches_nothing(tmp_path, faulty):
    evil = row("<script>alert(1)</script> see " + text(random.Random(3)), "[red]x[/red] \u202e")
    path = lines(tmp_path / "rows.jsonl", [*faulty, evil, evil])
    rung("data", "check", path, "--html", tmp_path / "page.html", code=1)
    page = (tmp_path / "page.html").read_text()
    assert "Contradictions" in page and "<svg" in page and "[PHONE]" in page
    assert "<script" not in page and "\u202e" not in page and "7946" not in page and "AKIA" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)


@pytest.fixture
def project(tmp_path, faulty):
    (tmp_path / "rung.toml").write_text('[review]\npool = "trust"\n[project]\nperson = "sam"\n')
    lines(tmp_path / "rows.jsonl", faulty, "{nope\n")
    lines(tmp_path / "test.jsonl", [faulty[7], row("a question that stands nowhere else at all", "x y z")])
    rung("data", "import", "rows.jsonl", "--rejects", "rejects.jsonl", cwd=tmp_path, code=0)
    rung("data", "import", "test.jsonl", "--as", "test", cwd=tmp_path, code=0)
    return tmp_path


def found(project):
    done = rung("data", "check", "--json", cwd=project)
    document = json.loads(done.stdout)
    assert done.returncode == (1 if document["blocking"] else 0)
    return {f["name"]: (f["severity"], f["rows"]) for f in document["findings"]}, document


def test_a_projects_findings_are_fixed_dismissed_and_taken_back(project):
    names, document = found(project)
    assert names["leaks"] == ("blocks", 1) and names["contradictions"] == ("blocks", 2)
    assert names["secrets"] == ("blocks", 1) and names["pii"] == ("look", 1)
    assert names["duplicates"] == ("handled", 2) and names["malformed"] == ("handled", 1)
    assert [f["name"] for f in document["findings"]][:3] == ["leaks", "contradictions", "secrets"]
    total = sum(document[name] for name in ("kept", "exact", "near", "rejected", "known", "taken_out"))
    assert document["read"] == total == 38

    assert "would be 1 row taken out" in rung("data", "fix", "leaks", "--dry-run", cwd=project, code=0).stdout
    assert found(project)[0] == names
    assert "1 row taken out" in rung("data", "fix", "leaks", cwd=project, code=0).stdout
    after, document = found(project)
    assert "leaks" not in after and document["taken_out"] == 1
    rung("data", "undo", cwd=project, code=0)
    assert found(project)[0] == names

    rung("data", "fix", "--all", cwd=project, code=0)
    said = rung("data", "check", cwd=project, code=1).stdout
    assert "! Under 100 test items: only large differences can be shown" in said
    assert "in review" in said and said.splitlines()[-1] == "Next: rung review"
    status = json.loads(rung("review", "status", "--json", cwd=project, code=0).stdout)
    assert status["states"]["pending"] >= 3


def test_a_validation_row_that_leaks_the_test_set_is_found_and_fixed_where_the_freeze_refuses_it(project, faulty):
    lines(project / "held.jsonl", [faulty[7]])
    rung("data", "fix", "leaks", cwd=project, code=0)
    rung("data", "import", "held.jsonl", "--as", "validation", cwd=project, code=0)
    for blocking in ("contradictions", "secrets"):
        rung("data", "dismiss", blocking, "--by", "dana", "--reason", "both hold", cwd=project, code=0)
    assert "rung data fix leaks" in rung("data", "freeze", cwd=project, code=1).stderr
    assert found(project)[0]["leaks"] == ("blocks", 1)
    assert "1 row taken out" in rung("data", "fix", "leaks", cwd=project, code=0).stdout
    assert "leaks" not in found(project)[0]
    assert "rung data fix leaks" not in rung("data", "freeze", cwd=project).stderr


def test_what_was_dismissed_stays_said_with_name_and_reason_until_undone(project):
    names, document = found(project)
    assert "--by NAME" in rung("data", "dismiss", "contradictions", cwd=project, code=2).stderr
    key = next(f for f in document["findings"] if f["name"] == "leaks")["evidence"][0]["key"]
    for finding in ("contradictions", f"leaks:{key}", "secrets", "pii"):
        rung("data", "dismiss", finding, "--by", "dana", "--reason", "both hold", cwd=project, code=0)
    after, _ = found(project)
    assert not {"contradictions", "leaks", "secrets", "pii"} & set(after)
    for _ in range(4):
        rung("data", "undo", cwd=project, code=0)
    assert found(project)[0] == names
    assert "nothing to undo" in rung("data", "undo", cwd=project, code=2).stderr


def test_names_that_are_none_change_nothing(project):
    names, _ = found(project)
    for command in (
        ["fix", "leakz"],
        ["fix"],
        ["fix", "leaks", "--all"],
        ["fix", "leaks", "contradiction"],
        ["fix", "duplicates"],
    ):
        rung("data", *command, cwd=project, code=2)
    rung("data", "dismiss", "leaks:00000000", "--by", "x", "--reason", "y", cwd=project, code=2)
    assert found(project)[0] == names


MEMORY = """
import re, sys
from pathlib import Path
from curation import checkup, sampler
sampler.SAMPLE = 1000
found = checkup.check_files([Path(sys.argv[1])])
print(found.read, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_texts_are_not_held_when_a_file_is_checked(tmp_path):
    """8 times the rows, of 4 KB each: what grows is a fingerprint a row, far below the text."""
    peaks = []
    for count in (1_500, 12_000):
        rng = random.Random(count)
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for i in range(count):
                file.write(json.dumps({**row(f"{text(rng, 30)} {i}", f"the answer is {i}"), "note": "x" * 4000}) + "\n")
        out = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, out.stdout.split())
        assert rows == count
        peaks.append(peak)
    text_kb = (path.stat().st_size - (tmp_path / "1500.jsonl").stat().st_size) / 1024
    assert peaks[1] - peaks[0] < 0.5 * text_kb, (peaks, text_kb)


def test_a_sample_of_long_rows_is_smaller_and_every_row_is_as_likely(monkeypatch):
    from curation import sampler as rows_held
    from curation.example import Example
    from curation.quality import Subject

    monkeypatch.setattr(rows_held, "SAMPLE", 40)
    monkeypatch.setattr(rows_held, "SAMPLE_BYTES", 250)
    monkeypatch.setattr(rows_held, "FEWEST_HELD", 5)
    one = Example(row("q", "a"))
    drawn = Counter()
    for seed in range(400):
        sampler = rows_held.Sampler(seed)
        for line in range(100):
            sampler.add(Subject(one, "f", line), 10)
        lines = [subject.line for subject in sampler.rows()]
        assert lines == sorted(set(lines)) and 5 <= len(lines) <= 25 and sampler.seen == 100
        drawn.update(lines)
    expected = drawn.total() / 100
    assert all(abs(drawn[line] - expected) < 5 * expected**0.5 for line in range(100))


def test_names_are_masked_in_every_finding_while_they_are_looked_for(tmp_path):
    """A row that names a person is shown by other checks, too: duplicates, contradictions, leaks, personal data."""
    from curation.checkup import check_files
    from curation.quality import Options
    from curation.quality.mask import Spot, mask

    def find(text):
        return [Spot(m.start(), m.end(), "NAME", "NAME") for m in re.finditer("Maria Lopez", text)]

    rng = random.Random(3)
    asked = f"Maria Lopez of mail@example.org asks {text(rng, 12)}"
    rows = [row(f"{text(rng, 14)} {i}", f"it is {i}") for i in range(80)]
    rows += [row(asked, "the first of May"), row(asked, "the first of May"), row(asked, "no such day is known")]
    rows += [row(f"Maria Lopez wants {text(rng, 12)}", "[INST] tell Maria Lopez [/INST]")]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "test.jsonl").write_text(json.dumps(row(asked, "the first of May")) + "\n")
    files = [tmp_path / "train.jsonl", tmp_path / "test.jsonl"]
    plain, masked = check_files(files), check_files(files, options=Options(names=find))
    shown = {f.name for f in plain.findings if any("Maria Lopez" in t for e in f.evidence for t in e.texts)}
    assert {"duplicates", "contradictions", "leaks", "pii", "residue"} <= shown
    assert shown | {"names"} <= {finding.name for finding in masked.findings}
    assert "Maria" not in json.dumps(masked.as_json()) and "[NAME]" in json.dumps(masked.as_json())
    assert mask("Maria Lopez") == "Maria Lopez"


def test_help_imports_nothing_heavy():
    heavy = "('sklearn', 'numpy', 'scipy', 'curation')"
    code = f"import sys; from rung.cli import build_app; build_app(); print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_page_shows_every_cluster_and_who_decided_what(project):
    rung("review", "sample", cwd=project)
    done = rung("review", "next", "--reviewer", "ann", "--json", cwd=project)
    item = json.loads(done.stdout)
    if item.get("id"):
        rung(
            "review",
            "decide",
            item["id"],
            "--token",
            item["token"],
            "--reviewer",
            "ann",
            "approve",
            cwd=project,
            code=0,
        )
    rung("data", "check", "--html", "page.html", cwd=project, code=1)
    page = (project / "page.html").read_text()
    assert "Clusters by their size: of 2 rows 2" in page and "<mark>something else entirely</mark>" in page
    assert item.get("id") is None or "Decisions by reviewer: ann 1" in page


def test_a_check_that_is_stopped_keeps_what_was_found(tmp_path, faulty):
    from pathlib import Path

    from curation.checkup import Stopped, check_files

    path = lines(tmp_path / "rows.jsonl", faulty, "{nope\n")

    def stop_at(title):
        def stage(now):
            if now == title:
                raise Stopped

        return stage

    whole = check_files([path])
    early = check_files([path], stage=stop_at("Duplicates"))
    assert early.stopped == "Stopped while duplicates and leaks were looked for." and early.read == whole.read
    assert {f.name for f in early.findings} >= {"malformed", "secrets", "pii"}
    late = check_files([path], stage=stop_at("Another language"))
    assert late.stopped == "Stopped before another language were looked for."
    assert {f.name for f in late.findings} >= {"contradictions", "duplicates", "secrets"}
    ran = {check.name: check.rows for check in late.checks}
    assert ran["language"] is None and ran["topics"] is None and ran["form"] is not None

    def half(done, total):
        raise Stopped

    nothing = check_files([Path(path)], progress=half)
    assert nothing.stopped == "Stopped after 0 lines." and nothing.read == 0

    def compiled(behind):
        def stage(now):
            raise SystemError("a compiled function returned a result with an exception set") from behind

        return stage

    assert check_files([path], stage=compiled(KeyboardInterrupt())).stopped == early.stopped
    with pytest.raises(SystemError):
        check_files([path], stage=compiled(None))


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.argv = ["rung", "data", "check", "/dev/stdin"]
from rung.cli import main
main()
"""


def test_ctrl_c_prints_what_was_found_and_exits_130(faulty):
    """Rows come through a pipe that stays open; so much went into it that some were read when Ctrl-C comes."""
    text = "".join(json.dumps(each) + " " * 8000 + "\n" for each in faulty * 12)
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    process.stdin.write(text)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "! Stopped after" in out and "Keys and passwords" in out
