"""A tuned model on the baseline's items: the verdict, the refusals, and the page."""

import json
import re
import shutil

import pytest
from bank import changed, evaluated, ladder, perfect
from scripted import Scripted

from chat.protocols import Reply
from curation.split.manifest import read_manifest
from evaluation.arms.registry import ARMS, arm_name
from evaluation.measurement_report import newest_report, read_report
from evaluation.outcomes import require_baseline, unmeasured
from evaluation.verdict.pairing import Trained, paired
from rung.report.evaluation import write_page
from rung.report.page import marked
from rung.text.verdict_text import can_be_seen, sentences
from workspace.artefact import hashes
from workspace.errors import InputError, Refusal
from workspace.files import sha256_bytes
from workspace.lock import writer_lock


def test_a_tuned_model_that_is_always_right_ships_and_one_no_better_does_not(project, settings, baseline):
    with writer_lock(project.evaluations / ".lock", "A measuring"), pytest.raises(Refusal):
        evaluated(project, settings)
    folder, verdict = evaluated(project, settings, tuned := Scripted(perfect, name="scripted+R-001"))
    assert (verdict.verdict, verdict.run, verdict.n) == ("ship", "R-001", 36)
    assert [rival.arm for rival in verdict.arms] == ["base", "prompt"]
    assert verdict.tuned == 1.0 and verdict.baseline == baseline[1].arms[1].score
    assert "80%" in can_be_seen(verdict)
    assert {ask.turns[0]["content"] for ask in tuned.asked} == {"Topic."}
    chain = {**verdict.made_from}
    assert chain["evaluations/E-001/report.json"] == hashes(project.root, baseline[0] / "report.json").popitem()[1]
    assert all(hashes(project.root, project.root / name) == {name: digest} for name, digest in chain.items())
    assert newest_report(project, "run", run="R-001")[0] == folder
    for number, (prompt, first) in enumerate([("", "user"), (None, "user"), ("Do.", "system")]):
        evaluated(project, settings, tuned := Scripted(perfect, name=f"{number}"), f"R-{number}", prompt)
        assert {ask.turns[0]["role"] for ask in tuned.asked} == {first}, "it is replaced, kept or taken away"
    _, verdict = evaluated(project, settings, lambda ask: "pin", "R-002")
    assert verdict.verdict in ("keep_prompt", "need_more_data")
    card = next(s for s in verdict.slices if s.name == "card")
    assert card.worse and any("card" in note for note in verdict.notes)
    assert verdict.better + verdict.worse + verdict.same == verdict.n


@pytest.mark.parametrize(
    ("arms", "left_out"),
    [(["base", "prompt"], ["few_shot", "retrieved"]), (["base", "prompt", "few_shot", "retrieved"], [])],
)
def test_the_verdict_names_the_arms_that_could_be_measured_and_were_not(project, settings, model, arms, left_out):
    shutil.rmtree(project.documents)
    _, report = ladder(project, settings, model, *arms, goal=0.9)
    _, verdict = evaluated(project, settings)
    assert unmeasured(project, read_manifest(project.datasets / "v001"), report) == left_out
    named = ", ".join(map(arm_name, left_out))
    assert any(note.rstrip(".").endswith(f": {named}") for note in verdict.notes) == bool(left_out)


def losing(arms, share):
    """The perfect answers where the prompt is not of these arms; else that share of the replies is cut."""

    def say(ask):
        text = perfect(ask)
        mine = any(t["role"] == "system" and any(word in t["content"] for word in arms) for t in ask.turns)
        if mine and int(sha256_bytes(str(ask.turns).encode()), 16) % 100 < share:
            return Reply("", 3, 5, 0.5, "length")
        return Reply("none" if mine or "Topic." not in str(ask.turns) else text, 3, 5, 0.5)

    return say


@pytest.mark.parametrize(
    ("arms", "share", "ruling", "lost"),
    [
        (["Name the topic."], 40, "judgement", {"base"}),
        (["Name the topic:", "by these rules"], 40, "judgement", {"prompt"}),
        (["Name the topic"], 40, "need_more_data", {"base", "prompt"}),
        (["Topic."], 40, "need_more_data", {"tuned"}),
        (["Topic."], 0, "need_more_data", set()),
        (["Name the topic"], 0, "ship", set()),
    ],
)
def test_an_arm_that_lost_its_replies_is_not_beaten(project, free, arms, share, ruling, lost):
    """Where the reply is empty and cut, nothing is known of the answer; a verdict on it would be by construction."""
    ladder(project, free, Scripted(losing(arms, share), name="s"), goal=0.9)
    _, verdict = evaluated(project, free, losing(arms, share))
    assert (set(verdict.unmeasured), verdict.verdict == "ship") == (lost, ruling == "ship")
    assert verdict.verdict == ruling or not lost
    assert all(arm in " ".join(sentences(verdict)) for arm in lost)


