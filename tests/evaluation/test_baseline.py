"""The ladder on a small frozen project, with a scripted model that records all that it was sent."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from bank import CLASSES, Topics, arm_result, changed, ladder, perfect, project_in, reply
from scripted import Scripted

from chat.protocols import Reply
from curation.split.manifest import load_split
from evaluation.arms.registry import ARMS, arms_named
from evaluation.baseline import Aim, choose_all, run_baseline
from evaluation.bench import closed_set, open_bench
from evaluation.choose import Choices
from evaluation.measure import Partial, items_of
from evaluation.measured_answers import is_enough, judge_rungs
from evaluation.measurement_report import newest_report, read_outcomes
from rung.cli.output import ProgressLine
from workspace.artefact import read_artefact
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.lock import writer_lock
from workspace.settings import load_settings


def test_an_arm_that_asks_no_model_sets_itself_by_all_validation_rows(project, settings, model):
    """On few rows its settings tie, and a weak classifier would make fine-tuning look good."""
    bench = open_bench(project, changed(settings, choose_on=4), model)
    assert " 4 of " in bench.rows_notes[-1] and len(open_bench(project, settings, model).rows_notes) == 1
    (base, classical), _ = choose_all(bench, arms_named(["base", "classical"]))
    assert len(bench.choosing) == 4 < len(bench.validating)
    assert {tried.items for tried in base.tries} == {4}
    assert [tried.items for tried in classical.tries] == [len(bench.validating)] * 3 + [4]
    assert len(classical.outcomes) == 4 and classical.validation is not None


def test_an_encoder_needs_labels_and_a_model(project, settings, model):
    """Without a model the report says what is missing; where answers are no labels none is even opened."""
    missing = open_bench(project, settings, model).with_encoder(lambda: None)
    report = run_baseline(missing, arms_named(["prompt", "encoder"]))[1]
    assert [arm.arm for arm in report.arms] == ["prompt"]
    assert any(note.startswith("encoder ") and "pip install" in note for note in report.notes)
    free = changed(settings, closed_set="off")
    assert open_bench(project, free, model).with_encoder(lambda: pytest.fail("opened")).encoder is None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The whole ladder, measured once: folder, bench, report, and all asks with whether choices.json was there."""
    project, asked = project_in(tmp_path_factory.mktemp("whole") / "bank"), []

    def watched(say, name):
        def watching(ask):
            asked.append((ask, (project.evaluations / "E-001" / "choices.json").exists()))
            return say(ask)

        return Scripted(watching, name=name)

    model, bigger = watched(reply, "scripted-1"), watched(perfect, "bigger-1")
    bench = open_bench(project, load_settings(project.settings_file, {}), model, bigger=bigger)
    bench = replace(bench.with_encoder(Topics), writer=model)
    return *run_baseline(bench, arms_named(list(ARMS)), Aim(goal=0.9, days=6)), bench, asked


def test_the_whole_ladder(whole):
    folder, report, bench, _ = whole
    by_name = {arm.arm: arm for arm in report.arms}
    assert list(by_name) == list(ARMS)
    assert {by_name[name].score for name in ("retrieved", "rag", "classical", "encoder")} == {1.0}
    assert report.chosen == "retrieved"
    assert not by_name["classical"].prompted and by_name["retrieved"].prompted
    assert report.judged == {
        "prompting": "weak_effort",
        "few_shot": "works",
        "rag": "works",
        "optimised": "insufficient",
        "classifier": "works",
    }
    assert report.n == 36 and all(arm.n == 36 and arm.low <= arm.score <= arm.high for arm in report.arms)
    assert by_name["prompt"].validation_forms.keys() == {"free", "held"}
    assert by_name["rag"].extra["retrieval_recall"] == 1.0
    told = {name: " ".join(by_name[name].settings) for name in ("retrieved", "rag", "combined")}
    assert told == {"retrieved": "k prompt", "rag": "passages prompt search", "combined": "k passages prompt"}
    assert by_name["bigger_model"].settings["model"] == "bigger-1" and by_name["bigger_model"].score == 1.0
    test = [o for o in read_outcomes(folder / "outputs.jsonl") if o.split == "test"]
    assert [o.item for o in test if o.arm == "rag"] == list(range(1, 37))
    assert len(test) == len(ARMS) * 36 and all(o.form == by_name[o.arm].form for o in test)
    assert all(arm.validation == max(arm.validation_forms.values()) for arm in report.arms if arm.validation_forms)
    assert report.outputs_sha256 == sha256_file(folder / "outputs.jsonl")
    where, written = newest_report(bench.project, "baseline", test_sha256=report.test_sha256)
    assert where == folder and written.log and written == report


