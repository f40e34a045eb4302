"""`rung watch import`: what is kept of a log and of its ratings, what is not, and that nothing personal is."""

import contextlib
import gzip
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from as_logged import ASKED, generation, imported, joined, litellm, score
from clinic import phrases
from in_shell import rung

from curation.mask import mask
from rung.text.monitoring_text import imported_lines
from training.monitoring.log_import import read_logs
from training.monitoring.log_lines import read_part
from training.monitoring.pii import masked_text
from training.monitoring.requests import read_imports, read_watched
from workspace.errors import InputError, Refusal, RungError
from workspace.folder import Project


def test_every_line_is_accounted_for_and_the_same_log_again_changes_nothing(project: Project, write):
    log = write([
        litellm(1, "q1", "a1"),
        "",
        {"call_type": "aembedding", "input": "x"},
        litellm(2, "q2", "a2", metadata={"rating": "down"}),
        {"request_id": "elsewhere", "rating": "up"},
        '{"messages": [{"role": "user", "con',
    ])  # fmt: skip
    made = imported(project, log)
    assert made.lines == 6
    assert made.lines == made.requests + made.joined + made.aside + made.feedback + made.rejected + made.empty
    assert (made.requests, made.kept, made.aside, made.rejected, made.empty, made.feedback) == (2, 2, 1, 1, 1, 1)
    assert made.why_aside == {"no chat or text completion: aembedding": 1}
    watched = read_watched(project)
    assert [(r.ref, r.answer, r.rating) for r in watched.requests] == [("W-001:1", "a1", None), ("W-001:4", "a2", -1.0)]
    assert watched.unmatched == 1
    (project.root / "none.jsonl").touch()
    for nothing_new in (log, write([""], "empty.jsonl"), project.root / "none.jsonl"):
        assert imported(project, nothing_new) is None and len(read_imports(project)) == 1
    more = write([litellm(2, "q2", "a2", metadata={"rating": "down"}), litellm(3, "q3", "a3")], "next.jsonl")
    again = imported(project, more)
    assert (again.known, again.kept) == (1, 1)
    assert [r.ref for r in read_watched(project).requests] == ["W-001:1", "W-001:4", "W-002:2"]
    twice = write([litellm(9, "q", "a"), litellm(9, "q", "a")], "twice.jsonl")
    made = imported(project, twice, twice)
    assert (made.requests, made.kept, made.known) == (4, 2, 2), "twice in one file are two, the file again is known"


SECRETS = ["mo@example.org", "+49 170 1234567", "4111 1111 1111 1111", "sk-ant-api03-" + "A1b2C3d4" * 6]


def test_nothing_personal_and_no_secret_is_stored_anywhere(project: Project, write, tmp_path):
    """Nothing is cut before it is masked: half a number is no number."""
    assert all(mask(secret) != secret for secret in SECRETS)
    text, number = " and ".join(SECRETS), "+49 170 1234567"
    card = {"id": "t", "function": {"name": "f", "arguments": {"card": 4111111111111111, "n": 3, "on": True}}}
    called = {"role": "assistant", "content": "", "tool_calls": [card]}
    log = write([
        litellm(1, text, text, metadata={"comment": text, "edit": text}, user="mo@example.org"),
        litellm(2, "q", "a", status="failure", error_str=f"rejected {text}", model=text),
        {"id": "mo@example.org", "trace_id": "mo@example.org", "rating": "up", "comment": text},
        {"id": "x", "response": "a", "messages": [
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"arguments": text}}]},
            {"role": "tool", "content": text},
        ]},
        {"url": text, "level": text},
        '{"broken": "' + text,
        {"id": "1", "messages": ASKED, "error": "x" * 490 + " " + number},
        {"id": "2", "messages": ASKED, "response": called},
        {"url": "y" * 50 + " " + number},
        {"id": "3", "response": "a", "messages": [{"role": "z" * 30 + " " + number, "content": "q"}]},
        {"id": "w" * 190 + " " + number, "messages": ASKED, "response": "a"},
        '{"half": "' + "v" * 1980 + " " + number,
        "{} 4111 1111 1111 1111 " + number,
        '{"' + number + '": 1, "' + number + '": 2}',
    ])  # fmt: skip
    made = imported(project, log)
    assert made.masked["EMAIL"] >= 6 and made.masked["KEY"] >= 6
    call = next(r.tool_calls[0] for r in read_watched(project).requests if r.ref == "W-001:8")
    assert call["function"]["arguments"] == {"card": "[CARD]", "n": 3, "on": True}
    files = [path for path in (project.root / "watch").rglob("*") if path.is_file()]
    kept = b"".join(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes() for p in files)
    done = rung("watch", "import", str(log), "--rejects", str(tmp_path / "rejects.jsonl"), cwd=project.root, code=0)
    kept += (tmp_path / "rejects.jsonl").read_bytes() + done.stdout.encode() + project.database_file.read_bytes()
    assert b"[EMAIL]" in kept and b"[KEY]" in kept
    assert not [secret for secret in SECRETS if secret.encode() in kept]
    assert not re.search(rb"\+49|1234567|4111 ?1111", kept)


