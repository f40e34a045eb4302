"""Starts a project folder: the files that a person edits, with words that explain them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import RungError
from workspace.files import check_place, write_text
from workspace.folder import Project

SETTINGS = """# Settings of this project. Every key is checked; a key that is not here has its default.
# The environment (RUNG_SECTION__KEY) and flags override, in that order.

[project]
name = {name}

[model]
base = "embedded"          # SmolLM2-135M-Instruct, or a local folder, a hub id, a hosted model's name
provider = "local"         # local, anthropic, openai (any compatible server, with base_url)

[review]
pool = "sample"            # all, sample, trust: which of your own rows are queued for review
sample = 149               # 149 rows without an error show an error rate under 2% with 95% confidence

[dataset]
validation = 0.1
test = 0.1
licence = "unknown"

[evaluation]
metric = "exact_match"
margin = 0.05              # required lead of a tuned model over the best prompt (0.05 = 5 points)
"""

GUIDELINE = """# Guideline

What reviewers go by. Every version is kept, and each decision cites the version it was made under.

1. What a right answer looks like, with an example.
2. What makes an answer wrong.
3. What to do when the question cannot be answered: reject it, with the reason "the question is unclear".
"""

PROMPT = """You answer one question at a time. Answer with the answer only.
"""

FILES = {"guideline.md": GUIDELINE, "prompts/prompt.md": PROMPT}


@dataclass(frozen=True, slots=True)
class Started:
    """The project, the files that were written, and those that existed already."""

    project: Project
    written: list[str]
    kept: list[str]


def start_project(folder: Path) -> Started:
    """Make `folder` a project. Existing files stay as they are.

    Raises RungError where it is one already, is not a folder, or is where another project's stages write.
    """
    project = Project(folder.resolve())
    if folder.exists() and not folder.is_dir():
        raise RungError(f"{folder} is a file, not a folder.", "rung init DIR")
    if project.settings_file.exists():
        raise RungError(f"{project.root} is already a Rung project.", "rung status")
    check_place(folder)
    written, kept = [], []
    files = {**FILES, "rung.toml": SETTINGS.format(name=json.dumps(project.name))}
    for name, text in files.items():
        if (project.root / name).exists():
            kept.append(name)
        else:
            write_text(project.root / name, text)
            written.append(name)
    return Started(project, written, kept)


def guideline_is_untouched(project: Project) -> bool:
    """Whether guideline.md is still the one that a new project gets: reviewers have nothing to go by then."""
    file = project.root / "guideline.md"
    return file.is_file() and file.read_text(encoding="utf-8", errors="replace") == GUIDELINE
