"""`rung data check` as a user runs it: files, how far it is, and what is kept when it is stopped."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from in_process import rung
from rows_in_files import faulty_rows, lines, row, text

from curation.checks import diversity
from curation.checks.base import Options
from curation.checks.run import check_files
from curation.example import Example, chat_row
from curation.mask import Spot, mask


@pytest.fixture(scope="module")
def faulty():
    return faulty_rows()


def test_files_with_faults_exit_1_and_say_what_where_why_and_what_next(tmp_path, faulty):
    path = lines(tmp_path / "rows.jsonl", faulty, "{nope\n")
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


def test_the_page_holds_all_and_fetches_nothing(tmp_path, faulty):
    evil = row("<script>alert(1)</script> see " + text(random.Random(3)), "[red]x[/red] \u202e")
    path = lines(tmp_path / "rows.jsonl", [*faulty, evil, evil])
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
    assert shown | {"names"} <= {finding.name for finding in masked.findings}
    assert "Maria" not in json.dumps(masked.as_json()) and "[NAME]" in json.dumps(masked.as_json())
    assert mask("Maria Lopez") == "Maria Lopez"


def stop_at(title):
    """A stage that is stopped with Ctrl-C as this check begins."""

    def stage(now):
        if now == title:
            raise KeyboardInterrupt

    return stage


def test_a_check_that_is_stopped_midway_measures_nothing(tmp_path, faulty, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(diversity, "against_own", stop)
    found = check_files([lines(tmp_path / "rows.jsonl", [*faulty, *faulty])])
    assert {check.name: check.rows for check in found.checks}["diversity"] is None
    assert "diversity" not in found.measures and "form" in found.measures


def test_a_check_that_is_stopped_keeps_what_was_found(tmp_path, faulty):
    path = lines(tmp_path / "rows.jsonl", faulty, "{nope\n")
    whole = check_files([path])
    early = check_files([path], stage=stop_at("Duplicates"))
    assert early.stopped and early.read == whole.read
    assert {f.name for f in early.findings} >= {"malformed", "secrets", "pii"}
    late = check_files([path], stage=stop_at("Another language"))
    assert late.stopped and {f.name for f in late.findings} >= {"contradictions", "duplicates", "secrets"}
    ran = {check.name: check.rows for check in late.checks}
    assert ran["language"] is None and ran["topics"] is None and ran["form"] is not None

    def half(done, total):
        raise KeyboardInterrupt

    nothing = check_files([Path(path)], progress=half)
    assert nothing.stopped and nothing.read == 0

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
sys.argv = ["rung", "data", "check", "/dev/stdin", "--json"]
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
    found = json.loads(out)
    assert found["stopped"] and "secrets" in {each["name"] for each in found["findings"]}


@pytest.mark.parametrize("name", ["test.jsonl", "test.csv"])
def test_a_pipe_is_read_once_and_looked_at_twice(name: str, tmp_path: Path) -> None:
    """The test side is looked at a second time, for leaks: of a pipe that is only there from a copy."""
    train, pipe = tmp_path / "train.jsonl", tmp_path / name
    asked = "how does one change the oil of a very old motor boat in winter"
    train.write_text(Example(chat_row(asked, "with care")).to_json() + "\n")
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