def test_a_gzipped_log_is_read_and_a_broken_one_no_file_and_a_folder_are_refused(project: Project, tmp_path):
    whole = gzip.compress(json.dumps(litellm(1, "q", "a")).encode() + b"\n")
    (tmp_path / "log.jsonl.gz").write_bytes(whole)
    assert imported(project, tmp_path / "log.jsonl.gz").kept == 1
    (tmp_path / "half.gz").write_bytes(whole[:-9])
    for name in ("half.gz", "none.jsonl", "."):
        with pytest.raises(RungError, match=(tmp_path / name).name):
            read_logs([tmp_path / name], keep_rejects=True)


WHOLE = litellm(1, "q", "a")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('127.0.0.1 - - [25/Nov/2026] "GET / HTTP/1.1" 200', ""),
        ("question,answer\na,b", ""),
        (json.dumps({"level": "INFO", "msg": "up"}), ""),
        ("[\n" + json.dumps({"messages": []}) + "\n]", ""),
        (json.dumps([WHOLE]), "jq -c '.[]' {} > lines.jsonl"),
        (json.dumps([WHOLE], indent=1), "jq -c '.[]' {} > lines.jsonl"),
        (json.dumps(WHOLE, indent=1), "jq -c . {} > lines.jsonl"),
    ],
)
def test_a_log_of_another_format_is_refused_even_with_rejects_and_the_command_that_makes_lines_is_named(
    write, text, command
):
    log = write([text])
    with pytest.raises(InputError) as error:
        read_logs([log], keep_rejects=True)
    assert "JSON" in error.value.expected and command.format(log) in (error.value.hint or "")


def test_malformed_lines_stop_the_command_with_all_their_numbers(project: Project, write):
    log = write([litellm(1, "q", "a"), "{", litellm(2, "q", "b"), '{"id": 1, "id": 2}', '{"half": '])
    done = rung("watch", "import", str(log), "--json", cwd=project.root)
    assert done.returncode == 2 and not list((project.root / "watch").glob("W-*"))
    problems = json.loads(done.stdout)["error"]["problems"]
    assert [each["where"].rpartition(" ")[2] for each in problems] == ["2", "4", "5"]


def test_a_line_of_megabytes_is_told_and_not_held(project: Project, write, tmp_path):
    log = write([litellm(1, "q", "a"), b'{"messages": "' + b"x" * 17_000_000 + b'"}', litellm(2, "q", "b")])
    done = rung("watch", "import", str(log), "--rejects", str(tmp_path / "rejects.jsonl"), cwd=project.root, code=0)
    assert "line 2" in done.stdout and "17.0 MB" in done.stdout
    assert (tmp_path / "rejects.jsonl").stat().st_size < 10_000
    assert len(read_watched(project).requests) == 2


