"""`rung why E-002:41` and `W-001:17`: an item of an evaluation or a request of production, with train rows near it."""

from collections.abc import Iterator
from dataclasses import asdict

from curation.mask import mask
from curation.split.manifest import load_split, newest_dataset, read_manifest
from curation.store import open_store
from evaluation.arms.registry import arm_name
from evaluation.looks import split_to_show
from evaluation.measurement_report import Report, read_report
from evaluation.outcomes import load_baseline
from evaluation.retrieval import NearTrainRow, TrainRowIndex
from rung.report.items import near_json, near_words
from rung.report.page import shown
from rung.why.explain import Explanation, holding
from training.monitoring.learn import STRATEGY, KeptOut, read_not_learnt, reason_of
from training.monitoring.reference import Origins
from training.monitoring.requests import Logged, find_logged, read_imports
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import load_settings

HINT = "nearest to it (a hint: no row alone makes a model answer as it does)"


def why_item(project: Project, ref: str) -> Explanation:
    """Return the test item that `E-002:41` names: question, expected answer, outcome of each arm, nearest train rows.

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
    first, question = found[0], found[0].asked(load_split(project.datasets / report.dataset, "test"))
    near = _near(project, report, question)
    lines = [f"{ref}   {shown(mask(question), 400)}"]
    if first.turn:
        lines.append(f"turn       {first.turn} of the conversation in test line {first.row}")
    lines += [f"expected   {shown(mask(first.expected), 200)}", ""]
    for outcome in found:
        mark = "✓" if outcome.score >= 1 else "✗" if outcome.score <= 0 else f"{outcome.score:.2f}"
        lines.append(f"{mark} {arm_name(outcome.arm):<20} {shown(mask(outcome.output), 200)}")
    lines += ["", f"Train rows {HINT}", *(f"  {near_words(row)}" for row in near)] if near else []
    document = {
        "ref": ref,
        "line": first.row,
        "turn": first.turn or None,
        "question": question,
        "expected": first.expected,
        "outputs": [{"arm": o.arm, "output": o.output, "score": o.score} for o in found],
        "train_rows": near_json(near),
    }
    return Explanation(lines, document)


def _near(project: Project, report: Report, question: str) -> list[NearTrainRow]:
    """Return rows of the dataset behind the report, else of the newest one with the same test set and a train split."""
    for folder in (project.datasets / report.dataset, newest_dataset(project, complete=True)):
        if folder is not None and "train" in read_manifest(folder).splits:
            return TrainRowIndex(folder).of([question])[0]
    return []


def why_logged(project: Project, ref: str) -> Explanation:
    """Return the request `W-001:17` with its fate: the candidate made from it, or why there is none.

    Raises RungError if it is not here, Refusal where nothing is released, or its import's release is gone.
    """
    settings = load_settings(project.settings_file)
    logged, made = find_logged(project, ref)
    reference = Origins(project, settings, [made]).of(ref)
    question = reference.turns.question(logged.messages)
    with open_store(project, settings) as store:
        mine = [r for r in store.rows(role="candidates", excluded=None) if r.meta.get("strategy") == STRATEGY]
    row = next((row for row in mine if row.meta.get("hash") == logged.hash), None)
    entry = next((each for each in read_not_learnt(project) if each.hash == logged.hash), None)
    kept_out = _reason(entry) if entry else ""
    found = () if row is None else holding(project, row.id)
    held = [f"{version}, {split} line {line}" for version, split, line, _ in found]
    near = TrainRowIndex(reference.dataset).of([question])[0] if reference.split == "train" else []
    release, dataset = reference.release.id, reference.dataset.name
    lines = [f"{ref}   {shown(mask(question), 400)}", *_said(logged)]
    lines.append(f"release    {release}, dataset {dataset}   (rung why {release})")
    if row is not None:
        who = f" by {row.reviewer}" if row.reviewer else ""
        lines += [f"candidate  {row.id}, {row.state}{who}   (rung why {row.id})", *(f"frozen in  {at}" for at in held)]
    elif kept_out:
        lines.append(f"kept out   {kept_out}")
    else:
        why = reason_of(logged)
        lines.append(f"candidate  not yet{f', though {why}' if why else ''}: rung watch learn")
    lines += ["", f"Train rows of {dataset} {HINT}", *(f"  {near_words(one)}" for one in near)] if near else []
    document = {
        "ref": ref,
        "request": asdict(logged),
        "question": question,
        "release": release,
        "dataset": dataset,
        "candidate": {"id": row.id, "state": row.state, "reviewer": row.reviewer or None} if row else None,
        "kept_out": kept_out or None,
        "frozen_in": held,
        "train_rows": near_json(near),
    }
    return Explanation(lines, document)


def _said(each: Logged) -> Iterator[str]:
    what = shown(mask(each.answer), 200) if each.answer.strip() else f"nothing ({each.error or 'empty'})"
    measured = [each.model, each.at[:19], f"{each.seconds:.2f} s" if each.seconds is not None else ""]
    yield f"answered   {what}   ({', '.join(filter(None, measured))})"
    if each.rating is not None or each.comment:
        words = "no rating" if each.rating is None else "low" if each.rating < 0 else "good"
        yield f"rated      {words}" + (f': "{shown(each.comment, 200)}"' if each.comment else "")
    if each.edit:
        yield f"edited to  {shown(each.edit, 200)}"


def _reason(entry: KeptOut) -> str:
    row = entry.evidence.get("row")
    return str(entry.reason) + (f" ({row})" if row else "")


def why_import(project: Project, ref: str) -> Explanation:
    """Return the import `W-001`: logs, release, outcome of its requests. Raises RungError if there is none."""
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
    return Explanation(lines, {**document, "candidates": [row.id for row in mine], "kept_out": out})