def test_no_test_answer_reaches_a_model_before_its_item_is_scored_and_all_choices_are_made_on_validation(whole):
    """Every prompt that was sent, over all arms and forms, against every test pair."""
    folder, _, bench, asked = whole
    pairs = [(item.question, item.expected) for item in items_of(load_split(bench.dataset, "test"))]
    validation = [item.question for item in bench.choosing]
    learnt = [row.question for row in bench.rows.examples]
    assert len(asked) > 200
    for ask, _ in asked:
        own = ask.turns[-1]["content"]
        text = "\n".join(t["content"] for t in ask.turns[:-1])
        assert not any(q in text for q, _ in pairs)
        assert not any(q in own and not own.endswith(q) for q, _ in pairs)
        assert ask.turns[-1]["role"] == "user"
        proposing = "```" in own
        assert proposing or any(own.endswith(q) for q in (*validation, *learnt, *(q for q, _ in pairs)))
    questions = tuple(q for q, _ in pairs)
    seen = [chosen for ask, chosen in asked if ask.turns[-1]["content"].endswith(questions)]
    assert len(seen) > 100 and all(seen), "choices are written before the test is opened"
    choices = read_artefact(folder / "choices.json", Choices)
    by_name = {arm.arm: arm for arm in choices.arms}
    assert choices.chosen == "retrieved" and choices.validation_items == 12
    assert by_name["prompt"].settings["prompt"] == "prompt.rules.md"
    assert len(by_name["prompt"].tries) == 3
    assert {t.form for t in by_name["base"].tries} == {"free", "held"}


def test_a_bigger_model_is_an_arm_that_is_never_chosen(project, settings, model):
    bigger = Scripted(perfect, name="bigger-1")
    _, report = ladder(project, settings, model, "base", "prompt", "bigger_model", bigger=bigger)
    assert report.arms[-1].score == 1.0 and report.chosen in ("base", "prompt") and report.model == model.name


def test_a_test_set_alone_measures_base_and_prompt_only(project, settings, model, kit):
    for path in (project.datasets / "v001").iterdir():
        path.unlink()
    kit.freeze_by_hand(project, "v001", test=kit.rows_of(kit.PLACES, " today"))
    _, report = ladder(project, settings, model, *ARMS)
    assert [arm.arm for arm in report.arms] == ["base", "prompt", "rag", "combined"]
    assert all(arm.validation is None for arm in report.arms)


def test_a_changed_test_file_is_refused(project, settings, model, kit):
    with (project.datasets / "v001" / "test.jsonl").open("a") as file:
        file.write(json.dumps(kit.rows_of(["there"])[0]) + "\n")
    with pytest.raises(Refusal, match=r"test\.jsonl"):
        open_bench(project, settings, model)


def test_one_measuring_at_a_time_goes_on_in_what_a_killed_one_left(project, settings, model):
    bench = open_bench(project, settings, model)
    with writer_lock(project.evaluations / ".lock", "A measuring"), pytest.raises(Refusal, match="already running"):
        run_baseline(bench, arms_named(["base"]))
    for name in ("E-999", "E-1000"):
        (project.evaluations / name).mkdir(parents=True)
        (project.evaluations / name / "verdict.json").write_text("{}")
    folder, _ = run_baseline(bench, arms_named(["base"]))
    assert folder.name == "E-1000" and not (folder / "verdict.json").exists()


