"""Advice: do I follow this next step?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from advisor.decision import Decision, Reason
from rung.cli.advice_words import OPTION, certainty, likely_end, literal, outcome
from rung.tui.frame import StageScreen
from rung.tui.widgets.marked import Entry, MarkedLines
from workspace.errors import RungError

STAGE_OF_STEP = {"prompt": 6, "few_shot": 6, "rag": 6, "fine_tune": 7, "rag_and_fine_tune": 7}


class AdviceScreen(StageScreen):
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
        Binding("j,down", "move(1)", "move down"),
        Binding("k,up", "move(-1)", "move up"),
        Binding("w", "why", "the rule behind the marked line"),
        Binding("e", "answers", "change an answer"),
        Binding("o", "report", "write the HTML report"),
    ]

    decision: Decision | None = None

    class Decided(Message):
        """The advice was worked out, or why it could not be."""

        def __init__(self, decision: Decision | None, problem: str) -> None:
            super().__init__()
            self.decision, self.problem = decision, problem

    class Written(Message):
        """The report was written, or why not."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def heading(self) -> str:
        """With the rulebook's version once it is known."""
        version = f" · rulebook {self.decision.rulebook.version}" if self.decision else ""
        return f"Advice{version} · {self.source.person}"

    def compose_stage(self) -> Iterable[Static]:
        """One list of lines."""
        yield MarkedLines(id="advice")

    def on_mount(self) -> None:
        """Work the advice out; it takes milliseconds, but the rulebook has to be read."""
        super().on_mount()
        self.command = "rung advise"
        self._decide()

    @work(thread=True, exclusive=True, exit_on_error=False, group="advice")
    def _decide(self) -> None:
        from advisor.decide import advise_project

        project = self.source.project
        if project is None or not project.answers_file.is_file():
            self.post_message(self.Decided(None, ""))
            return
        try:
            self.post_message(self.Decided(advise_project(project), ""))
        except RungError as error:
            self.post_message(self.Decided(None, error.message))

    @on(Decided)
    def _show(self, message: Decided) -> None:
        self.decision = message.decision
        lines = self.query_one("#advice", MarkedLines)
        if message.problem:
            lines.show(
                [Entry(), Entry(message.problem), Entry("No advice is given on a broken rulebook or answers file.")]
            )
        elif self.decision is None:
            lines.show([Entry(), Entry("No answers yet. Press 1, or run: rung advise --answers answers.toml")])
        else:
            lines.show(list(_entries(self.decision)))
            self.tell("decision.json written")
        self.refresh_frame()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.query_one("#advice", MarkedLines).move(step)

    def action_follow(self) -> None:
        """On "Not settled" ask that question, else go where the next step is carried out."""
        if self.decision is None:
            self.action_answers()
            return
        marked = self.query_one("#advice", MarkedLines).marked
        if marked.startswith("ask:"):
            self.action_answers(marked[4:])
            return
        status = self.app.status  # type: ignore[attr-defined]
        waiting = status.next.number if status and status.next else STAGE_OF_STEP[self.decision.next_step]
        self.app.open_stage(waiting)  # type: ignore[attr-defined]

    def action_answers(self, question: str = "") -> None:
        """Go to the questions, to this one where it is named."""
        self.app.open_question(question)  # type: ignore[attr-defined]

    def action_why(self) -> None:
        """Everything about the rule of the marked line."""
        marked = self.query_one("#advice", MarkedLines).marked
        kind, _, ref = marked.partition(":")
        if ref:
            from rung.tui.screens.why import WhyScreen

            self.app.push_screen(WhyScreen(ref if kind != "change" else ref.partition("=")[0]))

    def action_report(self) -> None:
        """Write the page that a lead can read, and say where it is."""
        if self.decision is not None:
            self._write()

    @work(thread=True, exclusive=True, exit_on_error=False, group="report")
    def _write(self) -> None:
        import subprocess
        import sys

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


def _entries(decision: Decision) -> Iterator[Entry]:
    """The lines of the screen, in the order of `rung advise`."""
    yield Entry()
    yield Entry(f"Next step   {OPTION[decision.next_step]}: {decision.action.text}", style="bold")
    yield Entry(f"Likely end  {likely_end(decision)}", style="bold")
    yield Entry(f"Strength    {decision.strength:<14}Certainty  {certainty(decision)}")
    yield Entry()
    yield Entry("Why")
    yield from (Entry(_two(_short(r), r.rule), f"rule:{r.rule}") for r in decision.reasons[:4])
    yield Entry("Why not")
    yield from (Entry(*_refused(option, reasons)) for option, reasons in list(decision.why_not.items())[:4])
    changes = _distinct(decision)
    if changes:
        yield Entry("What would change it")
        yield from changes
    if decision.open_questions:
        yield Entry(f"Not settled: {', '.join(decision.open_questions)}", f"ask:{decision.open_questions[0]}")
    yield Entry()
    yield Entry(
        "Next: what the marked stage of Start says." if not decision.action.text else f"Next: {decision.action.text}"
    )


def _refused(option: str, reasons: tuple[Reason, ...]) -> tuple[str, str]:
    first = next((reason for reason in reasons if reason.says == "against"), reasons[0] if reasons else None)
    if first is None:
        return f"  {OPTION[option]:<12} not needed", ""
    return _two(f"{OPTION[option]:<12} {_short(first)}", first.rule), f"rule:{first.rule}"


def _distinct(decision: Decision) -> list[Entry]:
    """Up to three single answers that change the advice, each of another question."""
    seen: dict[str, Entry] = {}
    for change in decision.would_change:
        name = change["question"]
        if name not in seen:
            words = _two(
                f"{name} = {literal(change['to'])}", outcome(change["next_step"], change["destination"], decision)
            )
            seen[name] = Entry(words, f"change:{name}={literal(change['to'])}")
    return list(seen.values())[:3]


def _short(reason: Reason) -> str:
    text = reason.short or reason.text.rstrip(".")
    return text[:1].upper() + text[1:] + (" (expired)" if reason.expired else "")


def _two(left: str, right: str, width: int = 56) -> str:
    room = width - len(right) - 2
    left = left if len(left) <= room else left[: room - 1].rstrip() + "…"
    return f"  {left:<{room}}  {right}"
