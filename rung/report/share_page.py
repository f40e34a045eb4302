"""The page of `rung share`: a first screen for whoever decides, then the measurement, the data and the advice."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from advisor.answer_file import answers_at
from advisor.decide import advise_project
from advisor.rulefiles import load_rulebook
from curation.checks.base import Checkup
from evaluation.measurement_report import newest_report
from evaluation.verdict.rule import newest_verdict
from rung import __version__
from rung.report import advice as advice_page
from rung.report.evaluation import values_of
from rung.report.items import LARGEST, Fold, task_words
from rung.report.page import render, write_html
from rung.report.quality import Review, quality_values
from rung.text.checks_text import blocking_words, counts
from workspace.artefact import now
from workspace.counted import counted
from workspace.folder import Project
from workspace.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that the file holds; None for a part that does not exist yet, and `missing` has a sentence for it.

    `measurement` is an evaluation's id, `verdict` its verdict, `rows` a number of rows, `advice` the next step, which
    `step` says in words.
    """

    file: str
    measurement: str | None
    verdict: str | None
    rows: int | None
    blocking: int | None
    """Findings that block the dataset."""
    advice: str | None
    step: str
    missing: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Return the document of `rung share --json`."""
        return {name: value for name, value in asdict(self).items() if name != "step"}

    def lines(self) -> Iterator[str]:
        """Yield the result for a shell: the file, its parts, what it does not hold."""
        parts = [f"{name} {value}" for name, value in self._parts() if value]
        yield f"{self.file}: {', '.join(parts) or 'no part yet'}."
        yield from (f"! Not in it: {line}" for line in self.missing)
        if self.rows or self.measurement:
            yield "It shows rows of your data, with personal data masked."

    def _parts(self) -> list[tuple[str, str]]:
        measured = f"{self.measurement or ''}{f' ({self.verdict})' if self.verdict else ''}"
        rows = "" if self.rows is None else counted(self.rows, "row")
        return [("measurement", measured), ("data", rows), ("advice", self.step)]


def write_share_page(path: Path, project: Project, checkup: Checkup | None, review: Review) -> Shared:
    """Write the page of the project's present state; `checkup` is None if no row was imported.

    Raises RungError for an answer, a rule or an artefact that cannot be read; then nothing is written.
    """
    measured = _measured(project)
    advice = _advice(project)
    data = quality_values(checkup, review) if checkup else None
    missing = _missing(measured, checkup, advice)
    write_html(
        path,
        "share.html",
        {
            "version": __version__,
            "project": project.name,
            "day": now().date().isoformat(),
            "fold": _fold(project, measured, checkup, advice),
            "missing": missing,
            "measurement": render("evaluation_parts.html", measured) if measured else "",
            "data": render("quality_parts.html", data) if data else "",
            "data_title": data["verdict"] if data else "",
            "advice": render("advice_parts.html", advice) if advice else "",
            "advice_title": f"next step {advice['next_step']}" if advice else "",
            "advice_head": "The advice before training" if measured and measured["verdict"] else "The advice",
        },
    )
    return Shared(
        str(path),
        measured["report"].id if measured else None,
        measured["verdict"] if measured else None,
        checkup.kept if checkup else None,
        len(checkup.blocking) if checkup else None,
        advice["option"] if advice else None,
        str(advice["next_step"]) if advice else "",
        missing,
    )


def _measured(project: Project) -> Mapping[str, Any] | None:
    """Return the values of the newest verdict's page, else of the newest baseline's."""
    found = newest_verdict(project)
    folder = found[0] if found and (found[0] / "report.json").is_file() else None
    baseline = newest_report(project, "baseline") if folder is None else None
    folder = baseline[0] if baseline else folder
    if folder is None:
        return None
    return {**values_of(project, folder), "verdict": found[1].verdict if found and folder == found[0] else None}


def _advice(project: Project) -> Mapping[str, Any] | None:
    """Return the values of the advice's page, decided today; None if no question was answered."""
    answers = answers_at(project.answers_file)
    if not answers.known():
        return None
    decision = advise_project(project, write=False)
    values = advice_page.page_values(decision, answers, load_rulebook(project.root / "rules"))
    return {**values, "option": decision.next_step}


def _missing(
    measured: Mapping[str, Any] | None, checkup: Checkup | None, advice: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Return a sentence for each part that does not exist yet, with the command that makes it."""
    lines = []
    if measured is None:
        lines.append("Measurement: no model has answered a test item yet (rung baseline).")
    if not (measured and measured["verdict"]):
        lines.append("Verdict: no tuned model was compared with the best prompt yet (rung evaluate).")
    if checkup is None:
        lines.append("Data: no row was imported yet (rung data import FILE).")
    if advice is None:
        lines.append("Advice: no question was answered yet (rung advise).")
    return tuple(lines)


def _fold(
    project: Project, measured: Mapping[str, Any] | None, checkup: Checkup | None, advice: Mapping[str, Any] | None
) -> Fold:
    """Return the measurement's first screen, else that of the advice, with data, advice and all largest risks."""
    risks = [blocking_words(checkup)] if checkup and checkup.blocking else []
    if measured:
        fold: Fold = measured["fold"]
        risks += fold.risks
    elif advice:
        fold = Fold(f"Next step: {advice['next_step']}", advice["action"].text, facts=[("task", task_words(project))])
        risks.append("Nothing was measured on your own rows yet: the advice follows from the answers alone.")
        if unknown := len(advice["open"]):
            risks.append(f"{counted(unknown, 'open question')} could still change the advice.")
    else:
        fold = Fold("Nothing to decide on yet", "No question was answered, and no model was measured.")
    facts = list(fold.facts)
    if checkup:
        facts.append(("data", counts(checkup)))
    if advice and measured and not measured["verdict"]:
        facts.append(("advice", f"next step {advice['next_step']}; confidence {advice['confidence']}"))
    return replace(fold, facts=facts, risks=risks[:LARGEST])
