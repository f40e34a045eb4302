"""Making the form `prompt` of a release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curation.manifest import load_split
from evaluation.arms.material import Material, read_prompts, read_proposals
from evaluation.documents import read_documents
from evaluation.report import ArmResult, Report
from evaluation.rows import rows_for
from training.release.prompt import FUNCTION, PARTS, PLACE, ReleasedPrompt, parts_of
from training.release.record import Form, folder_bytes
from workspace.errors import Refusal
from workspace.files import sha256_file, write_text
from workspace.folder import Project
from workspace.settings import Settings


def make_prompt(project: Project, settings: Settings, report: Report, folder: Path) -> Form:
    """The chosen arm's text, examples and settings, a function and a request.

    Raises Refusal where a prompt file changed since it was measured.
    """
    arm = next(result for result in report.arms if result.arm == report.chosen)
    _unchanged(project, report)
    material = _material(project, settings, report, named="examples" in arm.settings)
    parts = parts_of(arm.arm, arm.settings, material, settings.model.max_tokens)
    if arm.form == "held":
        parts["note"] = "Measured with the answer held to the closed set; an endpoint needs guided choice for that."
    write_text(folder / PARTS, json.dumps(parts, ensure_ascii=False, indent=1) + "\n")
    write_text(folder / "answer.py", FUNCTION)
    request = ReleasedPrompt(parts).request(PLACE, report.model)
    write_text(folder / "request.json", json.dumps(request, ensure_ascii=False, indent=1) + "\n")
    if parts["prompt"]:
        write_text(folder / "prompt.md", parts["prompt"]["text"] + "\n")
    return Form(
        form="prompt", folder="prompt", bytes=folder_bytes(folder), against="is the arm", facts=_facts(arm, parts)
    )


def _facts(arm: ArmResult, parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "arm": arm.arm,
        "form": arm.form,
        "score": arm.score,
        "low": arm.low,
        "high": arm.high,
        "n": arm.n,
        "settings": arm.settings,
        "examples": len(parts["examples"]),
        "passages": len(parts["documents"]),
    }


def _unchanged(project: Project, report: Report) -> None:
    for name, digest in report.made_from.items():
        path = project.root / name
        if name.startswith("prompts/") and (not path.is_file() or sha256_file(path) != digest):
            raise Refusal(f"{name} changed since {report.id} measured it.", "rung baseline")


def _material(project: Project, settings: Settings, report: Report, *, named: bool) -> Material:
    """What an arm is made of. Where the report names its examples, validation rows count too: a freeze since the
    measuring may have moved one of them there.
    """
    base, prompts = read_prompts(project)
    folder = project.datasets / report.dataset
    rows = rows_for(project, settings, folder, load_split(folder, "test"))
    return Material(
        base=base,
        prompts=prompts,
        proposals=read_proposals(project),
        examples=(*rows.examples, *rows.validation) if named else rows.examples,
        documents=read_documents(project.documents),
        few_shot=settings.evaluation.few_shot,
        retrieved=settings.evaluation.retrieved,
    )
