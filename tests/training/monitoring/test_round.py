"""The way round: a released prompt is asked, its log comes in whole or not at all, drift is seen, rows are learnt."""

import itertools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from as_logged import candidates, imported, learnt, litellm, measured
from clinic_phrases import line_of, phrases
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from in_shell import rung

from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from curation.split.manifest import load_split, read_manifest
from rung.cli.watch import write_watch_page
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.why import answer as why
from training.monitoring.drift import DriftReport, report_file
from training.monitoring.learn import read_not_learnt
from training.monitoring.log_import import read_logs
from training.monitoring.requests import join, read_watched
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import load_settings


def test_nothing_is_measured_or_learnt_before_a_release(project: Project):
    for words in (("watch", "report"), ("watch", "learn")):
        done = rung(*words, cwd=project.root)
        assert done.returncode == 1 and "rung release --to prompt" in done.stderr, done.stderr


def test_quiet_production_raises_nothing_and_another_ward_does(house: Project, ask, write):
    assert "watch" in status_of(read_facts(house)).command
    quiet = [ask(text, line_of(text)) for text in phrases(60, 77)]
    imported(house, write(quiet, "quiet.jsonl"))
    report = measured(house)
    found = {signal.name: signal for signal in report.signals}
    assert report.raised == [] and report == read_artefact(report_file(house), DriftReport)
    assert found["question_length"].before == found["question_length"].now, "the prompt's own message is taken off"
    assert found["judge"].raised is None and "[judge]" in found["judge"].why
    assert found["cost"].raised is None and found["cost"].why
    assert report.any_alarm == pytest.approx(0.01 * sum(s.raised is not None for s in report.signals))
    ward = [
        ask(f"Referral letter, please see to this patient again: {text.lower()}", "I'm sorry, I cannot say.")
        for text in phrases(60, 78)
    ]
    imported(house, write(ward, "ward.jsonl"))
    report = measured(house)
    raised = {signal.name for signal in report.raised}
    assert {"question_length", "answer_length", "new_words", "form_errors", "refusals"} <= raised
    assert any("referral" in text for text in next(s for s in report.signals if s.name == "new_words").evidence)


def test_what_people_said_comes_first_and_what_fails_keeps_its_reason(house: Project, ask, write):
    test = load_split(house.datasets / "v001", "test")[0]
    train = load_split(house.datasets / "v001", "train")[0]
    fresh = phrases(12, 91)
    log = [ask(text, line_of(text)) for text in fresh[:6]]
    low = {**ask(fresh[6], "E13 OS"), "feedback": {"rating": "down", "comment": "call +49 170 1234567"}}
    edited = {**ask(fresh[7], "E13 OS"), "feedback": {"edit": line_of(fresh[7])}}
    failed = {
        "id": "f",
        "request": {"messages": [{"role": "user", "content": fresh[8]}]},
        "error": {"message": "timeout"},
    }
    leaks = ask(test.question, "anything at all")
    beside = ask(f"{train.question} today", "E10 eye")
    again = ask(train.question, str(train.answer))
    against = ask(train.question, "E13 nowhere")
    fixed = {**ask(train.question, "E13 nowhere"), "edit": "E19 OU"}
    imported(house, write([*log, low, edited, failed, leaks, beside, again, against, fixed]))
    done = learnt(house, count=4)
    assert done.why == {"failed": 1, "edited by its user": 2, "rated low": 1} and done.rejected.total() == 0
    rest = learnt(house)
    assert rest.why == {"not judged by anyone": 7}
    assert rest.rejected == {"leaks the test set": 1, "duplicate": 1, "a row answers this already": 1}
    kept_out = {each.reason: each.evidence for each in read_not_learnt(house)}
    assert set(kept_out) == set(rest.rejected)
    assert str(kept_out["duplicate"]["row"]).startswith("r-") and kept_out["leaks the test set"]["kind"] == "exact"
    assert learnt(house).looked_at == 0
    rows = {row.example.question: row for row in candidates(house).values()}
    settings = load_settings(house.settings_file, {})
    with open_desk(house, settings).store as store:
        near = store.links([rows[train.question].id])
        first = store.rows(state="pending")
    assert len(rows) == 11
    assert [m["role"] for m in rows[fresh[6]].example.messages] == ["user", "assistant"], "the prompt is not the row's"
    assert rows[fresh[6]].source == "watch/W-001:7" and rows[fresh[6]].meta["comment"] == "call [PHONE]"
    assert rows[fresh[7]].example.answer == line_of(fresh[7]) and rows[fresh[7]].meta["answered"] == "E13 OS"
    assert not rows[fresh[8]].example.is_answered
    assert [link.kind for link in near] == ["contradiction", "short_near"]
    assert all(row.meta["priority"] == 1 for row in first[:4])


