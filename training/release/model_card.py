"""The cards: what a reader must know of a released model or prompt, with the facts from the artefacts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from advisor.decision import Decision, read_decision
from curation.split.manifest import FrozenRow, Manifest, read_manifest
from evaluation.arms.registry import arm_name
from evaluation.forgetting import NOT_MEASURED
from evaluation.measurement_report import ArmResult, Report, read_report
from evaluation.verdict.price import TuningPrice
from evaluation.verdict.rule import Verdict
from training.release.classifier import ARM, classifier_card
from training.release.goldens import GOLDEN, read_goldens
from training.release.permission import Permission
from training.release.releases import Release
from training.runs import RunRecord
from workspace.counted import counted
from workspace.folder import Project

RULINGS = {"ship": "ship", "judgement": "judgement, decided by a named person"}


def model_card(release: Release, run: RunRecord, allowed: Permission, project: Project, folder: Path) -> str:
    """README.md of a tuned model, with the hub's front matter; `folder` is where the release is made."""
    manifest, decision = read_manifest(project.datasets / run.dataset), read_decision(project)
    verdict, baseline = allowed.verdict, _baseline(project, allowed)
    texts = [_front(run, release, allowed), f"# {project.name} {release.id}", use_section(decision, verdict)]
    texts += [_verdict(release, run, allowed), why_tuned_section(decision, project)]
    texts += [_arms(baseline, read_report(project, allowed.folder.name)[1])] if baseline else []
    texts += [
        forgetting_section(verdict),
        _training(run, project),
        data_section(manifest),
        costs_section(verdict.price),
    ]
    texts += [forms_section(release), golden_section(folder), _chain(release)]
    return "\n\n".join(text for text in texts if text) + "\n"


def untuned_card(release: Release, report: Report) -> str:
    """README.md of a released prompt or classifier, or of several."""
    forms = [form.form for form in release.forms]
    parts = [classifier_card(form, release, report) for form in forms if form in ARM]
    if "prompt" in forms:
        arm = next(a for a in report.arms if a.arm == report.chosen)
        parts.append(f"# {release.id}: the prompt\n\nThe best prompted arm, {arm_name(arm.arm)}, on {report.model}: "
                     f"{_score(arm)}.")  # fmt: skip
        parts.append("`answer.py` gives `messages(question)` and `answer(question, url, model)`; `request.json` is a "
                     "request.")  # fmt: skip
    return "\n\n".join([*parts, _arms(report, None), _chain(release)]) + "\n"


def _front(run: RunRecord, release: Release, allowed: Permission) -> str:
    adapter = any(form.form == "adapter" for form in release.forms)
    lines = ["---", "library_name: " + ("peft" if adapter else "transformers"), "pipeline_tag: text-generation"]
    lines += ["tags:", "- rung", f"- {run.method}", "base_model: " + json.dumps(_base(run)), "license: other"]
    lines += [
        "model-index:",
        f"- name: {json.dumps(release.id)}",
        "  results:",
        "  - task:",
        "      type: text-generation",
    ]
    lines += ["    dataset:", f"      name: {json.dumps(run.dataset)}", "      type: rung-frozen", "    metrics:"]
    lines += [
        f"    - type: {json.dumps(allowed.verdict.metric or 'score')}",
        f"      value: {allowed.verdict.tuned}",
        "---",
    ]
    return "\n".join(lines)


def _base(run: RunRecord) -> str:
    return "HuggingFaceTB/SmolLM2-135M-Instruct" if run.base == "embedded" else run.base


def _verdict(release: Release, run: RunRecord, allowed: Permission) -> str:
    v = allowed.verdict
    lines = [
        "## Verdict",
        f"{RULINGS.get(v.verdict, v.verdict)}: {100 * v.difference:+.1f} points over {arm_name(v.chosen)} "
        f"(95%: {100 * v.low:+.1f} to {100 * v.high:+.1f}), margin {100 * v.margin:.0f}, {v.n} frozen test items.",
    ]
    if v.served:
        lines.append(f"Measured as {v.served}: Rung did not check that this name refers to the run's weights.")
    if release.by:
        lines.append(f"Released by {release.by}{f': “{release.reason}”' if release.reason else ''}.")
    lines += [f'**Gate {o.gate} was overridden by {o.by}: "{o.reason}"** ({o.at:%Y-%m-%d}).' for o in run.overrides]
    if run.adopted:
        gates = "Its rows left through the gates of this project" if run.plan else "No gate was checked before it"
        lines.append(f"**{gates}; the training itself was elsewhere.**")
    elif not run.overrides:
        lines.append("No gate was overridden.")
    return "\n\n".join(lines)


def _baseline(project: Project, allowed: Permission) -> Report | None:
    name = allowed.verdict.baseline_report
    return read_report(project, name)[1] if name else None


def _arms(baseline: Report, tuned: Report | None) -> str:
    arms = [*baseline.arms, *(tuned.arms if tuned else [])]
    rows = [f"| {arm_name(arm.arm)} | {_score(arm)} | {arm.seconds:.0f} s |" for arm in arms]
    head = f"## Every arm on the same {baseline.n} items ({baseline.metric})"
    return "\n".join(
        [head, "", "| arm | score (95%) | time |", "|---|---|---|", *rows, *(f"\n{n}" for n in baseline.notes)]
    )