def test_the_closed_set_is_inferred_named_or_off(project, settings):
    rows = load_split(project.datasets / "v001", "train")
    assert closed_set(project, rows, settings.evaluation) == ("card", "pin", "transfer")
    assert closed_set(project, rows[:4], settings.evaluation) == ()
    off = settings.evaluation.model_copy(update={"closed_set": "off"})
    assert closed_set(project, rows, off) == ()
    (project.root / "labels.txt").write_text("card\nloan\n")
    assert closed_set(project, rows, settings.evaluation) == ("card", "loan")


@pytest.mark.parametrize(("thinks", "said", "lost"), [(False, "I cannot", 0), (False, "", 36), (True, "It is", 36)])
def test_a_cut_reply_is_lost_unless_more_tokens_could_not_make_it_right(project, free, thinks, said, lost):
    """A model that only chatters is measured; one that may have been cut while it thought is not."""
    cut = Scripted(lambda ask: Reply(said, 3, 5, 0.5, "length"), name="cut")
    cut.thinks = thinks  # type: ignore[attr-defined]  # as a model of this machine says it
    _, report = ladder(project, free, cut, goal=0.9)
    assert [arm.unmeasured[:8] for arm in report.arms] == ["36 of 36" if lost else ""] * 2
    assert ("prompting" in report.judged) == (not lost)
    assert [(arm.cut, arm.p95_seconds, arm.output_tokens) for arm in report.arms] == [(36, 0.5, 180)] * 2
    assert report.arms[0].extra["refusal_rate"] == float(said == "I cannot")


class Paid(Scripted):
    """Answers one by one, as a hosted model does, a cent each."""

    usd = 0.01

    def stream(self, asks):
        for number, ask in enumerate(asks):
            self.asked.append(ask)
            yield number, Reply("card", 3, 1, 0.1, "end", self.usd)


def test_a_budget_stops_before_it_is_passed_or_at_once_where_no_price_is_known_and_a_larger_one_goes_on(project, free):
    paid = Paid(["card"], name="paid")
    with pytest.raises(RungError, match=r"\$0.20 of \$0.20"):
        ladder(project, free, paid, "base", budget_usd=0.2)
    assert len(paid.asked) == 20 and not list(project.evaluations.glob("*/report.json"))
    _, report = ladder(project, free, paid, "base", budget_usd=0.5)
    assert len(paid.asked) == 48 and report.arms[0].cost_usd == pytest.approx(0.36)
    unpriced = Paid(["card"], name="no price")
    unpriced.usd = None
    with pytest.raises(RungError, match="--budget-usd"):
        ladder(project, free, unpriced, "base", budget_usd=0.2)
    assert 0 < len(unpriced.asked) <= 12
    _, report = ladder(project, free, unpriced, "base")
    assert report.arms[0].cost_usd is None and len(unpriced.asked) == 48


def test_the_rungs_are_judged_on_validation_by_the_contracts_rule():
    arms = [
        arm_result("prompt", validation=0.6),
        arm_result("few_shot", validation=0.7),
        arm_result("classical", validation=0.85),
    ]
    enough, vouched = is_enough(3, 5.0), is_enough(3, None, "priya")
    assert judge_rungs(arms, 0.8, enough) == {
        "prompting": "insufficient",
        "few_shot": "insufficient",
        "classifier": "works",
    }
    assert judge_rungs(arms, 0.8, vouched)["prompting"] == "insufficient"
    assert judge_rungs(arms, 0.8, is_enough(2, 9.0))["prompting"] == "weak_effort"
    assert judge_rungs(arms, 0.8, is_enough(3, 4.0))["prompting"] == "weak_effort"
    assert judge_rungs(arms[:1], 0.8, enough) == {"prompting": "weak_effort"}
    assert judge_rungs(arms, 0.6, is_enough(1))["prompting"] == "works"
    assert judge_rungs(arms, None, enough) == {}
    assert judge_rungs([arm_result("prompt", validation=None)], 0.8, enough) == {}
    beaten = [arm_result("prompt", validation=0.9), arm_result("classical", validation=0.85)]
    assert judge_rungs(beaten, 0.8, enough)["classifier"] == "insufficient"


