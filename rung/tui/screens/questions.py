"""Questions: one answer a screen. The advice moves beside it; what an answer would do is shown on `w` only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from advisor.answers import FACTS
from advisor.interview import Effect
from advisor.rulebook import Question
from rung.status.stages import STEP_WORDS
from rung.tui.asking import Asking
from rung.tui.frame import StageScreen
from rung.tui.symbols import drawn
from rung.tui.widgets.marked import Entry, MarkedLines
from workspace.errors import RungError

UNKNOWN = "unknown"
FIRST = "No advice yet. 4 to 6 answers are enough if a prompt or RAG will do."
ENOUGH = "That is enough: no open answer can change the next step."


class QuestionsScreen(StageScreen):
    """One question, its answers by digit, why it is asked, and the advice so far."""

    stage = "Questions"
    hides_side = True
    digits_choose = True
    keys = (
        ("1-9", "answer"),
        ("0", "don't know"),
        ("w", "why we ask"),
        ("/", "jump"),
        ("Esc", "back"),
        ("F1", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take the marked answer"),
        Binding("j,down", "move(1)", "move down, at the end: more questions"),
        Binding("k,up", "move(-1)", "move up"),
        Binding("w", "effects", "rules that use this answer, and what each answer would do"),
        Binding("slash", "jump", "jump to a question", key_display="/"),
        *(Binding(str(n), f"digit({n})", "that answer; 0 don't know", show=False) for n in (*range(1, 10), 0)),
    ]

    def __init__(self, question: str = "") -> None:
        super().__init__()
        self.wanted = question
        self.asked: Question | None = None
        self.before: tuple[str, str] | None = None
        self.moved: list[str] = []
        self.trail: list[str] = []
        self.explains = False

    def heading(self) -> str:
        """`Questions · 6 of about 14 · sam`."""
        if not hasattr(self, "asking"):
            return super().heading()
        done = self.asking.progress()
        number = min(done.asked + 1, done.about) if self.asked else done.asked
        return f"Questions · {number} of about {done.about} · {self.source.person}"

    def compose_stage(self) -> Iterable[Widget]:
        """Question at the left, advice at the right."""
        with Horizontal(id="ask"):
            with VerticalScroll(id="question", can_focus=False):
                yield Static(id="text")
                yield MarkedLines(id="answers")
                yield Input(id="field", compact=True)
                yield Static(id="problem")
                yield Static(id="about")
            yield Static(id="advice")

    async def on_mount(self) -> None:  # type: ignore[override]
        """Take up the answers and ask the first open question; the rulebook is read beside the loop."""
        self.asking = await asyncio.to_thread(self._sit_down)
        self.command = "rung advise" if self.source.project else "rung advise --answers -"
        self.before = self.asking.outcome() if self.asking.answers.known() else None
        known = {each.id: each for each in self.asking.questions()}
        self._ask(known.get(self.wanted) or self.asking.next())

    def _sit_down(self) -> Asking:
        asking = Asking.of(self.source.project, self.source.person)
        asking.progress()
        return asking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a field is written in, letters and digits are its own."""
        typing = isinstance(self.focused, Input)
        if typing and action in ("digit", "effects", "jump", "move", "copy_command", "stage_step"):
            return False
        return super().check_action(action, parameters)

    # Asking

    def _ask(self, question: Question | None) -> None:
        """Show a question, or that it is enough."""
        self.asked = question
        self.explains = False
        field = self.query_one("#field", Input)
        numeric = question is not None and FACTS[question.id].kind in ("integer", "number", "text")
        field.display = numeric
        self.query_one("#problem", Static).update("")
        if question is None:
            self._say_enough()
        else:
            self.query_one("#text", Static).update(Text(drawn(f"\n{question.text}\n")))
            self._list_answers(question, numeric)
            self._say_why()
        if numeric and question is not None:
            present = getattr(self.asking.answers, question.id)
            field.value = "" if present is None else str(present)
            field.placeholder = FACTS[question.id].expected()
            field.focus()
        else:
            self.set_focus(None)
        self._show_advice()
        self.refresh_frame()

    def _list_answers(self, question: Question, numeric: bool) -> None:
        lines = self.query_one("#answers", MarkedLines)
        entries = [] if numeric else [Entry(*_choice(index, value, text)) for index, value, text, _ in self._choices()]
        entries.append(Entry("0  Don't know, or not tested yet", UNKNOWN))
        lines.marked = ""
        lines.show(entries)
        present = getattr(self.asking.answers, question.id)
        if present is not None and f"={present}" in lines.keys:
            lines.marked = f"={present}"

    def _choices(self) -> list[tuple[int, Any, str, str]]:
        """(digit, value, words, example) of each answer."""
        assert self.asked is not None
        return [(n, c.value, c.text, c.example) for n, c in enumerate(self.asked.answers, 1)]

    def _say_why(self) -> None:
        """The example of the marked answer, why it is asked, and on `w` what each answer would do."""
        assert self.asked is not None
        marked = self.query_one("#answers", MarkedLines).marked
        example = next((e for _, value, _, e in self._choices() if f"={value}" == marked), "")
        lines = [f"\nFor example: {example}"] if example else []
        count = self.asking.rules(self.asked.id)
        lines.append(f"\nWhy we ask: {self.asked.why} {count} rule{'s use' if count != 1 else ' uses'} this answer.")
        if self.explains:
            lines.append("\nWhat each answer would do")
            lines += [_effect(effect) for effect in self.asking.effects(self.asked.id)]
        self.query_one("#about", Static).update(Text(drawn("\n".join(lines))))

    def _say_enough(self) -> None:
        self.query_one("#text", Static).update(Text(drawn(f"\n{ENOUGH}\n")))
        self.query_one("#answers", MarkedLines).show([])
        more = len(self.asking.more())
        words = "Enter   advice"
        if more:
            words += f"\nj       {more} more question{'s' if more > 1 else ''} (they change how, not what)"
        self.query_one("#about", Static).update(Text(drawn(words)))

    def _show_advice(self) -> None:
        """The advice so far, what the last answer moved, and what is answered."""
        done = self.asking.progress()
        lines = ["", "Advice so far", ""]
        if not done.asked:
            lines = ["", FIRST]
        else:
            step, end = self.asking.outcome()
            lines += [f"  Next step    {STEP_WORDS[step]}", f"  Likely end   {STEP_WORDS[end]}", ""]
            settled = (
                "  Settled."
                if not done.can_change
                else f"  Not settled: {done.can_change} answer{'' if done.can_change == 1 else 's'}\n"
                "  can still change it."
            )
            lines += [settled, ""]
            lines += ["Your last answer moved", "", *self.moved, ""] if self.moved else []
            lines += ["Answered", "", f"  {done.asked} of about {done.about}", f"  {done.unknown} don't know"]
        measured = self.asking.measured()
        if measured:
            lines += ["", "Measured, not asked", ""] + [f"  {key} {value}" for key, value in list(measured.items())[:4]]
        self.query_one("#advice", Static).update(Text(drawn("\n".join(lines))))

    # Answering

    def _take(self, value: Any) -> None:
        """Save an answer and ask on; a contradiction is said under the field and changes nothing."""
        assert self.asked is not None
        before = self.asking.outcome()
        key = self.asked.id
        try:
            self.asking.answer(key, value)
        except RungError as error:
            self.query_one("#problem", Static).update(Text(drawn(f"\n{error.message}"), style="bold"))
            return
        self.trail.append(key)
        self._compare(before)
        self.tell(f"saved {self.source.clock()}" if self.source.project else "nothing is saved here")
        self._ask(self.asking.next())

    def _compare(self, before: tuple[str, str]) -> None:
        after = self.asking.outcome()
        names = ("Next step", "Likely end")
        self.moved = [
            f"  {name}\n  was {STEP_WORDS[old]}, now {STEP_WORDS[new]}"
            for name, old, new in zip(names, before, after, strict=True)
            if old != new and len(self.trail) > 1
        ]

    def action_digit(self, digit: int) -> None:
        """A digit answers and goes on; 0 is "don't know"."""
        if self.asked is None:
            self.app.open_stage(digit or 10)  # type: ignore[attr-defined]
        elif digit == 0:
            self._take(None)
        else:
            for number, value, _, _ in self._choices():
                if number == digit:
                    self._take(value)
                    return

    def action_take(self) -> None:
        """Enter on the marked answer; where it is enough, on to the advice."""
        if self.asked is None:
            self.app.open_stage(2)  # type: ignore[attr-defined]
            return
        marked = self.query_one("#answers", MarkedLines).marked
        if marked == UNKNOWN:
            self._take(None)
        for _, value, _, _ in self._choices():
            if f"={value}" == marked:
                self._take(value)
                return

    @on(Input.Submitted, "#field")
    def _take_field(self, event: Input.Submitted) -> None:
        """Enter in a field; nothing written is "don't know"."""
        assert self.asked is not None
        try:
            value = self.asking.parse(self.asked.id, event.value)
        except RungError as error:
            self.query_one("#problem", Static).update(Text(drawn(f"\n{error.message}"), style="bold"))
            return
        self._take(value)

    # Moving

    @on(MarkedLines.Chosen)
    def _pressed(self) -> None:
        self.action_take()

    @on(MarkedLines.Moved)
    def _moved(self) -> None:
        if self.asked is not None:
            self._say_why()

    def action_move(self, step: int) -> None:
        """Move the cursor; where it is enough, `j` asks on."""
        if self.asked is None:
            more = self.asking.more()
            if step > 0 and more:
                self._ask(more[0])
            return
        self.query_one("#answers", MarkedLines).move(step)
        self._say_why()

    def action_back(self) -> None:
        """Back one question; at the first one back to Start."""
        if self.trail:
            known = {each.id: each for each in self.asking.questions()}
            self._ask(known[self.trail.pop()])
        elif self.source.project is not None:
            super().action_back()
        else:
            self.app.pop_screen()

    def action_effects(self) -> None:
        """Show or hide what each answer would do."""
        if self.asked is not None:
            self.explains = not self.explains
            self._say_why()
            if self.explains:
                self.query_one("#question", VerticalScroll).scroll_end(animate=False)

    def action_jump(self) -> None:
        """Choose any question from a list."""
        from rung.tui.screens.jump import JumpScreen

        known = {each.id: each for each in self.asking.questions()}
        self.app.push_screen(JumpScreen(self.asking), lambda key: self._ask(known[key]) if key else None)


def _choice(index: int, value: Any, text: str) -> tuple[str, str]:
    digit = str(index) if index < 10 else " "
    return f"{digit}  {text}", f"={value}"


def _effect(effect: Effect) -> str:
    step, end = STEP_WORDS[effect.next_step], STEP_WORDS[effect.destination]
    return f"  {effect.text}: next step {step}, likely end {end}"
