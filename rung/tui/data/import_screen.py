"""Import: the line after `i`, a file whose name Tab completes; then its columns and first rows as a table, before
anything is stored; keys choose question and answer.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from curation.mask import cut_apart, mask
from curation.rows import Columns
from curation.rows.preview import FilePreview, RowPreview
from rung.symbols import drawn
from rung.tui.safe_screen import LeavingModal
from rung.tui.widgets.lines import Entry, MarkedLines, shown
from workspace.errors import RungError

ROLES = {
    "pool": "the freeze divides it into train, validation and test",
    "test": "only measured, never trained on",
    "train": "only trained on",
    "validation": "settings are chosen on it",
    "candidates": "taken only after review",
}
"""Uses of an import, in the order in which `t` cycles through them."""
EXAMPLE = "claims.jsonl, tickets.csv; Tab completes"


def file_of(line: str) -> str:
    """Return the file of a line, without the quotes of a shell and with the home folder written out."""
    file = line.strip()
    if len(file) > 1 and file[0] == file[-1] and file[0] in "'\"":
        file = file[1:-1]
    return str(Path(file).expanduser()) if file.startswith("~/") else file


def arguments(file: str, role: str, columns: Columns) -> list[str]:
    """Return `data import` with its arguments; unreadable lines go to a file beside the project's own."""
    named = [("--question", columns.question), ("--answer", columns.answer)]
    words = [word for option, name in named if name for word in (option, name)]
    return ["data", "import", file, "--as", role, "--rejects", "rejects.jsonl", *words]


def names_like(line: str, folder: Path) -> list[str]:
    """Return the files and folders that the line's name begins, in order; a folder ends in `/`."""
    head, tail = os.path.split(line)
    try:
        return sorted(
            each.name + "/" * each.is_dir()
            for each in (folder / Path(head).expanduser()).iterdir()
            if each.name.startswith(tail) and (tail.startswith(".") or not each.name.startswith("."))
        )
    except OSError:
        return []


def completed(line: str, names: Sequence[str]) -> str:
    """Return the line with its name completed as far as all of `names` agree."""
    if not names:
        return line
    return line.removesuffix(os.path.split(line)[1]) + os.path.commonprefix(names)  # noqa: RUF071 - letters, not folders


CELL = 300
"""Characters of a cell that are shown."""
KEYS = "j/k move   1 question   2 answer   t used as   Enter import   Esc cancel"
PLAIN_KEYS = "t used as   Enter import   Esc cancel"


class ImportScreen(LeavingModal[tuple[Columns, str] | None]):
    """Ends with the chosen columns and the role, or with None if nothing is to be imported."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "name('question')", "the marked column is the question"),
        Binding("2", "name('answer')", "the marked column is the answer"),
        Binding("t", "role", "what the rows are used as: pool, test, train, ..."),
        Binding("j,down", "move(1)", "next column"),
        Binding("k,up", "move(-1)", "column before"),
        Binding("enter", "take", "import the file"),
        Binding("escape,q", "dismiss(None)", "cancel; nothing is imported"),
    ]

    def __init__(self, file: FilePreview, columns: Columns) -> None:
        super().__init__()
        self.file, self.columns, self.role = file, columns, next(iter(ROLES))
        self.rows: list[RowPreview] = []

    def compose(self) -> ComposeResult:
        """Yield columns above, rows below, keys at the foot."""
        with Vertical():
            yield Static(id="name")
            with VerticalScroll(can_focus=False):
                yield MarkedLines(id="columns")
                yield Static(id="rows")
            yield Static(Text(drawn(KEYS if self.file.columns else PLAIN_KEYS), style="dim"))

    def on_mount(self) -> None:
        """Begin at the column that is missing, else at the question."""
        self._changed(self.columns.question)

    def _entries(self) -> Iterator[Entry]:
        names = [shown(name, limit=30) for name in self.file.columns]
        width = max(map(len, names), default=0)
        named = {self.columns.question: "question", self.columns.answer: "answer"}
        for column, name in zip(self.file.columns, names, strict=True):
            cells = " | ".join(
                filter(None, (mask(cut_apart(each.get(column, ""), CELL)) for each in self.file.records))
            )
            first = " ".join(shown(cells).split())
            room = max(self.app.size.width - width - 24, 10)
            text = f"{name:<{width}}  {named.get(column, ''):<8}  {first[:room]}"
            yield Entry(text, column, "best" if column in named else "")

    def _changed(self, marked: str = "") -> None:
        """Show the choice at once; the rows follow once they are read."""
        self.query_one("#columns", MarkedLines).show(list(self._entries()), marked)
        title = f"{shown(self.file.path.name)}   {self.role}: {ROLES[self.role]}"
        self.query_one("#name", Static).update(Text(drawn(f"{title}\n"), style="bold"))
        self._read()

    @work(exclusive=True, exit_on_error=False, group="rows")
    async def _read(self) -> None:
        """Show the rows as they would be imported, or why they cannot be read."""
        problem = ""
        try:
            self.rows = await asyncio.to_thread(self.file.rows, self.columns)
        except RungError as error:
            self.rows, problem = [], f"{error.message}\n-> {error.hint}" if error.hint else error.message
        lines = ["", "The first rows:"] if self.rows else [""]
        for row in self.rows:
            question, answer = (" ".join(shown(mask(text), limit=CELL).split()) for text in (row.question, row.answer))
            lines += [f"  ! {row.problem}"] if row.problem else [f"  {question}", f"    -> {answer or '(no answer)'}"]
        if self._misses:
            lines = ["", "Mark the column of the question and press 1, then that of the answer and press 2."]
        elif problem:
            lines += [problem]
        said = self.query_one("#rows", Static)
        said.set_class(bool(self.rows), "cut")
        said.update(Text(drawn("\n".join(lines))))

    @property
    def _misses(self) -> bool:
        return self.file.needs(self.columns)

    def action_name(self, part: str) -> None:
        """Set the selected column as the question or the answer, never both."""
        column = self.query_one("#columns", MarkedLines).marked
        if column:
            other = {"question": "answer", "answer": "question"}[part]
            kept = "" if getattr(self.columns, other) == column else getattr(self.columns, other)
            self.columns = replace(self.columns, **{part: column, other: kept})
            self._changed()

    def action_role(self) -> None:
        """Use the rows as something else."""
        roles = list(ROLES)
        self.role = next(islice(cycle(roles), roles.index(self.role) + 1, None))
        self._changed()

    def action_move(self, step: int) -> None:
        """Mark another column."""
        self.query_one("#columns", MarkedLines).move(step)

    def action_take(self) -> None:
        """Import, once a table's question and answer are known."""
        if not self._misses:
            self.dismiss((self.columns, self.role))