def test_learnt_rows_are_reviewed_frozen_as_v002_and_known_to_why(house: Project, ask, write):
    fresh = phrases(20, 91)
    log = [ask(text, "E13 OS") for text in fresh]
    log[3]["edit"] = line_of(fresh[3])
    imported(house, write(log))
    settings = load_settings(house.settings_file, {})
    before = why(house, "W-001:4").document
    assert before["candidate"] is None and before["train_rows"]
    done = learnt(house)
    assert len(done.queued) == 20
    with pytest.raises(Refusal, match="20 "):
        freeze(house, settings, actor="sam")
    desk = open_desk(house, settings)
    rows = {row.id: row for row in desk.store.rows(ids=done.queued)}
    rulings = []
    for name, row in rows.items():
        right = line_of(row.example.question)
        same = row.example.answer == right
        rulings.append((name, Ruling("approve") if same else Ruling("edit", text=right)))
    decide_all(desk, "mo", rulings, kind="person")
    desk.store.close()
    second = freeze(house, settings, actor="sam")
    assert second.folder.name == "v002"
    manifest = read_manifest(second.folder)
    mine = [row for row in manifest.rows if str(row["source"]).startswith("watch/W-001:")]
    assert len(mine) == 20 and {row["reviewer"] for row in mine} == {"mo"}
    assert not [row for row in mine if row["split"] == "test"]
    document = why(house, "W-001:4").document
    assert document["candidate"]["state"] in ("approved", "edited") and document["candidate"]["reviewer"] == "mo"
    assert document["frozen_in"][0].startswith("v002, ")
    assert all(row["reviewer"] == "dana" and row["source"] is not None for row in document["train_rows"])
    chain = "\n".join(why(house, document["candidate"]["id"]).lines)
    assert "watch/W-001:4" in chain and "L-001" in chain


HOSTILE = "\x1b[31m [red]x[/] <script>alert(1)</script> \u202eevil"


def test_row_text_cannot_act_on_the_page(house: Project, ask, write):
    imported(house, write([ask(f"{text} {HOSTILE}", "I'm sorry, I cannot.") for text in phrases(40, 5)]))
    page, report = house.root / "watch.html", measured(house)
    write_watch_page(page, report)
    html = page.read_text()
    assert report.raised and "<script" not in html and "\x1b" not in html and "\u202e" not in html
    assert "http" not in html.replace("http-equiv", ""), "nothing is fetched"


@dataclass(frozen=True)
class Exchange:
    """An exchange that was logged. `cuts` are places at which a stream breaks the answer."""

    name: str
    question: str
    answer: str
    cut: bool
    rating: str | None
    apart: bool
    shape: str
    cuts: tuple[int, ...] = ()

    @property
    def asked(self):
        return [{"role": "system", "content": "House line."}, {"role": "user", "content": self.question}]

    @property
    def end(self):
        return "length" if self.cut else "stop"

    @property
    def whole(self):
        message = {"role": "assistant", "content": self.answer}
        choice = {"index": 0, "message": message, "finish_reason": self.end}
        return {"id": self.name, "object": "chat.completion", "model": "house", "choices": [choice],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3}}  # fmt: skip

    @property
    def pieces(self):
        places = [0, *sorted({cut % (len(self.answer) + 1) for cut in self.cuts}), len(self.answer)]
        return [self.answer[a:b] for a, b in itertools.pairwise(places)]

    @property
    def items(self):
        parts = [{"type": "output_text", "text": piece} for piece in self.pieces]
        why = {"incomplete_details": {"reason": "max_output_tokens"}} if self.cut else {"finish_reason": "stop"}
        return {"id": self.name, "object": "response", "status": "incomplete" if self.cut else "completed", **why,
                "output": [{"type": "reasoning", "summary": []},
                           {"type": "message", "role": "assistant", "content": parts}]}  # fmt: skip


