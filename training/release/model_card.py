"""The cards: what a reader must know of a released model or prompt, with the facts from the artefacts."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from advisor.decision import read_decision
from curation.split.manifest import FrozenRow, read_manifest
from evaluation.forgetting import NOT_MEASURED
from evaluation.measurement_report import ArmResult, Report, read_report
from training.plan.plans import read_plan
from training.release.goldens import GOLDEN, read_goldens
from training.release.permission import Permission
from training.release.releases import Release
from training.runs import RunRecord
from training.templates import templates
from workspace.folder import Project

CARDS = Path(__file__).with_name("cards")
RULINGS = {"ship": "ship", "judgement": "judgement, decided by a named person"}


def model_card(release: Release, run: RunRecord, allowed: Permission, project: Project, folder: Path) -> str:
    """README.md of a tuned model, with the hub's front matter; `folder` is where the release is made."""
    manifest, decision = read_manifest(project.datasets / run.dataset), read_decision(project)
    verdict = allowed.verdict
    facts = {
        "project": project.name,
        "release": release,
        "run": run,
        "verdict": verdict,
        "rulings": RULINGS,
        "decision": decision,
        "manifest": manifest,
        "has_adapter": any(form.form == "adapter" for form in release.forms),
        "base": "HuggingFaceTB/SmolLM2-135M-Instruct" if run.base == "embedded" else run.base,
        "task": str(decision.answers.get("task", "")).replace("_", " ") if decision else "",
        "worse": [each for each in verdict.slices if each.difference < 0][:5],
        "baseline": read_report(project, verdict.baseline_report)[1] if verdict.baseline_report else None,
        "measured": read_report(project, allowed.folder.name)[1].arms if verdict.baseline_report else [],
        "score": _score,
        "forgetting": verdict.forgetting.words() if verdict.forgetting else NOT_MEASURED,
        "system": "the rows' own" if run.system_prompt is None else json.dumps(run.system_prompt, ensure_ascii=False),
        "plan": None if run.adopted else read_plan(project.runs / run.id / "plan.toml"),
        "reviewers": _reviewers(manifest.rows),
        "agreement": manifest.review.get("agreement"),
        "licences": Counter(
            str(row.get("licence") or manifest.policy.get("licence") or "unknown") for row in manifest.rows
        ).most_common(),
        "losses": [loss for form in release.forms for loss in form.facts.get("validation", {}).values()],
        "goldens": len(read_goldens(folder).items) if (folder / GOLDEN).is_file() else 0,
    }
    return templates(CARDS).get_template("tuned.md.j2").render(facts)


def untuned_card(release: Release, report: Report) -> str:
    """README.md of a released prompt or classifier, or of several."""
    has_prompt = any(form.form == "prompt" for form in release.forms)
    facts = {
        "release": release,
        "baseline": report,
        "measured": [],
        "score": _score,
        "prompted": next(arm for arm in report.arms if arm.arm == report.chosen) if has_prompt else None,
    }
    return templates(CARDS).get_template("untuned.md.j2").render(facts)


def _score(arm: ArmResult) -> str:
    count = f"mean of {arm.n} items" if arm.graded else f"{arm.correct:g} of {arm.n}"
    return f"{arm.score:.1%} ({100 * arm.low:.1f} to {100 * arm.high:.1f}), {count}"


def _reviewers(rows: Sequence[FrozenRow]) -> str:
    counts: Counter[str] = Counter()
    for row in rows:
        who = str(row.get("reviewer") or "not reviewed")
        counts[f"{who} (automatic)" if row.get("automatic") else who] += 1
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
