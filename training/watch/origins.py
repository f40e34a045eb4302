"""The release that each import of logs was made with: its prompt is what stands in the requests, and it may be gone."""

from __future__ import annotations

from collections.abc import Iterable

from training.release.record import RELEASE, Release
from training.watch.material import Standing, released, standing_of
from training.watch.record import Import, Logged
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings

PROMPT = "prompt/prompt.json"
STALE_HINT = "rung restore, or remove watch/{name} and import its logs again"


class Origins:
    """Which release a request `W-001:17` was sent to; `stale` says by import why that cannot be told any more."""

    def __init__(self, project: Project, settings: Settings, imports: Iterable[Import]) -> None:
        self.project, self.settings = project, settings
        self.releases = {made.id: made.release for made in imports}
        self.stale = {made.id: why for made in imports if (why := why_stale(project, made))}
        self._known: dict[str | None, Standing] = {}

    def of(self, ref: str) -> Standing:
        """The release with its dataset; the one that stands for an import from before the first release.

        Raises Refusal where the import is stale, or nothing is released.
        """
        name = ref.partition(":")[0]
        if name in self.stale:
            raise stale_refusal(self.stale)
        release = self.releases[name]
        if release not in self._known:
            self._known[release] = self._standing(release)
        return self._known[release]

    def question(self, each: Logged, instead: Standing) -> str:
        """The question as a row would have it; of a stale import as if it had been sent to `instead`."""
        stale = each.ref.partition(":")[0] in self.stale
        return (instead if stale else self.of(each.ref)).turns.question(each.messages)

    def _standing(self, name: str | None) -> Standing:
        if name is None:
            return released(self.project, self.settings)
        folder = self.project.releases / name
        return standing_of(self.project, self.settings, folder, read_artefact(folder / RELEASE, Release))


def why_stale(project: Project, made: Import) -> str:
    """Why this import's release is not what it was; empty where it is."""
    if made.release is None:
        return ""
    path = project.releases / made.release / RELEASE
    if not path.is_file():
        return f"{made.release}, which it was made with, is gone"
    changed = f"{made.release}, which it was made with, was changed"
    before = made.made_from.get(path.relative_to(project.root).as_posix())
    if before is not None and sha256_file(path) != before:
        return changed
    release, prompt = read_artefact(path, Release), path.parent / PROMPT
    listed = release.files.get(PROMPT)
    if listed is not None and not (prompt.is_file() and sha256_file(prompt) == listed):
        return changed
    if release.dataset and not (project.datasets / release.dataset / "manifest.json").is_file():
        return f"{release.dataset}, the dataset of {release.id}, is gone"
    return ""


def stale_words(name: str, why: str) -> str:
    """The sentence that is said everywhere of such an import."""
    return f"{name} is stale: {why}."


def stale_refusal(stale: dict[str, str]) -> Refusal:
    """Every stale import with its reason, and the way out."""
    said = " ".join(stale_words(name, why) for name, why in stale.items())
    return Refusal(said, STALE_HINT.format(name=next(iter(stale))))
