"""Older versions of a test set that were scored or seen: a hash that changed makes no item new."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from curation.example import Example
from curation.split.manifest import Manifest, read_manifest
from evaluation.measurement_report import reports
from workspace.errors import Refusal
from workspace.files import sha256_file
from workspace.folder import Project, by_number, oldest_first

FRESH = 0.5
"""A test set is fresh where more than this share of its items was never scored: fewer, and scoring it again after each
few new items would be asking until the answer suits.
"""
GONE = "(gone from datasets/)"
_APOSTROPHES = "'’‘`´"
_SIGNS = "*/&%#@"
"""Punctuation that changes a question; mathematical signs do not count as punctuation."""
_INSIDE = re.compile(r"(?<=\d)[.,](?=\d)|(?<!\w)[-\u2212](?=[\d.])")
"""Decimal marks, and the minus of a number."""

Frozen = tuple[Path, Manifest]
"""A version's folder and its manifest."""


@dataclass(frozen=True, slots=True)
class Older:
    """A scored version's test set. `same`: it has today's items (a blind re-review may have removed rows)."""

    version: str
    test_sha256: str
    same: bool


def older_tests(
    project: Project, test_sha256: str, scored: Collection[str], drawn: Collection[str]
) -> tuple[Older, ...]:
    """Return the scored test sets that this one repeats, oldest first; none where most of its items are new.

    `scored` are the SHA-256 of test splits that were scored or seen, `drawn` ids of rows that a blind re-review drew.
    One whose version is no longer in datasets/ counts as repeated: nobody can tell that it is not.
    Raises Refusal if its file alone is gone, or is not the one that was frozen.
    """
    wanted = set(scored) - {test_sha256}
    if not wanted:
        return ()
    folders = [path.parent for path in oldest_first(project.datasets.glob("*/manifest.json"))]
    tests = [(folder, manifest) for folder in folders if "test" in (manifest := read_manifest(folder)).splits]
    own = next((pair for pair in tests if pair[1].splits["test"].sha256 == test_sha256), None)
    if own is None:
        return ()
    earlier = {m.splits["test"].sha256: (f, m) for f, m in reversed(tests) if m.splits["test"].sha256 in wanted}
    gone = sorted(wanted - {manifest.splits["test"].sha256 for _, manifest in tests})
    told = {report.test_sha256: report.dataset for report in reports(project)} if gone else {}
    lost = [Older(f"{told.get(sha, 'a version')} {GONE}", sha, False) for sha in gone]
    return (*lost, *_repeated(own, earlier, drawn))


def _repeated(own: Frozen, earlier: Mapping[str, Frozen], drawn: Collection[str]) -> tuple[Older, ...]:
    here = set(questions(*own))
    before = {sha: questions(*pair) for sha, pair in earlier.items()}
    seen = here & {question for each in before.values() for question in each}
    if len(seen) < FRESH * len(here):
        return ()
    made = []
    for sha, asked in before.items():
        if here & asked.keys():
            gone = {name or question for question, name in asked.items() if question not in here}
            made.append(Older(earlier[sha][1].version, sha, here <= asked.keys() and gone <= set(drawn)))
    return tuple(sorted(made, key=lambda older: by_number(Path(older.version))))


def stored_ids(manifest: Manifest) -> dict[int, str]:
    """Return the id in the store by line of the test split, of the rows that have one."""
    return {int(row["line"]): str(row["id"]) for row in manifest.rows if row.get("split") == "test" and row.get("id")}


def questions(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Return each test question, folded, with its id in the store ("" for none). Raises Refusal for a changed file."""
    ids, entry = stored_ids(manifest), manifest.splits["test"]
    path = folder / entry.file
    fault = "gone" if not path.is_file() else "changed" if sha256_file(path) != entry.sha256 else ""
    if fault:
        raise Refusal(
            f"{path}: {fault} since it was frozen, so its share of a later test set is unknown.",
            "put the file back as it was frozen",
        )
    lines = enumerate(path.read_text("utf-8").split("\n"), 1)
    return {folded(Example.from_json(line).question): ids.get(n, "") for n, line in lines if line}


def folded(text: str) -> str:
    """Return the text without what makes no question new: case, white space, width of letters, invisible characters,
    and punctuation. Signs that change what is asked stay (`C++`, `-1`, `1.5`); a text of nothing else is left as it is.
    """
    wide = unicodedata.normalize("NFKC", text).casefold()
    kept = {match.start() for match in _INSIDE.finditer(wide)}
    seen = "".join(char if place in kept else _without_marks(char) for place, char in enumerate(wide))
    return " ".join(unicodedata.normalize("NFC", seen).split()) or " ".join(wide.split())


def _without_marks(char: str) -> str:
    """Return "" for an invisible character or an apostrophe, a space for other punctuation, else the character."""
    kind = unicodedata.category(char)
    if kind == "Cf" or char in _APOSTROPHES:
        return ""
    return " " if kind[0] == "P" and char not in _SIGNS else char
