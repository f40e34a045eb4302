"""Dataset: freeze this?"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from curation.split.manifest import Manifest, newest_dataset, read_manifest
from curation.store import open_store, store_exists
from rung.text.power_text import small_words
from rung.tui.async_list import LoadedLines, LoadedScreen, locked, press
from rung.tui.data.row_work import Foreseen, foreseen
from rung.tui.job import JobEnded
from rung.tui.widgets.lines import Entry
from workspace.files import sha256_file
from workspace.folder import Project, next_id

MOST = 6


class DatasetScreen(LoadedScreen):
    """Rows by source and state, the splits, what the freeze refuses and which rows; Enter freezes."""

    stage = "Dataset"
    keys = (
        ("Enter", "freeze"),
        ("t", "test set"),
        ("j/k", "move"),
        ("w", "why"),
        ("[ ]", "stage"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "freeze", "freeze the rows shown; if they are frozen already, the next step"),
        Binding("t", "test_only", "only the test set, or the whole dataset"),
        Binding("r", "reload", "reload"),
    ]

    test_only: bool | None = None
    version = ""
    """The version that would be frozen."""

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys; if there is nothing to freeze, Enter goes on."""
        return (("Enter", "next"), *self.keys[1:]) if self.goes_on else self.keys

    def load(self, project: Project) -> LoadedLines:
        """Plan the freeze; nothing is written."""
        settings = self.source.settings
        if not store_exists(project, settings):
            return locked("no rows yet.", 3, "rung data import FILE", "rung data freeze")
        folder = newest_dataset(project)
        manifest = read_manifest(folder) if folder else None
        alone = manifest is None if self.test_only is None else self.test_only
        with open_store(project, settings) as store:
            counts = store.counts()
        plan = self.beside(foreseen, project, settings, alone)
        entries = [
            Entry(),
            *_done(sha256_file(folder / "manifest.json") if folder else "", manifest),
            *_rows(counts),
            Entry(),
        ]
        what = "the test set only" if alone else "train, validation and test"
        entries += [Entry(f"Same as {plan.same}: {what}" if plan.same else f"To be frozen: {what}")]
        entries += [Entry(f"  {name:<12} {n:>7,} rows{_small(name, n)}") for name, n in plan.sizes.items()]
        entries += [Entry(), *_blockers(plan.blockers)]
        entries += [Entry(line, "", "bold") for line in plan.failed]
        command = "rung data freeze --test-only" if alone else "rung data freeze --leave-out-undecided"
        self.version = next_id(project.datasets, "v")
        if plan.blockers:
            opener = plan.blockers[0].opener.partition("   ")[0]
            words = press(opener, 4) if opener.startswith("rung ") else opener
        else:
            words = f"freeze {f'the test set, as {self.version}' if plan.test_only else self.version}.   Enter"
        ending = [] if self._is_done(plan) else [Entry(), Entry(f"Next: {words}", "", "bold")]
        return LoadedLines([*entries, *ending], command, data=plan, goes_on=self._is_done(plan))

    @staticmethod
    def _is_done(plan: Foreseen) -> bool:
        return bool(plan.same) and not plan.blockers

    def why_ref(self, key: str) -> str:
        """Return a row, or the gate that looks at a frozen dataset."""
        return key.partition(":")[2] or "dataset"

    def action_test_only(self) -> None:
        """Change between the test set alone and the whole."""
        self.test_only = not (self.data.test_only if self.data is not None else True)
        self.reload()

    def action_reload(self) -> None:
        """Plan it again."""
        self.ended = f"reloaded {self.source.clock()}"
        self.reload()

    def action_freeze(self) -> None:
        """Freeze, after asking once; what stops it is said instead."""
        if self.data is None:
            self.repeat_lock()
            return
        if self.data.blockers:
            self.tell(f"Locked: {self.data.blockers[0].text} -> {self.data.blockers[0].opener}")
            return
        if self._is_done(self.data):
            self.go_on()
            return
        sizes = self.data.sizes
        rows = f"{sum(sizes.values()):,} rows, {sizes.get('test', 0):,} for test"
        freeze = partial(self.start_job, *self.command.split()[1:])
        self.ask_once(f"Freeze {self.version}: {rows}? It cannot be changed.", freeze)

    def job_ended(self, ended: JobEnded) -> None:
        """Show what is frozen now."""
        self.test_only = None
        self.reload()


def _done(sha256: str, manifest: Manifest | None) -> Iterator[Entry]:
    if manifest is not None and sha256:
        sizes = ", ".join(f"{split.rows:,} {name}" for name, split in manifest.splits.items())
        yield Entry(f"{manifest.version} is frozen: {sizes}, {sha256[:8]}.")
        yield Entry()


def _small(split: str, rows: int) -> str:
    said = small_words(rows) if split == "test" else ""
    return f"   {said}" if said else ""


def _rows(counts: dict[str, dict[str, int]]) -> Iterator[Entry]:
    yield Entry("Rows         kept  decided  waiting  taken out")
    for role, states in counts.items():
        out = states.get("excluded", 0)
        waiting = sum(states.get(name, 0) for name in ("pending", "leased", "skipped", "unsure"))
        decided = sum(states.get(name, 0) for name in ("approved", "edited", "rejected"))
        kept = sum(states.values()) - out
        yield Entry(f"  {role:<10}{kept:>5,}{decided:>9,}{waiting:>9,}{out:>11,}")


def _blockers(blockers: tuple) -> Iterator[Entry]:  # type: ignore[type-arg]
    for blocker in blockers[:3]:
        what = blocker.text.partition(": r-")[0].rstrip(".")  # its rows are in the next line
        yield Entry(f"✗ {what}.", f"blocker:{blocker.rows[0] if blocker.rows else ''}", "bold")
        yield Entry(f"  rows {', '.join(blocker.rows[:MOST])}{' ...' if len(blocker.rows) > MOST else ''}")
        yield Entry(f"  -> {blocker.opener}")
    if not blockers:
        yield Entry("✓ ready to freeze")
