"""`rung data check` of files and of a project, with `fix`, `dismiss` and `undo`, as a user runs them."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from in_process import rung
from rows_in_files import FAULTY, lines, row, text

from curation.checks import diversity
from curation.checks.base import Options
from curation.checks.run import check_files, check_project
from curation.example import chat_row
from curation.mask import Spot, mask
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import load_settings


def test_files_with_faults_exit_1_and_say_what_where_why_and_what_next(tmp_path):
    path = lines(tmp_path / "rows.jsonl", FAULTY, "{nope\n")
    done = rung("data", "check", path, "--json", code=1)
    document = json.loads(done.stdout)
    counts = [document[name] for name in ("read", "kept", "exact", "near", "rejected")]
    assert counts == [36, 33, 1, 1, 1]
    found = {finding["name"]: finding for finding in document["findings"]}
    assert [name for name, each in found.items() if each["severity"] == "blocks"] == [
        "contradictions", "malformed", "secrets"]  # fmt: skip
    assert document["blocking"] == 3 and len(document["checks"]) >= 20
    assert all(each["reason"] and each["title"] and each["rows"] > 0 for each in found.values())
    places = {name: each["evidence"][0]["places"] for name, each in found.items()}
    assert places["contradictions"] == [f"{path}:5", f"{path}:33"] and places["malformed"] == [f"{path}:36"]
    said = rung("data", "check", path, code=1).stdout
    assert all(str(count) in said for count in counts) and "rung data" in said.splitlines()[-1]
    assert all(place in said for place in (*places["contradictions"], *places["malformed"]))
    nothing = rung("data", "check", lines(tmp_path / "none.jsonl", []), code=0).stdout
    assert "0 lines" in nothing and "import" not in nothing.splitlines()[-1]
    shown = rung("data", "check", path, "--show", "pii", code=1).stdout
    assert "[PHONE]" in shown
    assert not any(secret in text for secret in ("7946", "AKIA") for text in (done.stdout, said, shown))


@pytest.mark.parametrize("place", ["reasoning", "arguments", "description"])
def test_a_key_beside_the_messages_is_found(tmp_path, place):
    key = "first\nghp_" + "a1B2" * 9
    call = {"type": "function", "function": {"name": "find", "arguments": json.dumps({"q": key})}}
    planted = chat_row("Where is it?", "Here.")
    if place == "reasoning":
        planted["messages"][1]["reasoning_content"] = key
    elif place == "arguments":
        planted["messages"][1]["tool_calls"] = [call]
    else:
        planted["tools"] = [{"type": "function", "function": {"name": "find", "description": key}}]
    path = lines(tmp_path / "rows.jsonl", [planted])
    done = rung("data", "check", path, "--json", code=1)
    assert "secrets" in [f["name"] for f in json.loads(done.stdout)["findings"]]
    assert "a1B2a1B2" not in done.stdout


def test_the_page_holds_all_and_fetches_nothing(tmp_path):
    evil = row("<script>alert(1)</script> see " + text(random.Random(3)), "[red]x[/red] \u202e")
    path = lines(tmp_path / "rows.jsonl", [*FAULTY, evil, evil])
    rung("data", "check", path, "--html", tmp_path / "page.html", code=1)
    page = (tmp_path / "page.html").read_text()
    assert "Contradictions" in page and "<svg" in page and "[PHONE]" in page
    assert "<script" not in page and "\u202e" not in page and "7946" not in page and "AKIA" not in page
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)


def test_names_are_masked_in_every_finding_while_they_are_looked_for(tmp_path):
    """A row that names a person is shown by other checks, too: duplicates, contradictions, leaks, personal data."""

    def find(text):
        return [Spot(m.start(), m.end(), "NAME", "NAME") for m in re.finditer("Maria Lopez", text)]

    rng = random.Random(3)
    asked = f"Maria Lopez of mail@example.org asks {text(rng, 12)}"
    rows = [row(f"{text(rng, 14)} {i}", f"it is {i}") for i in range(80)]
    rows += [row(asked, "the first of May"), row(asked, "the first of May"), row(asked, "no such day is known")]
    rows += [row(f"Maria Lopez wants {text(rng, 12)}", "[INST] tell Maria Lopez [/INST]")]
    files = [lines(tmp_path / "train.jsonl", rows), lines(tmp_path / "test.jsonl", [row(asked, "the first of May")])]
    plain, masked = check_files(files), check_files(files, options=Options(names=find))
    shown = {f.name for f in plain.findings if any("Maria Lopez" in t for e in f.evidence for t in e.texts)}
    assert {"duplicates", "contradictions", "leaks", "pii", "residue"} <= shown
    assert "names" not in {finding.name for finding in plain.findings}
    assert shown | {"names"} <= {finding.name for finding in masked.findings}
    notes = [evidence.note for evidence in masked.named("names").evidence]
    assert notes == ["1 name", "1 name", "1 name", "2 names", "1 name"]
    assert "Maria" not in json.dumps(masked.as_json()) and "[NAME]" in json.dumps(masked.as_json())
    assert mask("Maria Lopez") == "Maria Lopez"


def stop(*_):
    raise KeyboardInterrupt


def stop_at(title):
    """A stage that is stopped with Ctrl-C as this check begins."""
    return lambda now: stop() if now == title else None


def test_a_check_that_is_stopped_keeps_what_was_found(tmp_path, monkeypatch):
    path = lines(tmp_path / "rows.jsonl", FAULTY, "{nope\n")
    whole = check_files([path])
    early = check_files([path], stage=stop_at("Duplicates"))
    assert early.stopped and early.read == whole.read
    assert {f.name for f in early.findings} >= {"malformed", "secrets", "pii"}
    late = check_files([path], stage=stop_at("Another language"))
    assert late.stopped and {f.name for f in late.findings} >= {"contradictions", "duplicates", "secrets"}
    ran = {check.name: check.rows for check in late.checks}
    assert ran["language"] is None and ran["topics"] is None and ran["form"] is not None
    nothing = check_files([path], progress=stop)
    assert nothing.stopped and nothing.read == 0

    def compiled(behind):
        def stage(now):
            raise SystemError("a compiled function returned a result with an exception set") from behind

        return stage

    assert check_files([path], stage=compiled(KeyboardInterrupt())).stopped == early.stopped
    with pytest.raises(SystemError):
        check_files([path], stage=compiled(None))
    monkeypatch.setattr(diversity, "against_own", stop)
    midway = check_files([lines(tmp_path / "rows.jsonl", [*FAULTY, *FAULTY])])
    assert {check.name: check.rows for check in midway.checks}["diversity"] is None
    assert "diversity" not in midway.measures and "form" in midway.measures


def test_ctrl_c_prints_what_was_found_and_exits_130():
    """Rows come through a pipe that stays open; so much went into it that some were read when Ctrl-C comes."""
    text = "".join(json.dumps(each) + " " * 8000 + "\n" for each in FAULTY * 12)
    pipe, command = subprocess.PIPE, [sys.executable, "-m", "rung", "data", "check", "/dev/stdin", "--json"]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    process.stdin.write(text)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    found = json.loads(out)
    assert found["stopped"] and "secrets" in {each["name"] for each in found["findings"]}


@pytest.mark.parametrize("name", ["test.jsonl", "test.csv"])
def test_a_pipe_is_read_once_and_looked_at_twice(name: str, tmp_path: Path) -> None:
    """The test side is looked at a second time, for leaks: of a pipe that is only there from a copy."""
    train, pipe = tmp_path / "train.jsonl", tmp_path / name
    asked = "how does one change the oil of a very old motor boat in winter"
    lines(train, [row(asked, "with care")])
    os.mkfifo(pipe)
    table = f"question,answer\n{asked},with care\n"
    text = table if name.endswith("csv") else train.read_text()
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    checkup = check_files([train, pipe])
    writer.join()
    found = next(finding for finding in checkup.findings if finding.name == "leaks")
    assert found.rows == 1 and found.evidence[0].places[0].startswith(str(pipe))
    assert checkup.read == 2 and checkup.files == (str(train), str(pipe))


TRUSTED = '[review]\npool = "trust"\n[project]\nperson = "sam"\n'
TEXTS = [" ".join(f"w{n}x{k}" for k in range(14)) for n in range(40)]


def started(folder, rows, test=(), *more):
    """A project with these pool and test rows."""
    (folder / "rung.toml").write_text(TRUSTED)
    lines(folder / "rows.jsonl", rows, *more)
    rung("data", "import", "rows.jsonl", "--rejects", "rejects.jsonl", cwd=folder, code=0)
    if test:
        lines(folder / "test.jsonl", test)
        rung("data", "import", "test.jsonl", "--as", "test", cwd=folder, code=0)
    return folder


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    test = [FAULTY[7], row("a question that stands nowhere else at all", "x y z")]
    return started(tmp_path_factory.mktemp("imported"), FAULTY, test, "{nope\n")


@pytest.fixture
def project(tmp_path, imported):
    return shutil.copytree(imported, tmp_path / "project")


def told(project, *words, code=0):
    """The document of a command."""
    return json.loads(rung(*words, "--json", cwd=project, code=code).stdout)


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
    (twins,) = (f for f in document["findings"] if f["name"] == "duplicates")
    assert all(len(each["texts"]) == len(each["places"]) == 2 for each in twins["evidence"])
    assert [f["name"] for f in document["findings"]][:3] == ["leaks", "contradictions", "secrets"]
    total = sum(document[name] for name in ("kept", "exact", "near", "rejected", "known", "taken_out"))
    assert document["read"] == total == 38

    (planned,) = told(project, "data", "fix", "leaks", "--dry-run")
    assert found(project)[0] == names
    (done,) = told(project, "data", "fix", "leaks")
    assert (planned["change"], planned["rows"]) == (None, done["rows"]) and len(done["rows"]) == 1
    after, document = found(project)
    assert "leaks" not in after and document["taken_out"] == 1
    rung("data", "undo", cwd=project, code=0)
    assert found(project)[0] == names

    rung("data", "fix", "--all", cwd=project, code=0)
    _, document = found(project)
    assert document["test_set"]["items"] == 2
    assert "in review" in {finding["what_to_do"] for finding in document["findings"]}
    assert "rung advise" in rung("data", "check", cwd=project, code=1).stdout.splitlines()[-1]
    assert told(project, "review", "status")["states"]["pending"] >= 3

    rung("data", "undo", cwd=project, code=0)
    assert found(project)[0] == names
    rung("data", "undo", cwd=project, code=0)
    assert set(found(project)[0]) < set(names)  # what is taken back next is an import


def data_stage(project):
    stages = told(project, "status")["stages"]
    return next((each["state"], each["reason"][:1]) for each in stages if each["name"] == "data")


def test_a_check_that_was_stopped_is_not_the_last_one(project):
    made, before = Project(project), data_stage(project)
    settings = load_settings(made.settings_file)
    with open_store(made, settings) as store:
        stopped = check_project(store, made, settings, stage=stop_at("Another language"))
        ran = {check.name: check.rows for check in stopped.checks}
        assert stopped.stopped and ran["leaks"] and ran["language"] is None
        assert data_stage(project) == before
        check_project(store, made, settings)
    assert data_stage(project) == ("needs_you", "3") != before


def test_a_check_that_had_nothing_to_compare_is_not_told_as_one_that_found_nothing(tmp_path):
    started(tmp_path, FAULTY[:20])
    ran = {check["name"] for check in found(tmp_path)[1]["checks"]}
    assert "contradictions" in ran and not {"leaks", "suspects"} & ran
    lines(tmp_path / "held.jsonl", [row("a question that stands nowhere else at all", "x y z")])
    rung("data", "import", "held.jsonl", "--as", "validation", cwd=tmp_path, code=0)
    assert {"leaks", "suspects"} <= {check["name"] for check in found(tmp_path)[1]["checks"]}


def test_a_validation_row_that_leaks_the_test_set_is_found_and_fixed_where_the_freeze_refuses_it(project):
    lines(project / "held.jsonl", [FAULTY[7]])
    rung("data", "fix", "leaks", cwd=project, code=0)
    rung("data", "import", "held.jsonl", "--as", "validation", cwd=project, code=0)
    for blocking in ("contradictions", "secrets"):
        rung("data", "dismiss", blocking, "--by", "dana", "--reason", "both hold", cwd=project, code=0)
    assert "fix leaks" in told(project, "data", "freeze", code=1)["error"]["hint"]
    assert found(project)[0]["leaks"] == ("blocks", 1)
    (done,) = told(project, "data", "fix", "leaks")
    assert len(done["rows"]) == 1 and "leaks" not in found(project)[0]
    assert "fix leaks" not in rung("data", "freeze", cwd=project).stderr


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
    for _ in range(2):  # the two imports, which came before
        rung("data", "undo", cwd=project, code=0)
    rung("data", "undo", cwd=project, code=2)


def test_one_fix_takes_out_what_a_second_look_finds_and_one_undo_brings_it_back(tmp_path):
    """A phrase of one row in ten: rows that only share it count as leaks when 15 copies of test items are gone."""
    draw = random.Random(4)
    words = [a + b for a in ("ba", "ce", "di", "fo", "gu", "ha") for b in ("rt", "nd", "ls", "mp", "sk", "x")]
    phrase = "I would like to know how I can activate the new card that came by post this week and"

    def some(count, start="", length=12):
        return [row(f"{start} {' '.join(draw.choices(words, k=length))}".strip(), "card") for _ in range(count)]

    test = [*some(40), *some(15, phrase, 3)]
    (tmp_path / "rung.toml").write_text(TRUSTED)
    for side, rows in (("train", [*some(300), *test[-15:], *some(30, phrase, 4)]), ("test", test)):
        lines(tmp_path / f"{side}.jsonl", rows)
        rung("data", "import", f"{side}.jsonl", "--as", side, cwd=tmp_path, code=0)
    first = found(tmp_path)[0]
    assert first["leaks"] == ("blocks", 15)
    for command in ("leaks", "--all"):
        planned = told(tmp_path, "data", "fix", command, "--dry-run")
        done = told(tmp_path, "data", "fix", command)
        leaks = next(each for each in done if each["finding"] == "leaks")
        assert len(leaks["rows"]) > 15 and leaks["detail"]["train_rows"] == len(leaks["rows"])
        assert [each["rows"] for each in planned] == [each["rows"] for each in done]
        assert not {"leaks", "left_duplicates"} & set(found(tmp_path)[0])
        rung("data", "undo", cwd=tmp_path, code=0)
    assert found(tmp_path)[0] == first


def test_a_finding_that_is_fixed_already_leaves_nothing_to_do(project):
    rung("data", "fix", "leaks", cwd=project, code=0)
    names, _ = found(project)
    assert told(project, "data", "fix", "leaks")[0]["rows"] == []
    said = rung("data", "fix", "leaks", "contradictions", "--dry-run", cwd=project, code=0).stdout
    assert said.splitlines()[-1].endswith("fix contradictions") and found(project)[0] == names
    done = told(project, "data", "fix", "leaks", "secrets")
    assert [(each["finding"], len(each["rows"])) for each in done] == [("leaks", 0), ("secrets", 1)]


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


@pytest.fixture
def leaking(tmp_path):
    """A project with one train row that holds three test questions, frozen by nobody yet."""
    joined = row("\n".join(TEXTS[:3]), "the same")
    rows = [joined, *(row(text, f"answer {n}") for n, text in enumerate(TEXTS[6:]))]
    return started(tmp_path, rows, [row(text, "the same") for text in TEXTS[:6]])


def leaks(project):
    found_leaks = [f for f in found(project)[1]["findings"] if f["name"] == "leaks"]
    return {evidence["key"]: tuple(evidence["rows"]) for f in found_leaks for evidence in f["evidence"]}


def test_a_dismissal_of_one_leak_silences_that_pair_alone(leaking):
    """In the check and at the freeze, and not for a test row that comes later."""
    first = leaks(leaking)
    assert len(first) == 3 and len({rows for rows in first.values()}) == 3
    key = next(iter(first))
    rung("data", "dismiss", f"leaks:{key}", "--by", "dana", "--reason", "they differ", cwd=leaking, code=0)
    assert leaks(leaking) == {name: rows for name, rows in first.items() if name != key}
    assert "fix leaks" in told(leaking, "data", "freeze", code=1)["error"]["hint"]
    rung("data", "dismiss", "leaks", "--by", "dana", "--reason", "all three", cwd=leaking, code=0)
    assert leaks(leaking) == {}
    rung("data", "freeze", cwd=leaking, code=0)
    lines(leaking / "later.jsonl", [row(TEXTS[2] + " again", "the same")])
    rung("data", "import", "later.jsonl", "--as", "test", cwd=leaking, code=0)
    assert len(leaks(leaking)) == 1
    rung("data", "undo", cwd=leaking, code=0)
    assert len(leaks(leaking)) == 0, "the import was the last"
    rung("data", "undo", cwd=leaking, code=0)
    assert len(leaks(leaking)) == 2, "one pair was dismissed before"


def test_an_older_dismissal_of_a_row_holds_for_the_pairs_that_it_names(leaking):
    """As written before pairs were kept: the rows of one piece of evidence, or all rows of the finding."""
    first = leaks(leaking)
    rows = next(iter(first.values()))
    project = Project(leaking)
    with open_store(project, load_settings(project.settings_file)) as store:
        store.event("dismiss", "dana", "leaks", {"reason": "they differ", "rows": list(rows), "title": "Leaks"})
        assert set(leaks(leaking).values()) == set(first.values()) - {rows}
        every = [name for pair in first.values() for name in pair]
        store.event("dismiss", "dana", "leaks", {"reason": "all", "rows": every, "title": "Leaks"})
    assert leaks(leaking) == {}


def test_a_row_waits_for_each_finding_that_sent_it(tmp_path):
    """Two findings on the same rows: fixing both is no circle, and the reviewer is told of each."""
    twice = [row(TEXTS[0], f"{word} mail me@example.org") for word in ("yes", "no")]
    started(tmp_path, [*twice, *(row(text, f"answer {n}") for n, text in enumerate(TEXTS[1:]))])
    rung("data", "fix", "contradictions", cwd=tmp_path, code=0)
    rung("data", "fix", "pii", cwd=tmp_path, code=0)
    said = {f["name"]: f["what_to_do"] for f in found(tmp_path)[1]["findings"]}
    assert (said["contradictions"], said["pii"]) == ("in review", "in review")
    assert {"sent", "contradiction"} <= {each["kind"] for each in told(tmp_path, "review", "next")["findings"]}


def test_two_rows_that_contradict_and_were_both_approved_block_everywhere(tmp_path):
    rows = [row(text, f"answer {n}") for n, text in enumerate(TEXTS[1:])]
    started(tmp_path, [row(TEXTS[0], "yes"), row(TEXTS[0], "no"), *rows])
    rung("data", "check", cwd=tmp_path, code=1)
    rung("data", "fix", "contradictions", cwd=tmp_path, code=0)
    for _ in range(2):
        item = told(tmp_path, "review", "next")
        rung("review", "decide", item["id"], "approve", "--token", item["token"], cwd=tmp_path, code=0)
    assert data_stage(tmp_path)[0] == "needs_you" and found(tmp_path)[0]["contradictions"] == ("blocks", 2)
    assert data_stage(tmp_path)[0] == "needs_you" and rung("data", "freeze", cwd=tmp_path).returncode == 1
    rung("data", "dismiss", "contradictions", "--by", "sam", "--reason", "both hold", cwd=tmp_path, code=0)
    assert data_stage(tmp_path)[0] == "open" and "contradictions" not in found(tmp_path)[0]
    assert data_stage(tmp_path)[0] == "done"
