"""What a release is: `releases/L-001/release.json`, written last, over files that another machine can check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from training.gate import Override
from workspace.artefact import Artefact
from workspace.files import sha256_file
from workspace.folder import Project

FormName = Literal["prompt", "adapter", "merged", "gguf", "gptq", "awq", "ollama", "vllm", "tgi"]
FORMS: tuple[FormName, ...] = ("prompt", "adapter", "merged", "gguf", "gptq", "awq", "ollama", "vllm", "tgi")
NEEDS: dict[FormName, FormName] = {
    "gguf": "merged",
    "gptq": "merged",
    "awq": "merged",
    "ollama": "gguf",
    "vllm": "merged",
    "tgi": "merged",
}
"""What a form is made from; it is made too where it was not asked for."""

RELEASE = "release.json"
CHAIN = "chain"


class Form(BaseModel):
    """One form of the model in the release: its folder, its size, and how it was found equal to the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    form: FormName
    folder: str
    bytes: int
    against: str = ""
    facts: dict[str, Any] = {}


class Release(Artefact):
    """`releases/L-001/release.json`.

    `files` lists every other file of the folder by SHA-256; `chain/` holds copies of the artefacts that it was made
    from, and `made_from` names them as the project does. `verdict` is the ruling that allowed it; `by` and `reason`
    the person who decided a judgement or signed.
    """

    id: str
    run: str | None = None
    dataset: str = ""
    base: str = ""
    arm: str | None = None
    verdict: str = ""
    by: str = ""
    reason: str = ""
    overrides: list[Override] = []
    forms: list[Form]
    files: dict[str, str]


def list_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder` but release.json, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / RELEASE)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def number_of(name: str) -> int:
    """`L-012` -> 12; 0 where it is no release's name."""
    found = re.fullmatch(r"L-(\d+)", name)
    return int(found[1]) if found else 0


def release_names(project: Project) -> list[str]:
    """The ids of all complete releases, oldest first."""
    return sorted(filter(number_of, (p.parent.name for p in project.releases.glob(f"L-*/{RELEASE}"))), key=number_of)
