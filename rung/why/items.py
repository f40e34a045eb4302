"""`rung why E-002:41`: one item of an evaluation: what each arm answered, and the train rows nearest to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from curation.mask import mask
from curation.split.manifest import load_split, newest_dataset, read_manifest
from curation.store import StoredRow, open_store
from evaluation.measurement_report import ItemOutcome, Report, read_report
from evaluation.outcomes import load_baseline
from evaluation.retrieval.train_rows import NearTrainRow, TrainRowIndex
from evaluation.testset.looks import split_to_show
from rung.report.items import near_json, near_words
from rung.report.page import shown
from rung.text.figures import arm_name
from rung.why.rows import holding
from training.monitoring.learn import STRATEGY, KeptOut, read_not_learnt, reason_of
from training.monitoring.reference import Origins
from training.monitoring.requests import Logged, find_logged, import_of, read_imports
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import load_settings


@dataclass(frozen=True, slots=True)
class ItemWhy:
    """One item: its question, what was expected, each arm's outcome, and the nearest train rows."""

    ref: str
    question: str
    expected: str
    outcomes: list[ItemOutcome]
    near: list[NearTrainRow]

    def lines(self) -> list[str]:
        """For the shell."""
        out = [f"{self.ref}   {shown(mask(self.question), 400)}"]
        if turn := self.outcomes[0].turn:
            out.append(f"turn       {turn} of the conversation in test line {self.outcomes[0].row}")
        out += [f"expected   {shown(mask(self.expected), 200)}", ""]
        for outcome in self.outcomes:
            mark = "✓" if outcome.score >= 1 else "✗" if outcome.score <= 0 else f"{outcome.score:.2f}"
            out.append(f"{mark} {arm_name(outcome.arm):<20} {shown(mask(outcome.output), 200)}")
        heading = "Train rows nearest to it (a hint: no row alone makes a model answer as it does)"
        return [*out, "", heading, *(f"  {near_words(row)}" for row in self.near)] if self.near else out

    def document(self) -> JsonObject:
        """For `--json`."""
        return {
            "ref": self.ref,
            "line": self.outcomes[0].row,
            "turn": self.outcomes[0].turn or None,
            "question": self.question,
            "expected": self.expected,
            "outputs": [{"arm": o.arm, "output": o.output, "score": o.score} for o in self.outcomes],
            "train_rows": near_json(self.near),
        }


def why_item(project: Project, ref: str) -> ItemWhy:
    """The test item that `E-002:41` names.

    Raises Refusal while test items stay shut, RungError where there is no such item.
    """
    name, _, number = ref.partition(":")
    folder, report = read_report(project, name)
    settings = load_settings(project.settings_file)
    if split_to_show(project, settings, report.test_sha256) != "test":
        raise Refusal("Test items stay hidden until the verdict on the last planned run.", "rung verdict --items")
    found = [o for each in load_baseline(folder, report).outcomes.values() for o in each if o.item == int(number)]
    if not found:
        raise RungError(f"{name} has no test item {number}.", f"1 to {report.n}")
    question = found[0].asked(load_split(project.datasets / report.dataset, "test"))
    return ItemWhy(ref, question, found[0].expected, found, _near(project, report, question))


def _near(project: Project, report: Report, question: str) -> list[NearTrainRow]:
    """Of the dataset that the report was made on, else of the newest one with the same test set and a train split."""
    for folder in (project.datasets / report.dataset, newest_dataset(project, complete=True)):
        if folder is not None and "train" in read_manifest(folder).splits:
            return TrainRowIndex(folder).of([question])[0]
    return []


