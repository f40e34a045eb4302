"""Looks at a test set: how often it was scored or seen, and the planned number of runs. An honest 95% depends on them.

The number of runs is fixed, as an event, before the first is scored. Each run that is scored takes a place, and so does
each look at test items before the last planned run; a run beyond the plan cannot ship. Older versions count too if they
were scored or seen: a hash that changed makes no item new.

Whoever corrects only the items that a model got wrong makes that model look better. So after a test set was scored or
read, its labels may change only among rows that a blind review drew (`recheck_labels`); a baseline on others'
corrections is refused.
"""

import random
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from curation.example import Example
from curation.split.manifest import Manifest, load_split, newest_dataset, read_manifest
from curation.store import Event, Store, open_store, store_exists
from evaluation.measurement_report import Report, reports
from evaluation.verdict.intervals import CONFIDENCE
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project, by_number, oldest_first
from workspace.settings import Settings, load_settings

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


PLANNED, SCORED, LOOKED, RECHECKED = "test_planned", "test_scored", "test_look", "test_recheck"
"""Kinds of event; `ref` is the test split's sha256."""


@dataclass(frozen=True, slots=True)
class ScoringHistory:
    """A test set so far: runs planned for it, scorings in order, looks at its items; and the metric and the margin that
    were named before the first (empty and None if none was).

    A scoring is named by its run; by `R-001 as NAME` where a server was asked for it by that name, by `R-001 by chrf`
    where another metric than the named one was used, and by `R-001 on v001` where it was on an older version whose
    items are most of these, but not the same.
    """

    planned: int
    runs: tuple[str, ...] = ()
    looks: int = 0
    seen: tuple[int, ...] = ()
    """Looks before each scoring; 0 if there is none."""
    metric: str = ""
    margin: float | None = None

    @property
    def confidence(self) -> float:
        """Return the confidence of each planned run's interval: 1 - .05/k, so that all k hold together (Bonferroni)."""
        return confidence_for(self.planned)

    @property
    def is_open(self) -> bool:
        """True if the last planned run was scored: its items may now be read without harm to the plan."""
        return len(self.runs) >= self.planned

    def scoring(self, run: str, metric: str) -> str:
        """Return the name of a scoring of `run` by `metric`."""
        return f"{run} by {metric}" if self.metric and metric != self.metric else run

    def place(self, scoring: str) -> int:
        """Return the number of this scoring of the test set, from 1, looks counted; a repeated one keeps its number."""
        if scoring not in self.runs:
            return len(self.runs) + 1 + self.looks
        before = self.runs.index(scoring)
        return before + 1 + (self.seen[before] if before < len(self.seen) else 0)

    def may_ship(self, scoring: str) -> bool:
        """True if it is one of the planned runs."""
        return self.place(scoring) <= self.planned


def confidence_for(planned: int) -> float:
    """1 - .05/k."""
    return 1 - (1 - CONFIDENCE) / planned


def standing(project: Project, settings: Settings, test_sha256: str) -> ScoringHistory:
    """Return the scoring history of a test set and its older versions: store events, and reports older than these."""
    events, runs = list[Event](), [report for report in reports(project) if report.kind == "run"]
    if store_exists(project, settings):
        with open_store(project, settings) as store:
            events = [event for kind in (PLANNED, SCORED, LOOKED, RECHECKED) for event in store.events(kind=kind)]
    seen = {r.test_sha256 for r in runs} | {e.ref for e in events if e.kind in (SCORED, LOOKED)}
    drawn = {str(row) for event in events if event.kind == RECHECKED for row in event.detail["rows"]}
    older = older_tests(project, test_sha256, seen, drawn)
    versions = {**{o.test_sha256: "" if o.same else f" on {o.version}" for o in older}, test_sha256: ""}
    events = [event for event in events if event.ref in versions]
    plan = next((event.detail for event in events if event.kind == PLANNED), {})
    scored = [each for sha in versions for each in _scored(sha, events, runs)]
    found = ScoringHistory(
        planned=int(plan.get("runs", settings.evaluation.runs)),
        looks=sum(event.kind == LOOKED for event in events),
        metric=str(plan.get("metric") or next((metric for (_, _, metric), _ in scored if metric), "")),
        margin=plan.get("margin"),
    )
    first: dict[str, int] = {}
    for (sha, run, metric), at in scored:
        first.setdefault(found.scoring(run, metric or found.metric) + versions[sha], at)
    looks = [event.id for event in events if event.kind == LOOKED]
    return replace(found, runs=tuple(first), seen=tuple(sum(look < at for look in looks) for at in first.values()))


def _scored(sha: str, events: Sequence[Event], measured: Sequence[Report]) -> list[tuple[tuple[str, str, str], int]]:
    """Test set, run and metric of each scoring, and its event's number: reports without an event (0), then events."""
    told = [
        ((sha, str(e.detail["run"]), str(e.detail.get("metric", ""))), e.id)
        for e in events
        if (e.kind, e.ref) == (SCORED, sha)
    ]
    named = {scoring for scoring, _ in told}
    runs = {run for _, run, metric in named if not metric}
    known = [(sha, r.scored, r.metric) for r in measured if r.test_sha256 == sha and r.scored not in runs]
    return [*((each, 0) for each in known if each not in named), *told]