@pytest.mark.parametrize("words", [("import", "log.jsonl"), ("report",), ("learn",)], ids=lambda words: words[0])
def test_a_full_disk_stops_with_one_plain_message_and_leaves_nothing_half(house: Project, small_disk, write, words):
    folder = Path(shutil.copytree(house.root, small_disk / "house"))
    log = write([litellm(n, os.urandom(300).hex(), "a") for n in range(40)])
    shutil.copy(log, folder)
    if words[0] != "import":
        assert rung("watch", "import", str(log), cwd=folder).returncode == 0
    with contextlib.suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as file:
        while file.write(b"x" * 1024):
            pass
    done = rung("watch", *words, cwd=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    left = {path.name for path in (folder / "watch").iterdir()} if (folder / "watch").exists() else set()
    assert left <= ({".lock"} if words[0] == "import" else {".lock", "W-001"}), left
    (small_disk / "rest").unlink()
    assert rung("watch", *words, cwd=folder).returncode in (0, 1)


def test_what_people_said_since_of_a_request_of_an_earlier_import_is_kept(project: Project, write):
    nameless = {key: value for key, value in litellm(3, "q3", "c").items() if key != "id"} | {"response": "c"}
    asked = [litellm(n, "q", answer) for n, answer in ((1, "a"), (4, "e"), (5, "f"))]
    imported(project, write([asked[0], litellm(2, "q", "b", metadata={"rating": "up"}), nameless, *asked[1:]]))
    later = [
        litellm(1, "q", "a", metadata={"rating": "down", "comment": "call +49 170 1234567"}),
        litellm(2, "q", "b", metadata={"rating": "up"}),
        {**nameless, "edit": "d"},
        {"id": "chatcmpl-4", "rating": 1, "comment": "no"},
        {"id": "chatcmpl-5", "stars": 5},
    ]
    made = imported(project, write(later, "later.jsonl"))
    assert (made.known, made.kept, made.said_again, made.feedback) == (3, 0, 2, 2)
    watched = read_watched(project)
    assert [(r.rating, r.comment, r.edit) for r in watched.requests] == [
        (-1.0, "call [PHONE]", ""),
        (1.0, "", ""),
        (None, "", "d"),
        (-1.0, "no", ""),
        (1.0, "", ""),
    ]
    assert watched.unmatched == 0


@pytest.mark.parametrize("text", ['hello\n+49 170 1234567 {"a": "é\ud83d"}', "mo@example.org \t+49 170 1234567"])
def test_what_stands_escaped_in_json_is_masked_however_deep(text):
    once = json.dumps({"text": text, "name": 'é "x"'}, ensure_ascii=False)
    for packed in (once, json.dumps({"body": once}), once[:-20], f"{{'repr': {text!r}}}"):
        masked = masked_text(packed)
        assert "1234567" not in masked and "mo@" not in masked and "[PHONE]" in masked
        assert packed.endswith("}") == masked.endswith("}")
    assert json.loads(masked_text(once))["name"] == 'é "x"'
    for plain in (json.dumps({"text": "a\nb"}), r"C:\new\table", r'"\d+" and "', r'say "\frac{1}{2}"'):
        assert masked_text(plain) == plain


@pytest.mark.parametrize(
    ("given", "rating", "words"),
    [
        (score(0), 0.0, False),
        (score(1, dataType="BOOLEAN", stringValue="True"), 1.0, True),
        (score(0, dataType="BOOLEAN"), -1.0, True),
        (score(None, dataType="CATEGORICAL", stringValue="bad"), -1.0, True),
        (score(0.5, observationId="o-1", traceId="other"), 0.5, False),
        (score(0.2, name="correctness", source="ANNOTATION"), 0.2, False),
    ],
)
def test_a_score_on_a_line_of_its_own_finds_its_request(given, rating, words):
    made = joined(generation("o-1"), {**given, "comment": "why"})
    said = made.requests[0].feedback
    assert (said.rating, said.words, said.comment, made.joined) == (rating, words, "why", 1)


def test_scores_of_evaluators_are_no_ratings_nor_is_what_cannot_be_read_and_a_sentence_is_a_comment(
    project: Project, write
):
    machine = score(0.1, name="hallucination", source="EVAL", comment="made up by the judge")
    scored = [generation("o-1"), machine, generation("o-2", scores=[score(0.9, name="accuracy")])]
    said = [{"metadata": {"rating": "4/5"}}, {"feedback": {"rating": "meh"}}, {"feedback": "the side is wrong"},
            {"feedback": {"type": "survey"}}]  # fmt: skip
    made = imported(project, write([*scored, *(litellm(n, "q", "a", **more) for n, more in enumerate(said))]))
    assert made.why_aside == {"a score that no person gave": 1} and made.ratings_unclear == {"4/5": 1, "meh": 1}
    told = "\n".join(imported_lines(made, [], None))
    assert "hallucination (1), accuracy (1)" in told and "4/5 (1), meh (1)" in told
    assert [(r.rating, r.comment) for r in read_watched(project).requests if r.comment] == [(None, "the side is wrong")]
    assert [r.rating for r in read_watched(project).requests] == [None] * 6


def test_a_trace_with_its_generation_is_one_request_and_its_scores_find_it(project: Project, write):
    trace = {
        "id": "t-1", "timestamp": "2026-11-25T10:00:00Z", "name": "chat", "input": {"args": [1]}, "output": None,
        "scores": [score(-1, traceId="t-1")], "totalCost": 0.01, "latency": 2.5,
    }  # fmt: skip
    part = read_part({**trace, "observations": [generation("o-1", traceId="t-1"), {"id": "x", "type": "SPAN"}]})
    assert (part.kind, part.ids, part.trace, part.feedback.rating) == ("whole", ("o-1",), "t-1", -1.0)
    assert part.messages == ASKED and part.said.text == "a"
    several = read_part({**trace, "observations": [generation("o-1"), generation("o-2")]})
    assert several.kind == "other" and "2" in several.why
    plain = {**trace, "input": ASKED, "output": "a", "scores": []}
    assert imported(project, write([plain])).kept == 1
    later = write([score(0, traceId="t-1", dataType="BOOLEAN")], "scores.jsonl")
    imported(project, later)
    assert [r.rating for r in read_watched(project).requests] == [-1.0]


def test_feedback_goes_with_its_request_before_another_model_is_left_out(project: Project, write):
    """By one trace: the rating of the other model's answer must not land on this one's."""
    lines = [
        litellm(1, "q", "a", trace_id="t"),
        litellm(2, "q", "b", trace_id="t", model="other"),
        litellm(3, "q", "c", trace_id="u", model="other"),
        {"id": "chatcmpl-2", "rating": "down"},
        {"trace_id": "t", "rating": "down"},
        {"trace_id": "u", "rating": "down"},
        {"id": "chatcmpl-1", "rating": "up"},
    ]
    made = imported(project, write(lines), model="house")
    assert made.why_aside == {
        "of a request to other": 4,
        "feedback on a trace of several requests, none of which it names": 1,
    }
    assert made.lines == made.requests + made.joined + made.aside + made.rejected + made.empty + made.feedback
    assert (made.requests, made.joined, made.feedback) == (1, 1, 0)
    later = write([{"trace_id": "t", "rating": "down"}], "later.jsonl")
    imported(project, later)
    watched = read_watched(project)
    assert [(r.answer, r.rating) for r in watched.requests] == [("a", 1.0)] and watched.unmatched == 1


def test_what_is_in_the_way_leaves_no_import_and_no_rejects(project: Project, write, tmp_path):
    """Another file in the place of the rejects, no database, and the hidden folder of an import that was killed."""
    log = write([litellm(1, phrases(1, 91)[0], "E13 OS"), "{"])
    other, rejects = tmp_path / "letter.txt", tmp_path / "rejects.jsonl"
    other.write_text("Dear Mo\n")
    for place in (other, tmp_path):
        assert rung("watch", "import", log, "--rejects", place, cwd=project.root).returncode == 2
        assert not list((project.root / "watch").glob("W-*")) and other.read_text() == "Dear Mo\n"
    project.database_file.parent.mkdir(parents=True, exist_ok=True)
    project.database_file.write_bytes(b"no database at all" * 300)
    command = ("watch", "import", str(log), "--rejects", str(rejects))
    done = rung(*command, cwd=project.root)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert [path.name for path in (project.root / "watch").iterdir()] == [".lock"] and not rejects.exists()
    project.database_file.unlink()
    (project.root / "watch" / ".W-001").mkdir()
    assert rung(*command, cwd=project.root).returncode == 0
    assert {path.name for path in (project.root / "watch").iterdir()} == {".lock", "W-001"}
    assert len(rejects.read_text().splitlines()) == 1


@pytest.mark.parametrize("damage", [lambda data: data + b"x", lambda data: data[:40], None])
def test_no_import_is_compared_with_one_that_was_damaged_and_nothing_is_read_of_it(project: Project, write, damage):
    imported(project, write([litellm(1, "q", "a")]))
    path = project.root / "watch/W-001/requests.jsonl.gz"
    whole = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(whole))
    done = rung("watch", "import", str(write([litellm(2, "r", "b")], "more.jsonl")), cwd=project.root)
    assert done.returncode == 1 and str(project.root / "watch/W-001") in done.stderr, done.stderr
    assert not (project.root / "watch/W-002").exists()
    with pytest.raises(Refusal, match="W-001"):
        read_watched(project)