@dataclass(frozen=True, slots=True)
class LoggedWhy:
    """A request with its fate: the candidate made from it, or why there is none; `held` are datasets that hold it.

    `release` is the one that its import was made with.
    """

    logged: Logged
    question: str
    release: str
    dataset: str
    candidate: StoredRow | None
    kept_out: str
    held: tuple[str, ...]
    near: tuple[NearTrainRow, ...]

    def lines(self) -> list[str]:
        """For the shell."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        each = self.logged
        yield f"{each.ref}   {shown(mask(self.question), 400)}"
        what = shown(mask(each.answer), 200) if each.answer.strip() else f"nothing ({each.error or 'empty'})"
        measured = [each.model, each.at[:19], f"{each.seconds:.2f} s" if each.seconds is not None else ""]
        yield f"answered   {what}   ({', '.join(filter(None, measured))})"
        if each.rating is not None or each.comment:
            words = "no rating" if each.rating is None else "low" if each.rating < 0 else "good"
            yield f"rated      {words}" + (f': "{shown(each.comment, 200)}"' if each.comment else "")
        if each.edit:
            yield f"edited to  {shown(each.edit, 200)}"
        yield f"release    {self.release}, dataset {self.dataset}   (rung why {self.release})"
        yield from self._fate()
        if self.near:
            yield ""
            yield f"Train rows of {self.dataset} nearest to it (a hint: no row alone makes a model answer as it does)"
            yield from (f"  {near_words(row)}" for row in self.near)

    def _fate(self) -> Iterator[str]:
        if self.candidate is not None:
            row = self.candidate
            who = f" by {row.reviewer}" if row.reviewer else ""
            yield f"candidate  {row.id}, {row.state}{who}   (rung why {row.id})"
            yield from (f"frozen in  {where}" for where in self.held)
        elif self.kept_out:
            yield f"kept out   {self.kept_out}"
        else:
            why = reason_of(self.logged)
            yield f"candidate  not yet{f', though {why}' if why else ''}: rung watch learn"

    def document(self) -> JsonObject:
        """For `--json`."""
        row = self.candidate
        return {
            "ref": self.logged.ref,
            "request": asdict(self.logged),
            "question": self.question,
            "release": self.release,
            "dataset": self.dataset,
            "candidate": {"id": row.id, "state": row.state, "reviewer": row.reviewer or None} if row else None,
            "kept_out": self.kept_out or None,
            "frozen_in": list(self.held),
            "train_rows": near_json(self.near),
        }


def why_logged(project: Project, ref: str) -> LoggedWhy:
    """The request `W-001:17`.

    Raises RungError where it is not here, Refusal where nothing is released, or its import's release is gone.
    """
    settings = load_settings(project.settings_file)
    logged, made = find_logged(project, ref), import_of(project, ref)
    reference = Origins(project, settings, [made]).of(ref)
    question = reference.turns.question(logged.messages)
    with open_store(project, settings) as store:
        mine = [r for r in store.rows(role="candidates", excluded=None) if r.meta.get("strategy") == STRATEGY]
    candidate = next((row for row in mine if row.meta.get("hash") == logged.hash), None)
    entry = next((each for each in read_not_learnt(project) if each.hash == logged.hash), None)
    held = () if candidate is None else holding(project, candidate.id)
    near = TrainRowIndex(reference.dataset).of([question])[0] if reference.split == "train" else ()
    return LoggedWhy(
        logged=logged,
        question=question,
        release=reference.release.id,
        dataset=reference.dataset.name,
        candidate=candidate,
        kept_out=_reason(entry) if entry else "",
        held=tuple(f"{version}, {split} line {line}" for version, split, line, _ in held),
        near=tuple(near),
    )


def _reason(entry: KeptOut) -> str:
    row = entry.evidence.get("row")
    return str(entry.reason) + (f" ({row})" if row else "")


def why_import(project: Project, ref: str) -> tuple[list[str], JsonObject]:
    """Return the import `W-001`: its logs, its release, and the outcome of its requests.

    Raises RungError where there is none.
    """
    known = {made.id: made for _, made in read_imports(project)}
    if ref not in known:
        raise RungError(f"No import {ref}. There: {', '.join(known) or 'none'}.", "rung watch import LOGS")
    made, settings = known[ref], load_settings(project.settings_file)
    with open_store(project, settings) as store:
        mine = [r for r in store.rows(role="candidates", excluded=None) if r.source.startswith(f"watch/{ref}:")]
    out = sum(entry.ref.startswith(f"{ref}:") for entry in read_not_learnt(project))
    lines = [f"{ref}   {made.kept:,} of {counted(made.requests, 'request')} kept, imported {made.created_at:%Y-%m-%d}"]
    lines += [f"log        {file.path}, {counted(file.lines, 'line')}   {file.sha256[:8]}" for file in made.files]
    behind = f"(rung why {made.release})" if made.release else ""
    lines.append(f"release    {made.release or 'none yet'}   {behind}".rstrip())
    lines.append(
        f"learnt     {counted(len(mine), 'candidate')}, {out:,} left out, {made.kept - len(mine) - out:,} not processed"
    )
    document = {"ref": ref, "import": made.model_dump(mode="json")}
    return lines, {**document, "candidates": [row.id for row in mine], "kept_out": out}