@pytest.mark.parametrize(
    ("values", "base", "said"),
    [
        ({"max_tokens": 128}, "embedded", "64, now 128"),
        ({"precision": "float16"}, "embedded", "auto, now float16"),
        ({}, "models/other", "embedded, now models/other"),
    ],
)
def test_a_run_asked_otherwise_than_the_arms_is_refused(project, settings, model, baseline, values, base, said):
    other = changed(settings, "model", **values)
    tuned = Scripted(perfect, name="scripted+R-001")
    with pytest.raises(Refusal, match=f"E-001.*{said}"):
        evaluated(project, other, tuned, "R-001", None, base=base)
    assert not tuned.asked
    ladder(project, other, model)
    if not values:
        return
    assert evaluated(project, other, tuned, "R-001", None, base=base)[1].baseline_report == "E-002"


def test_without_a_baseline_on_these_very_items_by_this_metric_nothing_is_measured(project, settings, kit, baseline):
    found, tuned = require_baseline(project, settings), Scripted(perfect)
    fewer = [outcome for outcome in found.outcomes["prompt"] if outcome.item > 1]
    with pytest.raises(Refusal, match="E-001"):
        paired(found, Trained("tuned", fewer))
    with pytest.raises(Refusal):
        require_baseline(project, changed(settings, metric="token_f1"), "v001")
    project.answers_file.write_text("[")
    with pytest.raises(InputError):
        evaluated(project, settings, tuned)
    project.answers_file.unlink()
    path = baseline[0] / "outputs.jsonl"
    path.write_text(path.read_text().replace('"score":0.0', '"score":1.0', 1))
    with pytest.raises(Refusal, match=r"outputs\.jsonl|E-001"):
        evaluated(project, settings, tuned)
    kit.freeze_by_hand(project, "v002", test=kit.rows_of(["elsewhere", "here"]), train=kit.rows_of(["there"]))
    with pytest.raises(Refusal, match="E-001"):
        evaluated(project, settings, tuned)
    assert not tuned.asked


def test_the_pages_hold_all_they_need_and_show_markup_as_text(project, free):
    (project.root / "about-data.md").write_text("- Public-codes.\n")
    hostile = Scripted(["<script>alert(1)</script>\u202e"], name="bad")
    folder, _ = ladder(project, free, hostile, *ARMS, goal=0.9)
    run_folder, _ = evaluated(project, free)
    for path in (write_page(project, folder), write_page(project, run_folder)):
        page = path.read_text()
        assert "<script" not in page and "\u202e" not in page
        assert not re.search(r'(?:src|href)="', page) and "url(" not in page
        assert "<svg" in page and "ublic-codes" in page
        assert page.count("<details") == page.count("</details>") > 2
    assert "&lt;script&gt;" in (folder / "report.html").read_text()
    assert marked("<b>", "both") == "<del>&lt;b&gt;</del> <ins>both</ins>"
    assert marked("E10", "E10 eye") == "E10 <ins>eye</ins>"
    assert read_report(project, run_folder.name)[1].run == "R-001"


def test_a_baseline_that_leaves_out_measured_arms_is_refused_until_they_are_measured_too(project, settings, model):
    """Ship is against every arm that was measured: a smaller baseline does not make it easier."""
    ladder(project, settings, model, "base", "prompt", "few_shot")
    other = changed(settings, few_shot=2)  # else they would be taken over
    ladder(project, other, model, "base")
    with pytest.raises(Refusal, match=r"E-002.* E-001") as refused:
        evaluated(project, settings, model, "R-001", None)
    assert refused.value.hint.split()[-1] == "base,prompt,few_shot"
    asked = len(model.asked)
    ladder(project, settings, model, "base", "prompt", "few_shot")
    assert len(model.asked) == asked
    evaluated(project, settings, model, "R-001", None)


def test_items_of_one_group_count_together(project, settings, model, kit):
    """36 items of 12 groups: three items of a group are no three independent ones."""
    rows = kit.rows_of(kit.PLACES, " today") + kit.rows_of(kit.PLACES[:4], " again")
    grouped = [{**row, "meta": {"customer": n // 3}} for n, row in enumerate(rows)]
    kit.freeze_test(project, "v002", grouped)
    ladder(project, settings, model)
    alone = evaluated(project, settings)[1]
    by_customer = changed(settings, "dataset", group_by="meta.customer")
    together = evaluated(project, by_customer)[1]
    assert (alone.clusters, together.clusters, together.n) == (None, 12, 36)
    assert together.difference == alone.difference and together.low < alone.low
    by_items, by_groups = (ladder(project, each, model)[1] for each in (settings, by_customer))
    assert by_groups.smallest_difference > by_items.smallest_difference
    for one, other in zip(by_items.arms, by_groups.arms, strict=True):
        assert one.score == other.score and one.low != other.low
    manifest = project.datasets / "v002" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"policy": {"group_by": "meta.customer"}}))
    assert evaluated(project, settings)[1].clusters == 12, "the key of the freeze, taken out of rung.toml later"
    few = [{**row, "meta": {"customer": n % 9}} for n, row in enumerate(rows)]
    kit.freeze_test(project, "v003", few)
    ladder(project, settings, model)
    third = evaluated(project, by_customer)[1]
    assert (third.clusters, third.verdict) == (9, "need_more_data")