def _score(arm: ArmResult) -> str:
    count = f"mean of {arm.n} items" if arm.graded else f"{arm.correct:g} of {arm.n}"
    return f"{arm.score:.1%} ({100 * arm.low:.1f} to {100 * arm.high:.1f}), {count}"


def _training(run: RunRecord, project: Project) -> str:
    from training.plan.plans import read_plan

    system = "the rows' own" if run.system_prompt is None else json.dumps(run.system_prompt, ensure_ascii=False)
    if run.adopted:
        origin = f"Adopted from {run.adopted.source}. Trained on: {run.adopted.rows}. System message in use: {system}."
        return "\n".join(["## Training", "", origin, "", *(f"- {each}" for each in run.adopted.unchecked)])
    plan = read_plan(project.runs / run.id / "plan.toml")
    r = plan.recipe
    kind = run.method if run.objective == "sft" else f"{run.objective} with {run.method}"
    what = f"{kind} on {_base(run)}, {plan.data.train:,} rows, {run.step} steps of {r.rows_a_step} rows"
    adapter = f", rank {r.rank}, alpha {r.alpha}, {r.targets}" if r.rank else ""
    return "\n".join(
        [
            "## Training",
            "",
            f"{what}{adapter}, rate {r.learning_rate:g}. Best checkpoint by validation loss: step {run.best_step} "
            f"(loss {run.best_loss or 0:.4f}). {run.seconds:.0f} s on own hardware.",
            f"System message in training and in use: {system}. Loss on the answer only.",
        ]
    )


def _chain(release: Release) -> str:
    rows = [f"- `{name}` {digest[:8]}" for name, digest in release.made_from.items()]
    return "\n".join(["## The chain", "", "Copies are in `chain/`; `rung release verify` checks them.", "", *rows])


def use_section(decision: Decision | None, verdict: Verdict) -> str:
    """What it is for, and what nobody measured."""
    task = str(decision.answers.get("task", "")).replace("_", " ") if decision else ""
    lines = ["## Intended use", ""]
    lines += [
        f"{task.capitalize()}: inputs like the {verdict.n} frozen test items." if task else "Inputs like the test."
    ]
    lines += ["", "Nothing else was measured: other tasks, other languages, other instructions and longer inputs."]
    worse = [s for s in verdict.slices if s.difference < 0]
    lines += [f"\nWorse on {s.name}: {100 * s.difference:+.1f} points." for s in worse[:5]]
    return "\n".join(lines)


def why_tuned_section(decision: Decision | None, project: Project) -> str:
    """The advice, and for each cheaper rung what spoke against it and what was measured."""
    if decision is None:
        return ""
    lines = ["## Why a tuned model", ""]
    lines += [f"The advice of {decision.as_of} ({decision.strength}): {decision.next_step.replace('_', '-')}."]
    for rung, reasons in decision.why_not.items():
        said = "; ".join(reason.short or reason.text for reason in reasons[:3])
        lines.append(f"- {rung.replace('_', '-')}: {said or 'measured below'}.")
    return "\n".join([*lines, "", "What each of them reached is in the table of arms."])


def data_section(manifest: Manifest) -> str:
    """Counts, licences, who decided, how far they agreed."""
    splits = ", ".join(f"{name} {entry.rows:,}" for name, entry in manifest.splits.items())
    licences = Counter(str(row.get("licence") or manifest.policy.get("licence") or "unknown") for row in manifest.rows)
    lines = ["## Data", "", f"Dataset {manifest.version}: {splits}. Decisions: {_reviewers(manifest.rows)}."]
    lines += [f"Agreement: {_agreement(manifest.review.get('agreement'))}."]
    lines += ["", *(f"- licence {name}: {counted(count, 'row')}" for name, count in licences.most_common())]
    lines += ["", f"Left out: {counted(len(manifest.dropped), 'row')}, each with its reason in the manifest."]
    lines += [f"Leaks between train and test: {manifest.leakage.get('train_test', 'unknown')}."]
    return "\n".join(lines)


def _reviewers(rows: Sequence[FrozenRow]) -> str:
    counts: Counter[str] = Counter()
    for row in rows:
        who = str(row.get("reviewer") or "not reviewed")
        counts[f"{who} (automatic)" if row.get("automatic") else who] += 1
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"


def _agreement(found: Mapping[str, Any] | None) -> str:
    if not found or found.get("value") is None:
        return "not measured, no row was seen by two people"
    return f"{found['measure']} {found['value']:.2f} on {counted(found['units'], 'row')} that two people saw"


def forgetting_section(verdict: Verdict) -> str:
    """What it kept of what it could before."""
    return f"## Forgetting\n\n{verdict.forgetting.words() if verdict.forgetting else NOT_MEASURED}."


def costs_section(price: TuningPrice | None) -> str:
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


def forms_section(release: Release) -> str:
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


def golden_section(folder: Path) -> str:
    """What golden.json is, for whoever serves the model."""
    if not (folder / GOLDEN).is_file():
        return ""
    count = len(read_goldens(folder).items)
    return (
        f"## Serving\n\n`golden.json` holds {count} validation rows with the run's own answers. Start a server, then "
        "`rung release check URL` compares it token by token. Ask with temperature 0, as it was measured."
    )