def test_a_prompt_that_holds_test_pairs_is_named_and_every_version_is_kept(project, settings, model):
    first = (project.prompts / "prompt.md").read_text()
    ladder(project, settings, model)
    (project.documents / "leak.md").write_text("Seen: card lost at home today -> card\n")
    known = load_split(project.datasets / "v001", "test")[0]
    leaking = f"Name the topic. Example: {known.question} -> {known.answer}"
    (project.prompts / "prompt.md").write_text(leaking)
    _, report = ladder(project, settings, model)
    chosen = next(arm.settings["prompt"] for arm in report.arms if arm.arm == "prompt")

    def told(notes):
        return any(note.startswith("prompts/prompt.md holds 1 ") for note in notes)

    assert told(report.notes) == (chosen == "prompt.md")
    assert not any("documents/" in note for note in report.notes)
    kept = {path.name.split(".")[0]: path.read_text() for path in (project.prompts / "old").iterdir()}
    texts = {path.read_text() for path in (project.prompts / "old").glob("prompt.*.md")}
    assert kept["base"] == (project.prompts / "base.md").read_text() and len(texts) == 3
    assert {first, leaking} < texts
    for name, digest in report.made_from.items():
        if name.startswith("prompts/"):
            assert any(sha256_file(path) == digest for path in (project.prompts / "old").iterdir())
    (project.prompts / "prompt.rules.md").unlink()
    _, report = ladder(project, settings, model, "base", "prompt", "rag")
    assert told(report.notes)
    assert any(note.split()[0] == "1" and "documents/" in note for note in report.notes)


def test_rows_that_choose_are_drawn_and_the_same_however_the_file_is_sorted(project, settings, model, kit):
    by_class = sorted(
        kit.rows_of([f"place {n}" for n in range(40)], " now"), key=lambda row: row["messages"][-1]["content"]
    )
    some = changed(settings, choose_on=45)

    def chosen(rows):
        kit.freeze_by_hand(
            project, "v001", test=kit.rows_of(kit.PLACES, " today"), validation=rows, train=kit.rows_of(kit.PLACES)
        )
        bench = open_bench(project, some, model)
        file = [row["messages"][0]["content"] for row in rows]
        assert all(file[item.number - 1] == item.question for item in bench.choosing)
        return [item.question for item in bench.choosing]

    first = chosen(by_class)
    assert len(first) == 45 and first == chosen(by_class[::-1])
    for part in (first, first[:20]):
        assert {" ".join(question.split()[:2]) for question in part} == set(CLASSES)


def test_the_classifier_goes_by_its_own_name_and_by_the_one_in_files():
    assert arms_named(["classifier"]) == arms_named(["classical"]) != []
    assert [arm.name for arm in arms_named(["classifier", "base", "classical"])] == ["base", "classical"]
    with pytest.raises(RungError) as told:
        arms_named(["clasifier"])
    assert "classifier" in str(told.value.expected) and "classical" not in str(told.value.expected)


def test_each_item_is_scored_once_however_often_it_is_asked():
    scored = []

    def score(text, number):
        scored.append(number)
        return float(text == "yes")

    replies = {}
    partial = Partial(["a", "b", "a"], replies, score)
    assert partial() is None
    replies["a"] = SimpleNamespace(text="yes")
    assert partial() == partial() == 1.0
    replies["b"] = SimpleNamespace(text="no")
    assert partial() == pytest.approx(2 / 3)
    assert sorted(scored) == [0, 1, 2]


def test_the_line_shows_it_until_the_end(capsys):
    ticks = iter(range(100))
    line = ProgressLine("few-shot", scored=True, every=0, clock=lambda: float(next(ticks)))
    line(1, 4)
    line.so_far = lambda: 0.5
    line(2, 4)
    line(4, 4)
    assert ["50.0%" in told for told in capsys.readouterr().err.splitlines()] == [False, True, False]