Lines = Callable[[Exchange], list[dict[str, Any]]]
SHAPES: dict[str, Lines] = {
    "litellm": lambda e: [{"id": e.name, "call_type": "acompletion", "status": "success", "model": "house",
                           "startTime": 1_764_000_000.0, "messages": e.asked, "response": e.whole, "error_str": None}],
    "openai": lambda e: [{"request": {"model": "house", "messages": e.asked}, "response": e.whole}],
    "bodies": lambda e: [{"request": {"url": "/v1/chat/completions", "body": json.dumps({"messages": e.asked})},
                          "response": {"status_code": 200, "headers": {}, "body": e.whole}}],
    "langfuse": lambda e: [{"id": e.name, "type": "GENERATION", "level": "DEFAULT", "input": e.asked, "model": "house",
                            "output": {"role": "assistant", "content": e.answer, "finish_reason": e.end},
                            "usage": {"input": 9, "output": 3}, "scores": []}],
    "batch": lambda e: [{"custom_id": e.name, "method": "POST", "url": "/v1/chat/completions",
                         "body": {"model": "house", "messages": e.asked}},
                        {"id": f"b-{e.name}", "custom_id": e.name, "error": None,
                         "response": {"status_code": 200, "body": e.whole}}],
    "responses": lambda e: [{"request": {"instructions": "House line.", "input": e.question}, "response": e.items}],
    "own": lambda e: [{"id": e.name, "messages": e.asked, "response": e.answer, "finish_reason": e.end}],
    "own parts": lambda e: [{"id": e.name, "prompt": json.dumps(e.asked), "input": 9, "completion": e.answer,
                             "output": 3, "stop_reason": "MAX_TOKENS" if e.cut else "end_turn"}],
}  # fmt: skip
SIGNS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(SIGNS, min_size=1, max_size=20) | st.sampled_from([
    '{"code": "E11", "side": "left"}', '["E11", "E13"]', "42", "data: see the table", "event: none", "[DONE]", "null",
    '{"answer": "x", "n": 1}', '{"role": "user"}', '{"content": "x"}', "a\u2028b\x85c\nd", "true", "up", '"', "{", "[",
])  # fmt: skip
EXCHANGES = st.builds(
    Exchange,
    name=st.uuids().map(str),
    question=TEXTS.filter(str.strip),
    answer=TEXTS,
    cut=st.booleans(),
    rating=st.sampled_from([None, "up", "down"]),
    apart=st.booleans(),
    shape=st.sampled_from(sorted(SHAPES)),
    cuts=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)


def written(exchanges: list[Exchange], order):
    """Their lines, those of one exchange in order, else as `order` draws it; ratings inside or on own lines."""
    queues, feedback = [], []
    for each in exchanges:
        lines = SHAPES[each.shape](each)
        if each.rating and each.apart:
            feedback.append([{"id": each.name, "rating": each.rating, "comment": "said later"}])
        elif each.rating:
            lines[0] = {**lines[0], "feedback": {"rating": each.rating, "comment": "said later"}}
        queues.append(lines)
    queues += feedback
    made = []
    while queues:
        place = order.randrange(len(queues))
        made.append(queues[place].pop(0))
        queues = [queue for queue in queues if queue]
    return made


@budget(max_examples=120, deadline=None)
@given(st.lists(EXCHANGES, min_size=1, max_size=6, unique_by=lambda each: each.name), st.randoms(), st.booleans())
def test_what_went_in_comes_out(exchanges: list[Exchange], order, plain):
    lines = written(exchanges, order)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(b"".join(json.dumps(x, ensure_ascii=plain).encode() + b"\n" for x in lines))
        made = join(read_logs([path], keep_rejects=False).parts)
    assert made.aside == [] and made.feedback == []
    assert len(made.requests) + made.joined == len(lines)
    found = {name: request for request in made.requests for name in request.ids}
    for each in exchanges:
        request = found[each.name]
        assert [(m["role"], m["content"]) for m in request.messages] == [
            ("system", "House line."),
            ("user", each.question),
        ], each.shape
        assert (request.said.text, request.said.finish, request.said.error) == (each.answer, each.end, ""), each.shape
        rating = {None: None, "up": 1.0, "down": -1.0}[each.rating]
        assert (request.feedback.rating, request.feedback.comment) == (rating, "said later" if each.rating else "")


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


