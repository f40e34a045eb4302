"""The way round: a released prompt is asked, its log comes in, drift is seen, rows are learnt, reviewed and frozen."""

import pytest
from as_logged import imported, learnt
from clinic_phrases import line_of, phrases

from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from curation.split.manifest import load_split, read_manifest
from curation.store import open_store
from rung.cli.watch import write_watch_page
from rung.status.facts import read_facts
from rung.status.stages import status_of
from rung.text.status_text import status_lines
from rung.why import answer as why
from training.monitoring.drift import DriftReport, measure, report_file
from training.monitoring.learn import learn, read_not_learnt
from training.monitoring.log_import import read_logs, take_in
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def settings_of(house: Project) -> Settings:
    return load_settings(house.settings_file, {})


def test_nothing_is_measured_or_learnt_before_a_release(project: Project, settings: Settings, write):
    with pytest.raises(Refusal) as error:
        measure(project, settings)
    assert error.value.hint.split()[1:] == ["release", "--to", "prompt"]
    with open_store(project, settings) as store, pytest.raises(Refusal):
        learn(project, settings, store)


def test_quiet_production_raises_nothing_and_another_ward_does(house: Project, ask, write):
    quiet = [ask(text, line_of(text)) for text in phrases(60, 77)]
    imported(house, write(quiet, "quiet.jsonl"))
    report = measure(house, settings_of(house))
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
    report = measure(house, settings_of(house))
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
    again = ask(train.question, str(train.answer))
    against = ask(train.question, "E13 nowhere")
    fixed = {**ask(train.question, "E13 nowhere"), "edit": "E19 OU"}
    imported(house, write([*log, low, edited, failed, leaks, again, against, fixed]))
    done = learnt(house, count=4)
    assert done.why == {"failed": 1, "edited by its user": 2, "rated low": 1} and done.rejected.total() == 0
    rest = learnt(house)
    assert rest.why == {"not judged by anyone": 6}
    assert rest.rejected == {"leaks the test set": 1, "duplicate": 1, "a row answers this already": 1}
    kept_out = {each.reason: each.evidence for each in read_not_learnt(house)}
    assert set(kept_out) == set(rest.rejected)
    assert str(kept_out["duplicate"]["row"]).startswith("r-") and kept_out["leaks the test set"]["kind"] == "exact"
    assert learnt(house).looked_at == 0
    settings = settings_of(house)
    with open_store(house, settings) as store:
        rows = {row.example.question: row for row in store.rows(role="candidates")}
        near = store.links([rows[train.question].id])
    assert len(rows) == 10
    assert [m["role"] for m in rows[fresh[6]].example.messages] == ["user", "assistant"], "the prompt is not the row's"
    assert rows[fresh[6]].source == "watch/W-001:7" and rows[fresh[6]].meta["comment"] == "call [PHONE]"
    assert rows[fresh[7]].example.answer == line_of(fresh[7]) and rows[fresh[7]].meta["answered"] == "E13 OS"
    assert not rows[fresh[8]].example.is_answered
    assert [link.kind for link in near] == ["contradiction"]
    with open_desk(house, settings).store as store:
        first = store.rows(state="pending")
    assert all(row.meta["priority"] == 1 for row in first[:4])


def test_learnt_rows_are_reviewed_frozen_as_v002_and_known_to_why(house: Project, ask, write):
    fresh = phrases(20, 91)
    log = [ask(text, "E13 OS") for text in fresh]
    log[3]["edit"] = line_of(fresh[3])
    imported(house, write(log))
    settings = settings_of(house)
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


def test_status_points_here_once_nothing_waits_and_half_an_import_goes(house: Project, ask, write):
    status = status_of(read_facts(house))
    assert "watch" in status.command and status.command in list(status_lines(status))[-1]
    imported(house, write([ask(text, line_of(text)) for text in phrases(3, 3)]))
    (house.root / "watch" / ".W-002").mkdir()
    (house.root / "watch" / "W-001" / "import.json").unlink()
    assert take_in(house, read_logs([write([ask("q", "a")], "b")], keep_rejects=False)) is not None
    assert not (house.root / "watch" / ".W-002").exists()


HOSTILE = "\x1b[31m [red]x[/] <script>alert(1)</script> \u202eevil"


def test_row_text_cannot_act_on_the_page(house: Project, ask, write):
    log = write([ask(f"{text} {HOSTILE}", "I'm sorry, I cannot.") for text in phrases(40, 5)])
    take_in(house, read_logs([log], keep_rejects=False))
    page = house.root / "watch.html"
    report = measure(house, load_settings(house.settings_file, {}))
    write_watch_page(page, report)
    html = page.read_text()
    assert report.raised and "<script" not in html and "\x1b" not in html and "\u202e" not in html
    assert "http" not in html.replace("http-equiv", ""), "nothing is fetched"
