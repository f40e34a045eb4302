"""Loss of a changed form: paired with the tuned model, refused over the limit, allowed by a name only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bank import changed
from scripted import Scripted

from chat.protocols import Ask
from curation.split.manifest import load_split
from curation.store import open_store
from evaluation.measurement_report import read_outcomes
from evaluation.verdict.compare import compare
from training.release.making import TUNED, Loss, Making, ReleaseOptions, Scoring, as_facts, demand
from training.release.releases import RELEASE, Release, ReleasedForm, take_place
from training.release.releasing import CARDS
from training.runs import find_run
from training.templates import templates
from workspace.artefact import write_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def knows(project: Project, right: int) -> Scripted:
    """A model that answers the first `right` validation rows as expected."""
    rows = load_split(project.datasets / "v001", "validation")
    known = {row.question: row.answer or "" for row in rows[:right]}

    def say(ask: Ask) -> str:
        return known.get(str(ask.turns[-1]["content"]), "none")

    return Scripted(say, name=f"knows {right}")


@pytest.fixture
def making(project: Project, settings: Settings, tmp_path: Path) -> Making:
    made = Making(project, settings, find_run(project, "R-001"), tmp_path / "work")
    made.outcomes[TUNED] = Scoring(made).measure(TUNED, knows(project, 4))
    return made


def test_the_loss_is_paired_a_gain_is_none_and_the_environment_softens_no_limit(
    project: Project, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_RELEASE__LOSS_LIMIT", "1")
    making = replace(making, settings=load_settings(project.settings_file))
    loss = Scoring(making).score("gguf q8_0", knows(project, 3))
    assert making.settings.release.loss_limit == 1 and loss.limit == 0.02 and loss.over
    assert (loss.n, loss.tuned, loss.score, loss.loss) == (4, 1.0, 0.75, 0.25) and (loss.better, loss.worse) == (0, 1)
    own = compare([1.0] * 4, [1.0, 1.0, 1.0, 0.0])
    assert (loss.low, loss.high) == (-own.high, -own.low)
    kept = read_outcomes(making.work / "validation" / "gguf-q8_0.jsonl")
    assert [o.score for o in kept] == [1, 1, 1, 0] and all(o.split == "validation" for o in kept)
    assert not list(making.work.glob(".*"))
    assert "+25.0 points" in loss.words and "4 rows" in loss.words
    making.outcomes[TUNED] = Scoring(making).measure(TUNED, knows(project, 2))
    gain = Scoring(making).score("gptq", knows(project, 3))
    assert not gain.over and gain.loss == -0.25
    assert Loss.model_validate(gain.model_dump(mode="json")) == gain


def test_rows_of_one_customer_are_not_independent(project: Project, making: Making, settings: Settings) -> None:
    alone = Scoring(making).score("gguf q8_0", knows(project, 2))
    grouped = changed(settings, "dataset", group_by="customer")
    together = Scoring(replace(making, settings=grouped)).score("gguf q8_0", knows(project, 2))
    own = compare([1.0] * 4, [1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "c"])
    assert together.loss == alone.loss == 0.5 and (together.low, together.high) == (-own.high, -own.low)
    assert (together.low, together.high) != (alone.low, alone.high)


def test_over_the_limit_is_refused_and_the_form_that_holds_is_named(project: Project, making: Making) -> None:
    scoring = Scoring(making)
    losses = [scoring.score("gguf q8_0", knows(project, 4)), scoring.score("gguf q4_k_m", knows(project, 3))]
    assert losses[0].loss == 0.0 and str(losses[0].loss) == "0.0" and "+0.0 points" in losses[0].short
    with pytest.raises(Refusal, match=r"q4_k_m.*\+25\.0 .*2\.0.* q8_0.*\+0\.0") as refused:
        demand(making, losses)
    assert refused.value.hint.split()[-2:] == ["--gguf", "q8_0"]


def test_a_named_person_may_let_it_through_on_the_card_and_in_the_log(
    project: Project, making: Making, settings: Settings
) -> None:
    signed = replace(making, ways=ReleaseOptions("priya", "phones", may_lose=True))
    (loss,) = demand(signed, [Scoring(signed).score("gptq", knows(project, 2))])
    assert loss.allowed is not None and loss.allowed.by == "priya" and loss.over
    form = ReleasedForm(form="gptq", folder="gptq", bytes=1, facts={"validation": as_facts([loss])})
    release = Release(id="L-001", forms=[form], files={})
    text = templates(CARDS).get_template("forms.md.j2").render(release=release, losses=list(as_facts([loss]).values()))
    assert 'priya: "phones"' in text and "| gptq | 100.0% | 50.0% | 50.0 (" in text
    write_artefact(project.releases / ".L-001" / RELEASE, release)
    take_place(project, settings, project.releases / ".L-001", release)
    with open_store(project, settings) as store:
        (event,) = store.events(kind="override", ref="L-001")
    wanted = {"gate": "loss", "form": "gptq", "reason": "phones"}
    assert event.actor == "priya" and wanted.items() <= event.detail.items()
