"""Questions: one answer a screen. The advice moves beside it; what an answer would do is shown on `w` only."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static

from advisor.answer_file import parse_value
from advisor.answers import FACTS
from advisor.interview import Effect, effects, hanging_rules, moot, next_question
from advisor.rulebook import Question
from rung.symbols import drawn
from rung.tui.advice.asking import (
    PICKS,
    UNKNOWN,
    Asking,
    advice_lines,
    answer_text,
    choices,
    enough_words,
    more_words,
    moved_lines,
    picks,
    why_lines,
)
from rung.tui.frame import SMALL, StageScreen
from rung.tui.safe_screen import LeavingModal
from rung.tui.widgets.lines import Entry, MarkedLines, shown
from workspace.errors import RungError

ENDING = (("/", "jump"), ("Esc", "back"))
OF_LETTERS = ("pick", "unknown", "effects", "jump", "move", "look", "undo", "copy_command", "stage_step")
"""Actions whose keys are text in a field."""
LIST = "/"
"""Asked for instead of a question: the list of all questions."""


class QuestionsScreen(StageScreen):
    """One question, its answers by digit, why it is asked, and the advice so far."""

    stage = "Questions"
    hides_side = True
    digits_choose = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take the marked answer"),
        Binding("j,down", "move(1)", "move down, at the end: more questions"),
        Binding("k,up", "move(-1)", "move up"),
        Binding("u", "undo", "back to the question before, to change its answer"),
        Binding("pagedown,space", "look(10)", "a page down"),
        Binding("pageup", "look(-10)", "a page up"),
        Binding("w", "effects", "rules that use this answer, and what each answer would do"),
        Binding("slash", "jump", "jump to a question", key_display="/"),
        Binding("0", "unknown", "don't know", show=False),
        *(Binding(pick, f"pick({n})", "that answer", show=False) for n, pick in enumerate(PICKS)),
    ]

    asking: Asking | None = None
    """The questionnaire, once the rulebook is read; None also where it cannot be."""

    def __init__(self, question: str = "", then: int = 0) -> None:
        super().__init__()
        self.wanted = question
        self.then = then
        """The stage that waits for the answer to `wanted`; 0 for none."""
        self.asked: Question | None = None
        self.moved: list[str] = []
        self.trail: list[str] = []
        self.steps_back = 0
        """Number of answered questions that `Esc` has gone back."""
        self.explains = False

    def heading(self) -> str:
        """`Questions · 6 of about 14 · sam`; once it is enough `Questions · 6 answered · sam`."""
        if self.asking is None:
            return super().heading()
        done = self.asking.progress()
        if done.enough and self.asked is None:
            return f"Questions · {done.asked} answered · {self.source.person}"
        number = min(done.asked + 1 - self.steps_back, done.about) if self.asked else done.asked
        return f"Questions · {max(number, 1)} of about {done.about} · {self.source.person}"

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys: in a field digits are text; once enough is known there is nothing to answer."""
        if self.asked is None:
            more = [("j", "more questions")] if self.asking is not None and self.asking.more() else []
            return (("Enter", "advice"), *more, *ENDING)
        if not self.asked.answers:
            return (("Enter", "save"), ("Esc", "back"))
        return (
            (picks(len(self.asked.answers)), "answer"),
            ("0", "don't know"),
            ("w", "why we ask"),
            ("u", "undo"),
            *ENDING,
        )

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
        """Take up the answers and ask the first open question."""
        self.query_one("#field").display = False
        self.command = "rung advise" if self.source.project else "rung advise --answers -"
        await self._begin()

    async def _begin(self) -> None:
        """Read the rulebook in a thread; ask nothing if it or the answers are broken."""
        try:
            self.asking = await asyncio.to_thread(self._sit_down)
        except RungError as error:
            hint = f"\n-> {error.hint}" if error.hint else ""
            self._say("text", f"\n{shown(error.message)}{shown(hint)}")
            self.next = "Next: read it again.   Enter"
            return
        self.next = ""
        book = self.asking.rulebook
        self._ask(book.questions.get(self.wanted) or next_question(book, self.asking.answers))
        if self.wanted == LIST:
            self.wanted = ""
            self.action_jump()

    def _sit_down(self) -> Asking:
        asking = Asking.of(self.source.project, self.source.person)
        asking.progress()
        return asking

    def fits(self, size: Size) -> dict[str, bool]:
        """Return the screen's classes; `slim` hides the advice."""
        return {**super().fits(size), "slim": size.width < SMALL[0]}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow an action; in a text field, letters and digits are text."""
        typing = isinstance(self.focused, Input)
        if typing and action in OF_LETTERS:
            return False
        if action == "pick" and not PICKS[(number := int(str(parameters[0])))].isdigit():
            return self.asked is not None and number < len(self.asked.answers)
        return super().check_action(action, parameters)

    def _say(self, name: str, words: str, style: str = "") -> None:
        self.query_one(f"#{name}", Static).update(Text(drawn(words), style=style))

    # Asking

    @property
    def _field(self) -> Input:
        return self.query_one("#field", Input)

    def _ask(self, question: Question | None) -> None:
        self.asked, self.explains = question, False
        numeric = question is not None and FACTS[question.id].kind in ("integer", "number", "text")
        self._field.display = numeric
        self._say("problem", "")
        if question is None:
            self._say_enough()
        else:
            self.next = ""
            self._say("text", f"\n{question.text}\n")
            self._list_answers(question, numeric)
            self._say_why()
        if numeric and question is not None:
            present = self._present(question.id)
            self._field.value = "" if present is None else str(present)
            self._field.placeholder = FACTS[question.id].expected()
            self._field.focus()
        else:
            self.set_focus(None)
        self._show_advice()
        self.refresh_frame()
        self.query_one("#question", VerticalScroll).scroll_home(animate=False)

    def _present(self, key: str) -> Any:
        return getattr(self.asking.answers, key) if self.asking is not None else None

    def _list_answers(self, question: Question, numeric: bool, marked: str = "") -> None:
        if numeric:
            listed = [Entry("An empty line is: don't know", style="dim")]
        else:
            listed = [*choices(question, self._effects(question)), Entry("0  Don't know", UNKNOWN)]
        first = next((entry.key for entry in listed if entry.key), "")
        present = f"={self._present(question.id)}"
        kept = marked or (present if any(entry.key == present for entry in listed) else first)
        self.query_one("#answers", MarkedLines).show(listed, kept)

    def _effects(self, question: Question) -> list[Effect]:
        if not self.explains or self.asking is None:
            return []
        return effects(self.asking.rulebook, self.asking.answers, question.id)

    def _say_why(self) -> None:
        if self.asked is None or self.asking is None:
            return
        effects = self._effects(self.asked) if not self.asked.answers else []
        marked = self.query_one("#answers", MarkedLines).marked
        self._say(
            "about",
            "\n".join(why_lines(self.asked, marked, len(hanging_rules(self.asking.rulebook, self.asked.id)), effects)),
        )

    def _say_enough(self) -> None:
        assert self.asking is not None
        moving = self.asking.progress().moving
        self._say("text", f"\n{enough_words(moving)}\n")
        self.query_one("#answers", MarkedLines).show([])
        self._say("about", more_words([question.id for question in self.asking.more()], moving))
        self.next = "Next: the advice (2).   Enter"

    def _show_advice(self) -> None:
        if self.asking is not None:
            self._say("advice", "\n".join(advice_lines(self.asking, self.moved)))

    # Answering

    def _take(self, value: Any) -> None:
        """Save an answer and ask on; a contradiction is said under the field and changes nothing."""
        assert self.asked is not None
        assert self.asking is not None
        before, key = self.asking.outcome(), self.asked.id
        try:
            self.asking.answer(key, value)
        except (RungError, OSError) as error:
            self._refuse(error)
            return
        if self.then and key == self.wanted:
            self.app.open_stage(self.then)  # type: ignore[attr-defined]
            return
        self.trail.append(key)
        self.steps_back = 0
        self.moved = moved_lines(before, self.asking.outcome()) if len(self.trail) > 1 else []
        self.tell(f"saved {self.source.clock()}" if self.source.project else "not saved: no project here")
        self._ask(next_question(self.asking.rulebook, self.asking.answers))

    def _refuse(self, error: RungError | OSError) -> None:
        words = error.message if isinstance(error, RungError) else f"Not saved: {error.strerror}."
        self._say("problem", f"\n{shown(words)}", "bold")
        self.query_one("#question", VerticalScroll).scroll_to_widget(self.query_one("#problem"), animate=False)

    def action_pick(self, number: int) -> None:
        """Take the answer of this key and go on; without a question, open a stage."""
        if self.asked is None:
            if number == 0:
                self.tell("this is Questions; j asks on, / lists all")
            elif self.next and PICKS[number].isdigit():  # not while the rulebook is read
                self.app.open_stage(number + 1)  # type: ignore[attr-defined]
        elif number < len(self.asked.answers):
            self._take(self.asked.answers[number].value)
        else:
            self.tell(f"no answer {PICKS[number]}: press {picks(len(self.asked.answers))}, or 0")

    def action_unknown(self) -> None:
        """0 is "don't know"; where nothing is asked, the last stage."""
        if self.asked is not None:
            self._take(None)
        elif self.next:
            self.app.open_stage(10)  # type: ignore[attr-defined]

    async def action_take(self) -> None:
        """Enter on the marked answer; where it is enough, on to the advice; after an error, read again."""
        if self.asking is None:
            await self._begin()
        elif self.asked is None:
            self.app.open_stage(2)  # type: ignore[attr-defined]
        else:
            values = {UNKNOWN: None, **{f"={choice.value}": choice.value for choice in self.asked.answers}}
            marked = self.query_one("#answers", MarkedLines).marked
            if marked in values:
                self._take(values[marked])

    @on(Input.Changed, "#field")
    def _typed(self) -> None:
        self._say("problem", "")

    @on(Input.Submitted, "#field")
    def _take_field(self, event: Input.Submitted) -> None:
        """Enter in a field; nothing written is "don't know"."""
        assert self.asked is not None
        assert self.asking is not None
        try:
            written = event.value.strip()
            value = parse_value(FACTS[self.asked.id], written) if written else None
        except RungError as error:
            self._refuse(error)
            return
        self._take(value)

    # Moving

    @on(OptionList.OptionSelected)
    async def _pressed(self) -> None:
        await self.action_take()

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self._say_why()

    def action_move(self, step: int) -> None:
        """Move the cursor; where it is enough, `j` asks on."""
        if self.asking is None:
            return
        if self.asked is None:
            more = self.asking.more()
            if step > 0 and more:
                self._ask(more[0])
            return
        self.query_one("#answers", MarkedLines).move(step)
        self._say_why()

    def action_back(self) -> None:
        """Back one question; at the first one back to Start."""
        if self.trail and self.asking is not None:
            self.steps_back += 1
            self._ask(self.asking.rulebook.questions[self.trail.pop()])
        elif self.source.project is not None:
            super().action_back()
        else:
            self.app.pop_screen()

    def action_undo(self) -> None:
        """Back to the question before; at the first one it stays."""
        if self.trail:
            self.action_back()
        else:
            self.tell("this is the first question of this session; / lists all")

    def action_look(self, by: int) -> None:
        """Look down and up where the question is longer than the screen."""
        self.query_one("#question", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_effects(self) -> None:
        """Show or hide what each answer would do, under it: the question stays in sight."""
        if self.asked is not None:
            self.explains = not self.explains
            self._list_answers(self.asked, self._field.display, self.query_one("#answers", MarkedLines).marked)
            self._say_why()

    def action_jump(self) -> None:
        """Choose any question from a list."""
        if self.asking is not None:
            known = self.asking.rulebook.questions
            self.app.push_screen(JumpScreen(self.asking), lambda key: self._ask(known[key]) if key else None)


class JumpScreen(LeavingModal[str]):
    """Ends with the id of a question, or an empty string."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "close"),
        Binding("down", "move(1)", "move down"),
        Binding("up", "move(-1)", "move up"),
    ]

    def __init__(self, asking: Asking) -> None:
        super().__init__()
        self.asking = asking

    def compose(self) -> ComposeResult:
        """Compose a field and the list."""
        with VerticalScroll():
            yield Input(placeholder="part of a question", id="find", compact=True)
            yield MarkedLines(id="found")

    def on_mount(self) -> None:
        """Show all of them."""
        self._filter("")
        self.query_one("#find", Input).focus()

    @on(Input.Changed, "#find")
    def _changed(self, event: Input.Changed) -> None:
        self._filter(event.value)

    @on(Input.Submitted, "#find")
    def _chosen(self) -> None:
        self.dismiss(self.query_one("#found", MarkedLines).marked)

    def _filter(self, words: str) -> None:
        grey = moot(self.asking.rulebook, self.asking.answers)
        said = self.asking.answers.known()
        entries = [
            Entry(
                f"{question.text}  {answer_text(question, said.get(question.id))}"
                + ("  (no effect now)" if question.id in grey else ""),
                question.id,
                "dim" if question.id in grey else "",
            )
            for question in self.asking.rulebook.questions.values()
            if words.lower() in f"{question.id} {question.text}".lower()
        ]
        self.query_one("#found", MarkedLines).show(entries)

    def action_move(self, step: int) -> None:
        """Move in the list while the field keeps the keyboard."""
        self.query_one("#found", MarkedLines).move(step)