def test_a_page_that_cannot_be_written_leaves_the_older_report(house: Project, write, tmp_path):
    imported(house, write([litellm(n, text, line_of(text)) for n, text in enumerate(phrases(40, 5))]))
    report = house.root / "watch" / "report.json"
    for page in (tmp_path, Path("/dev/full"), tmp_path / "log.jsonl" / "page.html"):
        done = rung("watch", "report", "--html", str(page), cwd=house.root)
        assert done.returncode == 2 and "Traceback" not in done.stderr and not report.exists(), done.stderr
    assert rung("watch", "report", cwd=house.root).returncode in (0, 1)
    before = report.read_bytes()
    assert rung("watch", "report", "--html", "/dev/full", cwd=house.root).returncode == 2
    assert report.read_bytes() == before


def test_what_was_learnt_stands_whole_or_not_at_all(house: Project, write):
    """Something stands in the way of not_learnt.jsonl: no row is queued, and the next try takes them all."""
    text = phrases(2, 91)
    imported(house, write([litellm(n, text[n % 2], line_of(text[n % 2])) for n in range(3)]))
    inway = house.root / "watch" / "not_learnt.jsonl"
    inway.mkdir()
    (inway / "x").write_text("")
    done = rung("watch", "learn", cwd=house.root)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert candidates(house) == {}
    (inway / "x").unlink()
    inway.rmdir()
    done = rung("watch", "learn", cwd=house.root)
    assert len(candidates(house)) == 2, done.stderr


def test_why_tells_of_an_import_and_of_a_damaged_list_of_what_was_kept_out_by_line(house: Project, write):
    question = phrases(2, 91)[0]
    imported(house, write([litellm(n, question, line_of(question)) for n in range(2)]))
    assert learnt(house).rejected == {"duplicate": 1}
    path = house.root / "watch" / "not_learnt.jsonl"
    whole = path.read_bytes()
    found = json.loads(rung("why", "W-001", "--json", cwd=house.root).stdout)
    assert (found["import"]["release"], len(found["candidates"]), found["kept_out"]) == ("L-001", 1, 1)
    assert "W-001" in rung("why", "W-007", cwd=house.root).stderr
    path.write_bytes(whole[:30])
    found = json.loads(rung("why", "W-001", "--json", cwd=house.root).stdout)
    assert (len(found["candidates"]), found["kept_out"]) == (1, 0), "half a line was never said"
    for bad in (b"{\n", b"[]\n", b'{"ref": "W-001:2"}\n', b'{"ref": 1, "hash": "", "reason": "", "evidence": 3}\n'):
        path.write_bytes(whole + bad)
        for command in (("watch", "learn"), ("why", "W-001"), ("why", "W-001:2")):
            done = rung(*command, cwd=house.root)
            assert "not_learnt.jsonl line 2" in done.stderr and "Traceback" not in done.stderr, done.stderr
            assert path.read_bytes() == whole + bad


def longer(path: Path):
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("damage", [longer, lambda path: path.write_bytes(path.read_bytes()[:40]), Path.unlink])
def test_no_import_is_compared_with_one_that_was_damaged_and_nothing_is_read_of_it(project: Project, write, damage):
    imported(project, write([litellm(1, "q", "a")]))
    damage(project.root / "watch/W-001/requests.jsonl.gz")
    done = rung("watch", "import", str(write([litellm(2, "r", "b")], "more.jsonl")), cwd=project.root)
    assert done.returncode == 1 and str(project.root / "watch/W-001") in done.stderr, done.stderr
    assert not (project.root / "watch/W-002").exists()
    with pytest.raises(Refusal, match="W-001"):
        read_watched(project)