def take_place(project: Project, settings: Settings, test_sha256: str, run: str) -> ScoringHistory:
    """Fix the plan if it is the first run, and note that `run` is being scored; before the test is answered.

    A killed scoring keeps its place: its partial answers may have been read.
    """
    before, wanted = standing(project, settings, test_sha256), settings.evaluation
    margin = before.margin
    if margin is None:  # the environment asks for more than rung.toml, never for less
        margin = max(wanted.margin, load_settings(project.settings_file, {}).evaluation.margin)
    plan = {"runs": before.planned, "metric": before.metric or wanted.scored_by, "margin": margin}
    scoring = {"run": run, "metric": wanted.scored_by}
    with open_store(project, settings) as store:
        if not store.events(kind=PLANNED, ref=test_sha256):
            store.event(PLANNED, settings.project.person, ref=test_sha256, detail=plan)
        if before.scoring(run, wanted.scored_by) not in before.runs:
            store.event(SCORED, settings.project.person, ref=test_sha256, detail=scoring)
    return standing(project, settings, test_sha256)


def note_look(project: Project, settings: Settings, report: Report) -> bool:
    """Record that test items are shown; True if that counts: while planned runs are not all scored."""
    before = standing(project, settings, report.test_sha256)
    if before.is_open:
        return False
    with open_store(project, settings) as store:
        store.event(LOOKED, settings.project.person, ref=report.test_sha256, detail={"report": report.id})
    return True


def split_to_show(project: Project, settings: Settings, test_sha256: str) -> Literal["test", "validation"]:
    """Return the split that may be shown: validation until the last planned run was scored, or a look counted."""
    now = standing(project, settings, test_sha256)
    return "test" if now.is_open or now.looks else "validation"


FEWEST = 20
"""Rows that a sample has at least: one at a time would be picking."""


@dataclass(frozen=True, slots=True)
class Relabelling:
    """Rows that wait for their second review, of how many test rows, and the queue change that undo takes back."""

    rows: int
    of: int
    change: int


def recheck_labels(project: Project, settings: Settings, wanted: str) -> Relabelling:
    """Queue a random sample of the newest test set's rows, or `all`, for another review.

    Raises RungError for a number that is none or too small, Refusal where the rows are not in the store.
    """
    folder = newest_dataset(project)
    if folder is None or "test" not in read_manifest(folder).splits:
        raise Refusal("No test set is frozen yet.", "rung data freeze --test-only")
    ids = list(stored_ids(read_manifest(folder)).values())
    if not ids or not store_exists(project, settings):
        raise Refusal(f"The test rows of {folder.name} are not in the store.", "rung data import FILE --as test")
    least = min(FEWEST, len(ids))
    if wanted != "all" and (not wanted.isdecimal() or int(wanted) < least):
        raise RungError(
            f'--recheck "{wanted}": a number of random rows, {least} at least, or all.',
            expected=f"{least} to {len(ids)}, or all",
            found=wanted,
        )
    count = len(ids) if wanted == "all" else min(int(wanted), len(ids))
    test_sha = read_manifest(folder).splits["test"].sha256
    with open_store(project, settings) as store:
        before = len(store.events(kind=RECHECKED, ref=test_sha))
        drawn = random.Random(f"{test_sha}{before}").sample(sorted(ids), count)
        change = store.queue(drawn, "test labels, a second time", "reopened", actor=settings.project.person)
        store.event(RECHECKED, settings.project.person, test_sha, {"rows": sorted(drawn), "of": len(ids)})
    return Relabelling(len(drawn), len(ids), change)


def check_corrections(project: Project, settings: Settings, folder: Path) -> None:
    """Raise Refusal if test labels differ from those of a scored or seen version, in rows no blind re-review drew."""
    if not store_exists(project, settings):
        return
    labels = _labels(folder)
    with open_store(project, settings) as store:
        drawn = {row for event in store.events(kind=RECHECKED) for row in event.detail["rows"]}
        for older in oldest_first(project.datasets.glob("*/manifest.json")):
            if by_number(older.parent) >= by_number(folder) or "test" not in read_manifest(older.parent).splits:
                continue
            changed = _changed(store, older.parent, labels, drawn)
            if changed:
                raise Refusal(
                    f"{len(changed)} test labels ({', '.join(changed[:3])}) were corrected after the test set of "
                    f"{older.parent.name} was scored or seen, outside of a blind review of a random sample or of all.",
                    "rung evaluate --recheck all",
                )


def _changed(store: Store, older: Path, labels: dict[str, str | None], drawn: Collection[str]) -> list[str]:
    """Return rows of an older, scored test set whose label is another now, also where the row was imported again."""
    events = store.events(ref=read_manifest(older).splits["test"].sha256)
    if not any(event.kind in (SCORED, LOOKED) for event in events):
        return []
    ids = stored_ids(read_manifest(older))
    found = []
    for line, row in enumerate(load_split(older, "test"), 1):
        name, question = ids.get(line, ""), folded(row.question)
        now = labels[name] if name in labels else labels.get(question, row.answer)
        if now != row.answer and name not in drawn:
            found.append(name or f"line {line}")
    return sorted(found)


def _labels(folder: Path) -> dict[str, str | None]:
    """Return answers of the test rows, by id in the store and by question."""
    ids, rows = stored_ids(read_manifest(folder)), load_split(folder, "test")
    named = {ids[line]: row.answer for line, row in enumerate(rows, 1) if line in ids}
    return {**{folded(row.question): row.answer for row in rows}, **named}
