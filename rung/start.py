"""Starts a project folder: the files that a person edits, with words that explain them."""

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

from workspace.counted import counted
from workspace.errors import RungError
from workspace.files import check_place, write_text
from workspace.folder import Project
from workspace.settings import Settings

NEW = Path(__file__).parent / "new_project"
PROMPT_FILE = "prompts/prompt.md"
FILES = {name: (NEW / name).read_text(encoding="utf-8") for name in ("guideline.md", PROMPT_FILE)}
GUIDELINE = FILES["guideline.md"]
PROMPT_MOST = 8_000
"""Characters of a drafted prompt at most: a longer guideline is left out, more labels are left to the person."""


@dataclass(frozen=True, slots=True)
class Started:
    """The project, the files that were written, and those that existed already."""

    project: Project
    written: list[str]
    kept: list[str]


def start_project(folder: Path) -> Started:
    """Make `folder` a project. Existing files stay as they are.

    Raises RungError if it is one already, is not a folder, or is where another project's stages write.
    """
    project = Project(folder.resolve())
    if folder.exists() and not folder.is_dir():
        raise RungError(f"{folder} is a file, not a folder.", "rung init DIR")
    if project.settings_file.exists():
        raise RungError(f"{project.root} is already a Rung project.", "rung status")
    check_place(folder)
    written, kept = [], []
    settings = (NEW / "rung.toml").read_text(encoding="utf-8").format(name=json.dumps(project.name))
    files = {**FILES, "rung.toml": settings}
    for name, text in files.items():
        if (project.root / name).exists():
            kept.append(name)
        else:
            write_text(project.root / name, text)
            written.append(name)
    return Started(project, written, kept)


def guideline_is_untouched(project: Project) -> bool:
    """True if guideline.md is still the template of a new project: then reviewers have no guidance."""
    return _is_untouched(project, "guideline.md")


def prompt_words(project: Project) -> str:
    """Return the start of the prompt file, with its number of lines; empty if there is none."""
    file = project.root / PROMPT_FILE
    if not file.is_file():
        return ""
    if _is_untouched(project, PROMPT_FILE):
        return "still the one of rung init"
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["(empty)"]
    return f"{textwrap.shorten(lines[0], 26, placeholder='...')} ({counted(len(lines), 'line')})"


def draft_prompt(project: Project, settings: Settings) -> list[str]:
    """Write the first prompt where answers are labels; returns what it was drafted from, empty if it was not.

    Only while prompts/prompt.md is the one that a new project gets; that one is kept in `prompts/old/`. Labels are
    those of rows outside the test set.
    """
    from evaluation.arms.arm_material import keep_versions

    if not _is_untouched(project, PROMPT_FILE):
        return []
    labels = _labels(project, settings)
    text = "\n".join(("Answer with one of these labels and nothing else:", *labels))
    if len(labels) < 2 or len(text) > PROMPT_MOST or any("\n" in label for label in labels):
        return []
    drafted = [counted(len(labels), "label")]
    if project.guideline_file.is_file() and not guideline_is_untouched(project):
        guideline = project.guideline_file.read_text(encoding="utf-8", errors="replace").strip()
        if guideline and len(text) + len(guideline) <= PROMPT_MOST:
            text += f"\n\nGo by this guideline:\n\n{guideline}"
            drafted.append(project.guideline_file.name)
    keep_versions(project)
    write_text(project.root / PROMPT_FILE, text + "\n")
    return drafted


def _labels(project: Project, settings: Settings) -> list[str]:
    """Return the labels of rows outside the test set, without unaccepted drafts; none where answers are texts."""
    from curation.split.manifest import newest_dataset, read_manifest
    from curation.store import open_store
    from evaluation.bench import closed_set

    folder = newest_dataset(project)
    tested = {row["id"] for row in read_manifest(folder).rows if row.get("split") == "test"} if folder else set()
    with open_store(project, settings) as store:
        known = [
            row.example
            for row in store.each(excluded=False)
            if row.role != "test" and row.id not in tested and row.state != "rejected"
            if row.role != "candidates" or row.is_reviewed
        ]
    return list(closed_set(project, known, settings.evaluation))


def _is_untouched(project: Project, name: str) -> bool:
    file = project.root / name
    return file.is_file() and file.read_text(encoding="utf-8", errors="replace") == FILES[name]
