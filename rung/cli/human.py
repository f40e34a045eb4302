"""`rung evaluate --human`: people compare outputs, blind, line by line or through files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.blind import BlindPlan, Pairing, Preference
    from workspace.folder import Project
    from workspace.settings import Settings

SEED = 13


def compare_blind(
    project: Project,
    settings: Settings,
    run: str | None,
    rater: str,
    items: int,
    sheet: Path | None,
    answers: Sequence[Path],
    reveal: bool,
    as_json: bool,
) -> None:
    """Make the comparison, take answers into it, or end it."""
    from evaluation.blind import write_sheet
    from rung.cli.output import say
    from workspace.errors import RungError
    from workspace.files import write_text

    folder, plan, made = open_comparison(project, run, items)
    who = rater.strip() or settings.project.person
    if sheet is not None:
        write_text(sheet, write_sheet(made))
        say(f"{sheet}: fill in choice (a, b or tie) and reason, then")
        return say(f"Next: rung evaluate {plan.run} --human --rater {who} --answers {sheet}")
    for path in answers:
        _take(folder, made, path, who if len(answers) == 1 else path.stem)
    if reveal:
        return _reveal(folder, plan, made, as_json)
    if not answers:
        if not sys.stdin.isatty():
            raise RungError("No terminal to ask on.", "rung evaluate --human --sheet FILE")
        _ask_all(folder, made, who)
    return _standing(folder, plan, made)


def open_comparison(project: Project, run: str | None, items: int) -> tuple[Path, BlindPlan, list[Pairing]]:
    """The folder `human/` of the run's newest verdict, its plan (made where there is none) and its pairings.

    Raises Refusal where there is no verdict: test outputs are opened after it.
    """
    from curation.manifest import load_split
    from evaluation.blind import BlindPlan, draw_items, pairings
    from evaluation.report import read_report
    from evaluation.tuned import load_baseline
    from evaluation.verdict import newest_verdict
    from workspace.artefact import read_artefact, write_artefact
    from workspace.errors import Refusal

    found = newest_verdict(project, run)
    if found is None:
        raise Refusal("No verdict yet: people compare outputs after it, so that none is seen before.", "rung evaluate")
    verdict = found[1]
    baseline = load_baseline(*read_report(project, verdict.baseline_report or ""))
    tuned = load_baseline(*read_report(project, found[0].name)).outcomes["tuned"]
    rivals = [arm for arm in dict.fromkeys(("base", verdict.chosen)) if arm in baseline.outcomes]
    folder, path = found[0] / "human", found[0] / "human" / "plan.json"
    if not path.is_file():
        drawn = draw_items(len(tuned), rivals, items, SEED)
        folder.mkdir(exist_ok=True)
        test_sha = verdict.test_sha256 or ""
        write_artefact(path, BlindPlan(run=verdict.run or "", items=drawn, seed=SEED, test_sha256=test_sha))
    plan = read_artefact(path, BlindPlan)
    rows = load_split(project.datasets / (verdict.dataset or ""), "test")
    outcomes = {arm: {o.item: o for o in baseline.outcomes[arm]} for arm in plan.items}
    numbered = {place: o for place, o in enumerate(tuned, 1)}
    by_place = {arm: {place: o for place, o in enumerate(found.values(), 1)} for arm, found in outcomes.items()}
    questions = [rows[o.item - 1].question for o in tuned]
    return folder, plan, pairings(plan, questions, numbered, by_place)


def _take(folder: Path, made: Sequence[Pairing], path: Path, rater: str) -> None:
    from evaluation.blind import read_answers
    from workspace.errors import RungError

    if not path.is_file():
        raise RungError(f"{path}: no such file.", "rung evaluate --human --sheet FILE")
    for number, (choice, reason) in read_answers(path, made, whole=False).items():
        _keep(folder, rater, {"id": number, "choice": choice, "reason": reason})


def _keep(folder: Path, rater: str, line: dict[str, Any]) -> None:
    """One answer, at once: nothing is lost when the terminal closes. The last answer to an id counts."""
    with _file(folder, rater).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _file(folder: Path, rater: str) -> Path:
    from workspace.errors import RungError

    if not rater.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise RungError(f'A rater\'s name is letters, digits, ".", "-" and "_"; found "{rater}".', "--rater NAME")
    return folder / f"answers.{rater}.jsonl"


def _answers(folder: Path) -> dict[str, dict[int, tuple[Any, str]]]:
    found: dict[str, dict[int, tuple[Any, str]]] = {}
    for path in sorted(folder.glob("answers.*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        found[path.name[8:-6]] = {row["id"]: (row["choice"], row["reason"]) for row in rows}
    return found


def _ask_all(folder: Path, made: Sequence[Pairing], rater: str) -> None:
    import typer

    from rung.cli.output import say
    from rung.report.page import shown

    done = _answers(folder).get(rater, {})
    asked = [p for p in made if not p.is_same]
    for pairing in asked:
        if pairing.id in done:
            continue
        say(f"\n{pairing.id} of {len(made)}   {shown(pairing.question, 1500)}")
        say(f"  A  {shown(pairing.a, 1500)}")
        say(f"  B  {shown(pairing.b, 1500)}")
        choice = ""
        while choice not in ("a", "b", "tie", "q"):
            choice = {"t": "tie"}.get(said := typer.prompt("Better: a, b, t (tie), q (stop)").strip().lower(), said)
        if choice == "q":
            return
        reason = typer.prompt("Why (may stay empty)", default="", show_default=False)
        _keep(folder, rater, {"id": pairing.id, "choice": choice, "reason": reason})


def _standing(folder: Path, plan: BlindPlan, made: Sequence[Pairing]) -> None:
    from evaluation.blind import items_for
    from rung.cli.output import say

    asked = {p.id for p in made if not p.is_same}
    say(f"{len(made)} comparisons, {len(made) - len(asked)} of equal outputs, which are ties.")
    for rater, given in _answers(folder).items():
        say(f"  {rater}: {len(asked & given.keys())} of {len(asked)}")
    wide, narrow = items_for(0.2), items_for(0.1)
    say(f"An interval of about 20 points to each side needs {wide} items against each, of 10 points {narrow}.")
    say(f"\nNext: rung evaluate {plan.run} --human --reveal")


def _reveal(folder: Path, plan: BlindPlan, made: Sequence[Pairing], as_json: bool) -> None:
    """Only where every rater answered everything."""
    from evaluation.blind import preferences
    from rung.cli.output import emit, say
    from workspace.errors import Refusal
    from workspace.files import write_text

    given, asked = _answers(folder), {p.id for p in made if not p.is_same}
    behind = [f"{rater} has {len(asked - found.keys())} left" for rater, found in given.items() if asked - found.keys()]
    if asked and not given:
        behind = ["nobody has answered yet"]
    if behind:
        raise Refusal(f"Not revealed: {', '.join(behind)}.", f"rung evaluate {plan.run} --human --rater NAME")
    found = preferences(made, given)
    document = {"run": plan.run, "raters": list(given), "against": [p.model_dump(mode="json") for p in found]}
    write_text(folder / "result.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if as_json:
        return emit(document)
    for preference in found:
        for line in _words(preference):
            say(line)
    return None


def _words(p: Preference) -> list[str]:
    from rung.report.figures import arm_name, points, signed_interval

    better = f"preferred {p.wins} times, {arm_name(p.rival)} {p.losses}, ties {p.ties}, equal outputs {p.same}"
    lines = [f"tuned against {arm_name(p.rival)}: {points(p.difference)} {signed_interval(p.low, p.high)}; {better}"]
    if p.alpha is not None:
        lines.append(f"  raters agree: alpha {p.alpha:.2f} ({', '.join(p.raters)})")
    return lines + [f"  why: {reason}" for reason in p.reasons[:10]]
