"""Review: is this answer right? Item, guideline, findings, origin; `a e x s n u`, and `b` for the same repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from curation.review import Item
from rung.tui.aside_words import summary
from rung.tui.screens.review_decide import DecideScreen
from rung.tui.screens.review_edit import EDITING, REMARKING
from rung.tui.series import Series
from rung.tui.sitting import Sitting
from rung.tui.text import shown
from rung.tui.widgets.marked import folded
from workspace.errors import RungError
from workspace.words import counted

PAGE = 70
"""Columns of a page over the screen."""
NO_REPAIR = "edit a row first (e): then b looks for others with its fault"
SERIES = (
    ("a", "same repair"),
    ("s", "leave it"),
    ("e", "edit"),
    ("x", "reject"),
    ("u", "undo"),
    ("Esc", "back"),
    ("F1", "help"),
)


class ReviewScreen(DecideScreen):
    """One item and one decision; nothing else is on the screen."""

    keys = (
        ("a", "approve"),
        ("e", "edit"),
        ("x", "reject"),
        ("s", "skip"),
        ("n", "not sure"),
        ("u", "undo"),
        ("F1", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "approve; the same repair, where one is shown"),
        Binding("e", "edit", "edit in place"),
        Binding("E,ctrl+o", "editor", "edit in your $EDITOR", key_display="E"),
        Binding("x", "reject", "reject, then a digit for the reason"),
        Binding("s", "skip", "skip: comes back later"),
        Binding("n", "unsure", "not sure: goes to a second person"),
        Binding("N", "flag", "flag: goes to the person who settles disagreements"),
        Binding("u", "undo", "undo the last decision"),
        Binding("b", "same", "the same repair for similar rows, one by one"),
        Binding("m", "remark", "a remark for the team, then a decision"),
        Binding("g", "guideline", "the guideline in full, / finds in it"),
        Binding("v", "near", "the nearest decided rows in full"),
        Binding("o", "figures", "pace, cost and hours left of the whole review"),
        Binding("ctrl+s", "save", "save the edit and approve", show=False, priority=True),
        Binding("j,down", "scroll(2)", "look down"),
        Binding("k,up", "scroll(-2)", "look up"),
        Binding("pagedown,space", "scroll(12)", "a page down"),
        Binding("pageup", "scroll(-12)", "a page up"),
        Binding("enter", "next", "what the Next line says"),
        Binding("r", "next", "try again after an error", show=False),
        Binding("w", "why", "the chain behind the row"),
        *(
            Binding(str(n), f"digit({n})", "open that stage; the reason, while rejecting", show=False)
            for n in range(1, 10)
        ),
    ]

    class SeriesFound(Message):
        """Rows were looked for that the last repair fits; None where there is no repair."""

        def __init__(self, series: Series | None) -> None:
            super().__init__()
            self.series = series

    class Figures(Message):
        """The economics of the review in words."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Over(Message):
        """The sitting is over: its summary."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def hints(self) -> Sequence[tuple[str, str]]:
        """The keys of what is going on. `p` stands in the place of `u`, which row 23 names after a decision."""
        if self.state == "conflict" and self.refused is not None:
            theirs = f"keep what {shown(self.refused[1].reviewer)} decided"
            return (("Enter", theirs), ("n", "send both to a third person"), ("F1", "help"))
        if self.is_drawn and self.is_editing:
            return EDITING
        if self.is_drawn and self.is_remarking:
            return REMARKING
        if self.rejecting:
            return ((self.reason_digits, "the reason"), ("Esc", "no"), ("F1", "help"))
        if self.state != "item":
            return (("Enter", "next"), ("u", "undo"), ("Esc", "back"), ("F1", "help"), ("^P", "menu"))
        keys = SERIES if self.sitting is not None and self.sitting.series is not None else self.keys
        return [self.mask_hint if key == "u" else (key, word) for key, word in keys] if self.hides() else keys

    # The same repair

    def action_same(self) -> None:
        """Look for open rows with the fault of the last edit; each is shown before anything changes."""
        if self.can(self.action_same) and not self.is_editing and self.sitting is not None:
            if self.in_series:
                self.tell("this is the same repair: a takes it, s leaves it, Esc ends it")
                return
            self.wait_for("Looking for similar rows …")
            self._look_for_same(self.sitting, self.item)

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _look_for_same(self, sitting: Sitting, item: Item | None) -> None:
        try:
            self.post_message(self.SeriesFound(sitting.begin_series(item)))
        except RungError as error:
            self.take(lambda: item, error.message)

    @on(SeriesFound)
    def _begin_series(self, message: SeriesFound) -> None:
        self.busy, self.since = False, None
        if message.series is None or not message.series.found:
            self.tell(NO_REPAIR if message.series is None else "no open row has the fault of your last edit")
            return
        many = message.series.found
        self.fetch(f"{many} row{' has' if many == 1 else 's have'} the same fault: one by one")

    # Figures

    def action_figures(self) -> None:
        """Work out what the review costs and what is left, and show it."""
        if self.sitting is not None and not self.is_writing():
            self.tell("working out the figures …")
            self._figure(self.sitting)

    @work(thread=True, exclusive=True, exit_on_error=False, group="figures")
    def _figure(self, sitting: Sitting) -> None:
        from curation.review.economics import economics
        from rung.report.review_words import economics_words

        try:
            pairs = list(economics_words(economics(sitting.desk)))
            lines = [line for label, words in pairs for line in folded(f"{label:<24}{words}", PAGE)]
        except RungError as error:
            lines = [error.message]
        self.post_message(self.Figures("\n".join([*lines, "", "$ rung review economics"])))

    @on(Figures)
    def _show_figures(self, message: Figures) -> None:
        from rung.tui.screens.page import PageScreen

        self.tell("")
        self.app.push_screen(PageScreen("The review in figures", message.words))

    # Going on and back

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While text is written letters are text; `0` is no stage while rejecting."""
        if self.is_writing() and action not in ("save", "back", "editor", "quit"):
            return False
        if action == "save":
            return self.is_drawn and self.is_editing
        if action == "next":
            return self.state != "item"
        if action == "stage":
            return not self.rejecting and super().check_action(action, parameters)
        return super().check_action(action, parameters)

    def action_digit(self, number: int) -> None:
        """A reason while rejecting, else a stage."""
        if self.rejecting:
            self.action_reason(number)
        else:
            self.action_stage(number)

    def action_back(self) -> None:
        """Out of a field, out of the reasons, out of a series, to the summary, then to Start. A draft stays."""
        if self.question:
            super().action_back()
        elif self.close_field():
            return
        elif self.rejecting:
            self.show_reasons(False)
        elif self.state == "conflict":
            self.action_next()
        elif self.in_series and self.sitting is not None:
            self.wait_for("Fetching the next row …")
            self._end_series(self.sitting, self.item)
        elif self.state == "item" and self.item is not None and self.sitting is not None and self.sitting.done:
            self._end_sitting(self.sitting, self.item)
        else:
            super().action_back()

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _end_series(self, sitting: Sitting, item: Item | None) -> None:
        taken = sitting.series.taken if sitting.series else 0
        sitting.end_series(item)
        self.take(sitting.take, f"{counted(taken, 'row')} took the same repair; back in the queue")

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _end_sitting(self, sitting: Sitting, item: Item) -> None:
        sitting.leave(item)
        left = f"{item.total - item.decided:,} of {item.total:,} rows are left."
        self.post_message(self.Over("\n".join([summary(sitting), *self.parting(sitting), left])))

    @on(Over)
    def _show_over(self, message: Over) -> None:
        self.show_state("over", message.words)
        self.tell("your rows are given back")
        self.refresh_frame()

    def action_next(self) -> None:
        """What the Next line says: on to the dataset, on with the queue, try again, keep the other decision."""
        if self.busy or self.is_writing() or self.state == "item":
            return
        if self.state in ("empty", "no_rows"):
            self.app.open_stage(5 if self.state == "empty" else 3)  # type: ignore[attr-defined]
        else:
            self.refused = None
            self.fetch()
