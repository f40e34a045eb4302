"""Personal data in the Review screen: masked until the reviewer asks for the item as it is, which the log tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from curation.review import Item
from curation.review.masked import Found, hidden_words, veiled
from rung.tui.screens.review_fetch import FetchScreen
from rung.tui.sitting import Aside, Sitting
from workspace.errors import RungError


class MaskedScreen(FetchScreen):
    """What is drawn goes through `face`, `cover` and `aside`; what is written never does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "unmask", "personal data: shown in this item, which the log tells; hidden again"),
    ]

    class Unmasked(Message):
        """The log has it, or it could not be written: `problem`. `then`: what asked for the item as it is."""

        def __init__(self, row: str, then: Callable[[], None] | None, problem: str = "") -> None:
            super().__init__()
            self.row, self.then, self.problem = row, then, problem

    def __init__(self) -> None:
        super().__init__()
        self.unmasked = False
        """Whether this item is shown as it is; the next one is masked again."""

    # What is drawn

    def face(self, item: Item) -> Item:
        """The item as it is shown now."""
        return item if self.unmasked else (self.sitting.veil(item) if self.sitting else veiled(item)).item

    def cover(self, text: str) -> str:
        """A text of this item that stands in no row, as it is shown now."""
        from curation.quality.mask import mask

        return text if self.unmasked else mask(text)

    def aside(self, item: Item) -> Aside | None:
        """What stands beside the item, as it is shown now."""
        known = self.sitting.asides.get(item.id) if self.sitting else None
        return replace(known, near=known.masked) if known is not None and not self.unmasked else known

    def found(self, item: Item) -> Found:
        """Everything that is hidden in the item and beside it."""
        if self.sitting is None:
            return frozenset()
        aside = self.sitting.asides.get(item.id)
        beside = aside.found if aside is not None and not item.blind else frozenset()
        return self.sitting.veil(item).found | beside

    def hides(self) -> bool:
        """Whether the item on the screen holds something that is masked."""
        return self.item is not None and self.state == "item" and bool(self.found(self.item))

    def hidden_note(self, item: Item) -> str:
        """`Hidden: 1 phone, 2 e-mails. p shows them, and the log tells that you looked`; empty where nothing is."""
        words = hidden_words(self.found(item))
        if not words:
            return ""
        if self.unmasked:
            return f"Shown: {words}. p hides them"
        return f"Hidden: {words}. p shows them, and the log tells that you looked"

    @property
    def mask_hint(self) -> tuple[str, str]:
        """What the key line says of `p`."""
        return "p", "hide" if self.unmasked else "show hidden"

    def draw_item(self, item: Item) -> None:
        """Draw the item anew; the screen of an item says how."""
        raise NotImplementedError

    # Unmasking

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`p` is there where something is hidden."""
        if action == "unmask":
            return self.is_drawn and self.hides()
        return super().check_action(action, parameters)

    def is_masked_in_edit(self, item: Item) -> bool:
        """Whether an edit would show what is hidden now."""
        return not self.unmasked and self.sitting is not None and self.sitting.veil(item).in_edit

    def action_unmask(self) -> None:
        """Show this item as it is, or hide it again."""
        if not self.can(self.action_unmask) or self.item is None:
            return
        if self.unmasked:
            self.unmasked = False
            self.tell("hidden again")
            self._draw_anew(self.item)
        elif self.found(self.item):
            self.unmask(self.item)

    def unmask(self, item: Item, then: Callable[[], None] | None = None) -> None:
        """Write to the log who looks; then show the item as it is, and do what waited for it."""
        if self.sitting is not None:
            self.wait_for("Not in the log yet, waiting (…). Then it is shown.")
            self._log(self.sitting, item, self.found(item), then)

    @work(thread=True, exclusive=True, exit_on_error=False, group="unmask")
    def _log(self, sitting: Sitting, item: Item, found: Found, then: Callable[[], None] | None) -> None:
        try:
            sitting.unmask(item, found)
            self.post_message(self.Unmasked(item.id, then))
        except RungError as error:
            self.post_message(self.Unmasked(item.id, then, error.message))

    @on(Unmasked)
    def _show_unmasked(self, message: Unmasked) -> None:
        if self.item is None or self.item.id != message.row or self.state != "item":
            self.busy = self.busy and self.item is not None
            return
        self.busy, self.since, self.kept = False, None, None
        if message.problem:
            self.tell(message.problem)
            return
        self.unmasked = True
        self.tell("shown as it is; the log has it")
        self._draw_anew(self.item)
        if message.then is not None:
            message.then()

    def _draw_anew(self, item: Item) -> None:
        self.draw_item(item)
        self.refresh_frame()
