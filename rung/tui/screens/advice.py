"""Advice: do I follow this next step?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from advisor.decision import Decision
from rung.status.stages import Status
from rung.tui.advice_lines import Page
from rung.tui.loaded import Loaded, LoadedScreen
from rung.tui.messages import StatusRead
from rung.tui.widgets.marked import Entry
from workspace.errors import RungError

EMPTY = "No answers yet. Press 1, or run: rung advise --answers answers.toml"
BROKEN = "No advice is given on a broken rulebook."
SAVED, SAME = "decision.json written", "decision.json is as it was"
STAGE_OF_STEP = {"prompt": 6, "few_shot": 6, "rag": 6, "fine_tune": 7, "rag_and_fine_tune": 7}


class AdviceScreen(LoadedScreen):
    """The decision: next step, likely end, why, why not, what would change it, what is not settled."""

    stage = "Advice"
    keys = (
        ("Enter", "next"),
        ("j/k", "move"),
        ("w", "why"),
        ("e", "change answer"),
        ("o", "report"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "go to the stage that carries out the next step"),
        Binding("e", "answers", "change an answer"),
        Binding("o", "report", "write the HTML report"),
    ]

    data: Decision | None = None
    drawn_with: Mapping[str, float | None] | None = None
    """The measured scores that the lines speak of."""

    class Written(Message):
        """The report was written, or why not."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def heading(self) -> str:
        """With the rulebook's version once it is known."""
        version = f" · rulebook {self.data.rulebook.version}" if self.data else ""
        return f"Advice{version} · {self.source.person}"

    def load(self) -> Loaded:
        """Work the advice out; it takes milliseconds, but the rulebook has to be read."""
        from advisor.decide import decide
        from advisor.project import write_decision
        from advisor.reading import load_answers
        from advisor.rulebook import load_rulebook

        project = self.source.project
        if project is None or not project.answers_file.is_file():
            return Loaded([Entry(), Entry(EMPTY)], "rung advise")
        try:
            book = load_rulebook(project.root / "rules")
        except RungError as error:
            return Loaded([Entry(), *(Entry(line) for line in (*error.message.split("\n"), BROKEN))], "rung advise")
        before = project.decision_file.read_bytes() if project.decision_file.is_file() else b""
        decision = write_decision(project, decide(book, load_answers(project.answers_file), self.source.now().date()))
        self.drawn_with = self._scores
        page = Page(decision, book, self._width, self.drawn_with)
        told = SAME if project.decision_file.read_bytes() == before else SAVED
        return Loaded(list(page.entries()), "rung advise", told, decision)

    @property
    def _scores(self) -> dict[str, float | None]:
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        return status.ladder.scores if status else {}

    @property
    def _width(self) -> int:
        """Columns of a line, without the cursor's two and the one that a scrollbar takes."""
        return max(self.lines.size.width - 3, 40)

    @property
    def _following(self) -> tuple[int, str]:
        """Where Enter goes on, and in which words: what Start names as next, or the stage of this step."""
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        following = status.next if status else None
        if following is not None and following.name not in ("Questions", "Advice"):
            return following.number, following.next or following.reason
        if status is not None and following is None and status.stage("Release").state == "done":
            return 10, "nothing waits for you; what is released (0)"
        number = STAGE_OF_STEP[self.data.next_step] if self.data else 1
        return number, {1: "answer the questions (1)", 6: "measure it (6)", 7: "plan the run (7)"}[number]

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Draw the decision, and what is next."""
        super().show_loaded(message)
        self._say_next()
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        if self.data is not None and status is not None and status.next is not None and status.next.name == "Advice":
            self.app.post_message(StatusRead.Wanted())  # the decision is written now: what is next follows from it

    def show_status(self, status: Status) -> None:
        """What is next follows the status."""
        super().show_status(status)
        self._say_next()
        if self.data is not None and self.drawn_with != status.ladder.scores:
            self.reload()

    def _say_next(self) -> None:
        if self.data is not None:
            self.next = f"Next: {self._following[1]}.   Enter"

    def why_ref(self, key: str) -> str:
        """The rule of the line, or the question that it speaks of."""
        return key.partition(":")[2].partition("=")[0]

    def action_follow(self) -> None:
        """On "Not settled" ask that question, else go where the next step is carried out."""
        if self.data is None:
            self.action_answers()
        elif self.marked.startswith("ask:"):
            self.action_answers(self.marked[4:])
        else:
            self.app.open_stage(self._following[0])  # type: ignore[attr-defined]

    def action_answers(self, question: str = "") -> None:
        """Go to the questions, to this one where it is named."""
        self.app.open_question(question)  # type: ignore[attr-defined]

    def action_report(self) -> None:
        """Write the page that a lead can read, and say where it is."""
        if self.data is not None:
            self._write()

    @work(thread=True, exclusive=True, exit_on_error=False, group="report")
    def _write(self) -> None:
        assert self.source.project is not None
        path = self.source.project.root / "advice.html"
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rung", "advise", "--report", str(path)],
            cwd=self.source.project.root,
            capture_output=True,
            text=True,
            check=False,
        )
        self.post_message(self.Written("advice.html written" if done.returncode == 0 else done.stderr.strip()[:60]))

    @on(Written)
    def _tell_written(self, message: Written) -> None:
        self.tell(message.words)
