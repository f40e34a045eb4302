"""Parts of the model card that say where the model comes from: use, data, people, the decision, what it cost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from advisor.decision import Decision
from curation.manifest import Manifest
from evaluation.forgetting import NOT_MEASURED
from evaluation.price import Price
from evaluation.verdict import Verdict
from training.release.record import Release
from workspace.artefact import read_artefact
from workspace.errors import RungError
from workspace.folder import Project
from workspace.words import counted


def read_decision(project: Project) -> Decision | None:
    """The advice; None where there is none, or another version of Rung wrote it."""
    try:
        return read_artefact(project.decision_file, Decision)
    except RungError:
        return None


def use(decision: Decision | None, verdict: Verdict) -> str:
    """What it is for, and what nobody measured."""
    task = str(decision.answers.get("task", "")).replace("_", " ") if decision else ""
    lines = ["## Intended use", ""]
    lines += [
        f"{task.capitalize()}: inputs like the {verdict.n} frozen test items." if task else "Inputs like the test."
    ]
    lines += ["", "Nothing else was measured: other tasks, other languages, other instructions and longer inputs."]
    worse = [s for s in verdict.slices if float(s.get("difference", 0)) < 0]
    lines += [f"\nWorse on {s.get('name', s)}: {100 * float(s['difference']):+.1f} points." for s in worse[:5]]
    return "\n".join(lines)


def why_tuned(decision: Decision | None, project: Project) -> str:
    """The advice, and for each cheaper rung what spoke against it and what was measured."""
    if decision is None:
        return ""
    lines = ["## Why a tuned model", ""]
    lines += [f"The advice of {decision.as_of} ({decision.strength}): {decision.next_step.replace('_', '-')}."]
    for rung, reasons in decision.why_not.items():
        said = "; ".join(reason.short or reason.text for reason in reasons[:3])
        lines.append(f"- {rung.replace('_', '-')}: {said or 'measured below'}.")
    return "\n".join([*lines, "", "What each of them reached is in the table of arms."])


def data(manifest: Manifest) -> str:
    """Counts, licences, who decided, how far they agreed."""
    splits = ", ".join(f"{name} {entry.rows:,}" for name, entry in manifest.splits.items())
    licences = Counter(str(row.get("licence") or manifest.policy.get("licence") or "unknown") for row in manifest.rows)
    lines = ["## Data", "", f"Dataset {manifest.version}: {splits}. Decisions: {_reviewers(manifest.rows)}."]
    lines += [f"Agreement: {_agreement(manifest.review.get('agreement'))}."]
    lines += ["", *(f"- licence {name}: {counted(count, 'row')}" for name, count in licences.most_common())]
    lines += ["", f"Left out: {counted(len(manifest.dropped), 'row')}, each with its reason in the manifest."]
    lines += [f"Leaks between train and test: {manifest.leakage.get('train_test', 'unknown')}."]
    return "\n".join(lines)


def _reviewers(rows: list[dict[str, Any]]) -> str:
    counts: Counter[str] = Counter()
    for row in rows:
        who = str(row.get("reviewer") or "not reviewed")
        counts[f"{who} (automatic)" if row.get("automatic") else who] += 1
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


def _agreement(found: dict[str, Any] | None) -> str:
    if not found or found.get("value") is None:
        return "not measured, no row was seen by two people"
    return f"{found['measure']} {found['value']:.2f} on {counted(found['units'], 'row')} that two people saw"


def forgetting(verdict: Verdict) -> str:
    """What it kept of what it could before."""
    return f"## Forgetting\n\n{verdict.forgetting.words() if verdict.forgetting else NOT_MEASURED}."


def costs(price: Price | None) -> str:
    """Hours, training, a call; what is not known is named."""
    if price is None:
        return "## Costs\n\nunknown (the verdict holds none: rung evaluate measures them)."
    hours = "unknown" if price.review_hours is None else f"{price.review_hours:.1f} h of {price.review_people} people"
    trained = "unknown" if price.training_seconds is None else f"{price.training_seconds:.0f} s"
    lines = ["## Costs", "", f"- review: {hours}", f"- training: {trained} on own hardware"]
    for call in (price.prompted, price.tuned):
        paid = "" if not call.usd else f", ${call.usd:.4g}"
        lines.append(f"- {call.arm}: {call.tokens_in:.0f} tokens in, {call.tokens_out:.0f} out a call{paid}")
    upkeep = (
        "unknown" if price.upkeep_usd_per_month is None else f"${price.upkeep_usd_per_month:,.0f} a month (published)"
    )
    lines.append(f"- upkeep: {upkeep}")
    return "\n".join([*lines, *([f"- not known: {', '.join(price.unknown)}"] if price.unknown else [])])


def forms(release: Release) -> str:
    """Each form, and for changed ones the loss with its interval."""
    rows = [f"| {form.form} | {form.bytes / 1e6:,.1f} MB | {form.against} |" for form in release.forms]
    lines = ["## Forms", "", "| form | size | against the run |", "|---|---|---|", *rows]
    losses = [loss for form in release.forms for loss in form.facts.get("validation", {}).values()]
    if not losses:
        return "\n".join(lines)
    lines += [
        "",
        f"What a change of precision costs ({losses[0]['metric']}, {losses[0]['n']} validation rows, paired):",
        "",
    ]
    lines += ["| form | tuned | form | lost, points (95%) | limit |", "|---|---|---|---|---|"]
    for loss in losses:
        lost = f"{100 * loss['loss']:.1f} ({100 * loss['low']:+.1f} to {100 * loss['high']:+.1f})"
        lines.append(
            f"| {loss['form']} | {loss['tuned']:.1%} | {loss['score']:.1%} | {lost} | {100 * loss['limit']:.1f} |"
        )
    allowed = [loss for loss in losses if loss["allowed"]]
    lines += [
        f"\n**{loss['form']} loses more than the limit and was released by {loss['allowed']['by']}: "
        f'"{loss["allowed"]["reason"]}"** ({loss["allowed"]["at"][:10]}).'
        for loss in allowed
    ]
    return "\n".join(lines)


def golden(folder: Path) -> str:
    """What golden.json is, for whoever serves the model."""
    from training.release.goldens import GOLDEN, read_goldens

    if not (folder / GOLDEN).is_file():
        return ""
    count = len(read_goldens(folder).items)
    return (
        f"## Serving\n\n`golden.json` holds {count} validation rows with the run's own answers. Start a server, then "
        "`rung release check URL` compares it token by token. Ask with temperature 0, as it was measured."
    )
