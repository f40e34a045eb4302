"""Which release stands: the newest, an earlier one after a rollback; and a new run against it."""

from __future__ import annotations

import shutil
from functools import partial

import pytest
from in_shell import rung
from released import judged, let

from curation.store import open_store
from evaluation.verdict.rule import Verdict, newest_verdict
from training.release.challenge import CHALLENGE, challenge
from training.release.current import CURRENT, Current, current_release, make_current, roll_back
from training.release.releasing import release_untuned
from training.runs import RunRecord, find_run, read_run, write_run
from workspace.artefact import read_artefact
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings


def standing(project: Project) -> str:
    found = current_release(project)
    assert found is not None
    return found[1].id


def another_run(project: Project, name: str = "R-002") -> RunRecord:
    """The same weights under another name."""
    shutil.copytree(project.runs / "R-001", project.runs / name)
    folder = project.runs / name
    write_run(folder, read_run(folder), id=name, adapter=f"{name}/adapter")
    return find_run(project, name)


def test_a_rollback_lets_the_one_before_stand_and_is_logged(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    let(project, settings, "adapter")
    release_untuned(project, settings, by="sam")
    assert standing(project) == "L-002"
    step = roll_back(project, settings, "", "priya", "answers got longer")
    assert (step.release, step.before) == ("L-001", "L-002") and standing(project) == "L-001"
    kept = read_artefact(project.releases / CURRENT, Current)
    assert [s.release for s in kept.steps] == ["L-001", "L-002", "L-001"]
    assert kept.made_from == {"releases/L-001/release.json": sha256_file(project.releases / "L-001" / "release.json")}
    with open_store(project, settings) as store:
        (event,) = store.events(kind="rolled_back")
    assert event.actor == "priya" and event.detail["before"] == "L-002"
    let(project, settings, "adapter")
    assert standing(project) == "L-003"


def test_no_way_back_from_the_first_and_none_without_a_name(project: Project, settings: Settings) -> None:
    with pytest.raises(Refusal, match="Nothing is released"):
        roll_back(project, settings, "", "sam", "why not")
    release_untuned(project, settings, by="sam")
    with pytest.raises(Refusal, match="L-001 is the first release"):
        roll_back(project, settings, "", "sam", "why not")
    with pytest.raises(RungError, match="names a person"):
        roll_back(project, settings, "L-001", "", "")
    with pytest.raises(RungError, match="Released: L-001"):
        roll_back(project, settings, "L-009", "sam", "why not")


def test_a_changed_release_cannot_stand_again(project: Project, settings: Settings) -> None:
    first = release_untuned(project, settings, by="sam")
    release_untuned(project, settings, by="sam")
    (first / "prompt" / "prompt.json").write_text("{}")
    with pytest.raises(Refusal, match=r"prompt\.json changed"):
        roll_back(project, settings, "L-001", "sam", "better")
    assert standing(project) == "L-002"


def test_a_second_rollback_goes_further_back(project: Project, settings: Settings) -> None:
    for _ in range(3):
        release_untuned(project, settings, by="sam")
    assert [roll_back(project, settings, "", "sam", "worse").release for _ in range(2)] == ["L-002", "L-001"]
    with pytest.raises(Refusal, match="L-001 is the first release"):
        roll_back(project, settings, "", "sam", "worse")
    assert roll_back(project, settings, "L-003", "sam", "mended").before == "L-001"


def test_a_rollback_takes_no_path_and_no_hidden_folder(project: Project, settings: Settings) -> None:
    first = release_untuned(project, settings, by="sam")
    release_untuned(project, settings, by="sam")
    shutil.copytree(first, project.root / "elsewhere" / "L-001")
    shutil.copytree(first, project.releases / ".L-003")
    for name in (str(project.root / "elsewhere" / "L-001"), "../elsewhere/L-001", ".L-003", str(first), "."):
        with pytest.raises(RungError, match=r"No release .* Released: L-001, L-002\."):
            roll_back(project, settings, name, "sam", "worse")
    assert standing(project) == "L-002"


def test_a_release_that_cannot_be_logged_is_not_released(project: Project, settings: Settings) -> None:
    release_untuned(project, settings, by="sam")
    as_it_was = (project.releases / CURRENT).read_bytes()
    elsewhere = settings.model_copy(update={"store": settings.store.model_copy(update={"url": "sqlite:////no/such"})})
    with pytest.raises(Exception):  # noqa: B017  whatever the store says
        release_untuned(project, elsewhere, by="sam")
    assert standing(project) == "L-001" and (project.releases / CURRENT).read_bytes() == as_it_was
    assert sorted(p.name for p in project.releases.glob("*L-*")) == ["L-001"]


def test_a_current_json_that_cannot_be_read_stops_a_release_before_anything_is_made(
    project: Project, settings: Settings
) -> None:
    release_untuned(project, settings, by="sam")
    (project.releases / CURRENT).write_text("{}")
    told: list[str] = []
    with pytest.raises(RungError, match=r"current\.json"):
        release_untuned(project, settings, by="sam", told=told.append)
    assert not told and sorted(p.name for p in project.releases.glob("*L-*")) == ["L-001"]


def test_a_removed_folder_that_stands_locks_neither_rollback_nor_release(project: Project, settings: Settings) -> None:
    for _ in range(2):
        release_untuned(project, settings, by="sam")
    shutil.rmtree(project.releases / "L-002")
    with pytest.raises(RungError, match="L-002 is current, but its folder is gone") as told:
        current_release(project)
    assert "rollback L-001" in (told.value.hint or "")
    assert roll_back(project, settings, "", "sam", "it is gone").before == "L-002" and standing(project) == "L-001"
    shutil.rmtree(project.releases / "L-001")
    assert release_untuned(project, settings, by="sam").name == "L-003"
    assert standing(project) == "L-003"


@pytest.mark.parametrize(("right", "ruling"), [(30, "replace"), (0, "keep"), (16, "need_more_data")])
def test_a_challenger_is_paired_with_what_is_released(
    project: Project, settings: Settings, right: int, ruling: str
) -> None:
    released(project, settings, right=15)
    run = another_run(project)
    folder = judged(project, settings, right=right, otherwise="none", run="R-002")
    found = challenge(project, settings, run)
    assert found.ruling == ruling and found.champion.run == "R-001"
    v = found.verdict
    assert (v.tuned, v.baseline, v.n) == (right / 30, 0.5, 30) and v.better - v.worse == right - 15
    assert v.low <= v.difference <= v.high
    assert read_artefact(folder / CHALLENGE, Verdict) == v
    assert "evaluations/E-003/outputs.jsonl" in v.made_from
    newest = newest_verdict(project, "R-002")
    assert newest is not None and newest[1].chosen != "released"


def released(project: Project, settings: Settings, right: int) -> None:
    """R-001 is released, and measured again since: it answers `right` items as expected."""
    judged(project, settings, right=30)
    let(project, settings, "adapter")
    judged(project, settings, right=right, otherwise="none")


def test_a_challenge_counts_the_items_of_one_customer_together(project: Project, settings: Settings) -> None:
    released(project, settings, right=15)
    run = another_run(project)
    judged(project, settings, right=30, otherwise="none", run="R-002")
    alone = challenge(project, settings, run).verdict
    together = challenge(
        project,
        settings.model_copy(update={"dataset": settings.dataset.model_copy(update={"group_by": "customer"})}),
        run,
    ).verdict
    assert (alone.clusters, together.clusters) == (None, 18) and together.effective_clusters == pytest.approx(900 / 54)
    assert together.difference == alone.difference and together.low < alone.low
    assert together.low <= together.difference <= together.high


def test_a_prompt_that_is_released_is_a_champion_too(project: Project, settings: Settings) -> None:
    release_untuned(project, settings, by="sam")
    judged(project, settings, right=30)
    found = challenge(project, settings, find_run(project, "R-001"))
    assert found.ruling == "replace" and found.champion.arm == newest_verdict(project, "R-001")[1].chosen  # type: ignore[index]


def test_a_released_prompt_keeps_the_score_of_its_own_baseline(project: Project, settings: Settings) -> None:
    """A prompt of the same name, measured since, is another text."""
    from chat.scripted import Scripted
    from evaluation.arms.registry import arms_named
    from evaluation.baseline import run_baseline
    from evaluation.bench import open_bench
    from evaluation.measurement_report import read_report

    release_untuned(project, settings, by="sam")
    run_baseline(open_bench(project, settings, Scripted(["none"])), arms_named(["base", "prompt"]))
    judged(project, settings, right=30)
    found = challenge(project, settings, find_run(project, "R-001"))
    first = read_report(project, "E-001")[1]
    own = next(arm.score for arm in first.arms if arm.arm == found.champion.arm)
    assert found.verdict.baseline == own > 0 and found.verdict.baseline_report == "E-001"
    path = project.evaluations / "E-001" / "report.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(Refusal, match=r"E-001/report\.json changed since L-001 was released"):
        challenge(project, settings, find_run(project, "R-001"))
    path.unlink()
    with pytest.raises(Refusal, match="was not measured on the test set of E-003"):
        challenge(project, settings, find_run(project, "R-001"))


def test_the_same_run_and_an_unmeasured_one_are_told(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    with pytest.raises(Refusal, match="Nothing is released"):
        challenge(project, settings, find_run(project, "R-001"))
    let(project, settings, "adapter")
    with pytest.raises(Refusal, match="is what L-001 released"):
        challenge(project, settings, find_run(project, "R-001"))
    with pytest.raises(Refusal, match="not measured yet"):
        challenge(project, settings, another_run(project))


def test_the_commands(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    let(project, settings, "adapter")
    another_run(project)
    judged(project, settings, right=30, run="R-002")
    release = partial(rung, "release", cwd=project.root)
    done = release("challenge", "R-002")
    assert done.returncode == 1 and "NEED MORE DATA" in done.stdout and "0 better, 0 worse, 30 the same" in done.stdout
    make_current(project, "L-001", None, "sam", "x")
    done = release("rollback", "L-001", "--by", "sam", "--reason", "x")
    assert done.returncode == 1 and "L-001 is the current release already" in done.stderr
