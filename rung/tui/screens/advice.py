"""Advice: do I follow this next step?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from advisor.decision import Decision, Reason
from rung.cli.advice_words import OPTION, certainty, likely_end, literal, outcome
from rung.status.stages import Status
from rung.tui.loaded import Loaded, LoadedScreen
from rung.tui.widgets.marked import Entry

EMPTY = "No answers yet. Press 1, or run: rung advise --answers answers.toml"
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
        from advisor.project import advise_project

        project = self.source.project
        if project is None or not project.answers_file.is_file():
            return Loaded([Entry(), Entry(EMPTY)], "rung advise")
        decision = advise_project(project)
        return Loaded(
            list(_entries(decision, self._width, self._after)), "rung advise", "decision.json written", decision
        )

    @property
    def _width(self) -> int:
        """Columns of a line, without the cursor's two and the one that a scrollbar takes."""
        return max(self.lines.size.width - 3, 40)

    @property
    def _after(self) -> str:
        """What Enter goes on with: what Start names as next."""
        status: Status | None = self.app.status  # type: ignore[attr-defined]
        following = status.next if status else None
        return following.next or following.reason if following else "the stage of this step"

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
            status = self.app.status  # type: ignore[attr-defined]
            waiting = status.next.number if status and status.next else STAGE_OF_STEP[self.data.next_step]
            self.app.open_stage(waiting)  # type: ignore[attr-defined]

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


def _entries(decision: Decision, width: int, after: str) -> Iterator[Entry]:
    """The lines of the screen, in the order of `rung advise`."""
    yield Entry()
    yield Entry(f"Next step   {OPTION[decision.next_step]}: {decision.action.text}", style="bold")
    yield Entry(f"Likely end  {likely_end(decision)}", style="bold")
    yield Entry(f"Strength    {decision.strength:<11} Certainty  {certainty(decision)}")
    yield Entry()
    yield Entry("Why", "", "bold")
    yield from (Entry(_two(_short(r), r.rule, width), f"rule:{r.rule}") for r in decision.reasons[:4])
    yield Entry("Why not", "", "bold")
    yield from (Entry(*_refused(option, reasons, width)) for option, reasons in list(decision.why_not.items())[:4])
    changes = _distinct(decision, width)
    if changes:
        yield Entry("What would change it", "", "bold")
        yield from changes
    if decision.open_questions:
        yield Entry(f"Not settled: {', '.join(decision.open_questions)}", f"ask:{decision.open_questions[0]}")
    yield Entry()
    yield Entry(f"Next: {after}.   Enter", "", "bold")


def _refused(option: str, reasons: tuple[Reason, ...], width: int) -> tuple[str, str]:
    first = next((reason for reason in reasons if reason.says == "against"), reasons[0] if reasons else None)
    if first is None:
        return f" {OPTION[option]:<18} not needed", ""
    return _two(f"{OPTION[option]:<18} {_short(first)}", first.rule, width), f"rule:{first.rule}"


def _distinct(decision: Decision, width: int) -> list[Entry]:
    """Up to three single answers that change the advice, each of another question."""
    seen: dict[str, Entry] = {}
    for change in decision.would_change:
        name = change["question"]
        if name not in seen:
            said = f"{name} = {literal(change['to'])}"
            end = outcome(change["next_step"], change["destination"], decision)
            words = _two(said, end, width) if len(said) + len(end) + 4 <= width else f" {said}   {end}"
            seen[name] = Entry(words, f"change:{name}={literal(change['to'])}")
    return list(seen.values())[:3]


def _short(reason: Reason) -> str:
    text = reason.short or reason.text.rstrip(".")
    return text[:1].upper() + text[1:] + (" (expired)" if reason.expired else "")


def _two(left: str, right: str, width: int) -> str:
    """Two columns; where both do not fit, the rule's name goes (`w` shows it), never the sentence."""
    room = width - len(right) - 2
    return f" {left:<{room}} {right}" if 0 < len(left) <= room else f" {left}"
