"""The cards: what a reader must know of a released model or prompt, with the facts from the artefacts."""

from __future__ import annotations

import json
from pathlib import Path

from curation.manifest import read_manifest
from evaluation.report import ArmResult, Report, read_report
from training.record import RunRecord
from training.release import card_parts as parts
from training.release.permission import Permission
from training.release.record import Release
from workspace.folder import Project

RULINGS = {"ship": "ship", "judgement": "judgement, decided by a named person"}


def model_card(release: Release, run: RunRecord, allowed: Permission, project: Project, folder: Path) -> str:
    """README.md of a tuned model, with the hub's front matter; `folder` is where the release is made."""
    manifest, decision = read_manifest(project.datasets / run.dataset), parts.read_decision(project)
    verdict, baseline = allowed.verdict, _baseline(project, allowed)
    texts = [_front(run, release, allowed), f"# {project.name} {release.id}", parts.use(decision, verdict)]
    texts += [_verdict(release, run, allowed), parts.why_tuned(decision, project)]
    texts += [_arms(baseline, read_report(project, allowed.folder.name)[1])] if baseline else []
    texts += [parts.forgetting(verdict), _training(run, project), parts.data(manifest), parts.costs(verdict.price)]
    texts += [parts.forms(release), parts.golden(folder), _chain(release)]
    return "\n\n".join(text for text in texts if text) + "\n"


def prompt_card(release: Release, report: Report) -> str:
    """README.md of a released prompt."""
    arm = next(a for a in report.arms if a.arm == report.chosen)
    head = f"# {release.id}: the prompt\n\nThe best prompted arm, {_name(arm.arm)}, on {report.model}: {_score(arm)}."
    how = "`answer.py` gives `messages(question)` and `answer(question, url, model)`; `request.json` is a request."
    return "\n\n".join([head, _arms(report, None), how, _chain(release)]) + "\n"


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
        f"{RULINGS.get(v.verdict, v.verdict)}: {100 * v.difference:+.1f} points over {_name(v.chosen)} "
        f"(95%: {100 * v.low:+.1f} to {100 * v.high:+.1f}), margin {100 * v.margin:.0f}, {v.n} frozen test items.",
    ]
    if v.served:
        lines.append(f"Measured as {v.served}: that this run's weights stand behind that name was not checked.")
    if release.by:
        lines.append(f"Released by {release.by}{f': “{release.reason}”' if release.reason else ''}.")
    lines += [f'**Gate {o.gate} was overridden by {o.by}: "{o.reason}"** ({o.at:%Y-%m-%d}).' for o in run.overrides]
    if not run.overrides:
        lines.append("No gate was overridden.")
    return "\n\n".join(lines)


def _baseline(project: Project, allowed: Permission) -> Report | None:
    name = allowed.verdict.baseline_report
    return read_report(project, name)[1] if name else None


def _arms(baseline: Report, tuned: Report | None) -> str:
    arms = [*baseline.arms, *(tuned.arms if tuned else [])]
    rows = [f"| {_name(arm.arm)} | {_score(arm)} | {arm.seconds:.0f} s |" for arm in arms]
    head = f"## Every arm on the same {baseline.n} items ({baseline.metric})"
    return "\n".join(
        [head, "", "| arm | score (95%) | time |", "|---|---|---|", *rows, *(f"\n{n}" for n in baseline.notes)]
    )


def _score(arm: ArmResult) -> str:
    count = f"mean of {arm.n} items" if arm.graded else f"{arm.correct:g} of {arm.n}"
    return f"{arm.score:.1%} ({100 * arm.low:.1f} to {100 * arm.high:.1f}), {count}"


def _name(arm: str) -> str:
    return arm.replace("_", "-")


def _training(run: RunRecord, project: Project) -> str:
    from training.plan import read_plan

    plan = read_plan(project.runs / run.id / "plan.toml")
    r = plan.recipe
    kind = run.method if run.objective == "sft" else f"{run.objective} with {run.method}"
    what = f"{kind} on {_base(run)}, {plan.data.train:,} rows, {run.step} steps of {r.rows_a_step} rows"
    adapter = f", rank {r.rank}, alpha {r.alpha}, {r.targets}" if r.rank else ""
    system = "the rows' own" if run.system_prompt is None else json.dumps(run.system_prompt, ensure_ascii=False)
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
    return "\n".join(["## The chain", "", "Copies stand in `chain/`; `rung release verify` checks them.", "", *rows])
