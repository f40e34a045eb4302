"""A screen on which a person rates outputs one by one without knowing who wrote them: keys, remark, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input

from evaluation.people.blinding import Hidden, log_shown
from rung.tui.async_list import LoadedLines, LoadedScreen
from rung.tui.widgets.lines import Entry, shown
from workspace.errors import RungError

WRITING: Sequence[tuple[str, str]] = (("Enter", "save"), ("Esc", "cancel"))
PAGE: Sequence[tuple[str, str]] = (("Enter", "next"), ("u", "undo"), ("F1", "help"), ("Esc", "verdict"))


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that is to be written down: of which thing, what was said, and why."""

    id: int
    said: str
    reason: str


class BlindScreen(LoadedScreen):
    """One thing to rate at a time. Everything is written at once, in the thread that loads the next one."""

    stage = "Verdict"
    hides_side = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "the marked answer, or the next step"),
        Binding("m", "remark", "why: saved with your answer to this item"),
        Binding("u", "undo", "back to the last answer, to change it"),
        Binding("p", "unmask", "show personal data in this item (recorded in the log), or hide it again"),
    ]

    given: Given | None = None
    """What the next load writes down first; it stays until it is written."""
    said = ""
    """The last answer, until it is reported as saved."""
    reason = ""
    last: tuple[int, ...] = ()
    """Answers of this session, the newest last."""
    again: int | None = None
    """What is shown once more, to be answered differently."""
    bare: int | None = None
    """What is shown as it is, without masks; the next one is masked again."""
    hides = False
    """Whether something is masked in the thing on the screen."""
    _to_log: int | None = None

    def compose_stage(self) -> Iterable[Widget]:
        """The thing to rate, and a field for the reason."""
        yield from super().compose_stage()
        field = Input(placeholder="why (optional)", id="remark", compact=True)
        field.display = False
        yield field

    # What a screen of this kind says

    def words(self) -> Sequence[str]:
        """What may be said of the thing on the screen; nothing where none is."""
        return ()

    def shown_id(self) -> int | None:
        """Which thing is on the screen."""
        return None

    def begin(self) -> None:
        """What Enter does where nothing is on the screen."""

    # Personal data

    def face(self, identity: int, ref: str, veil: Hidden, texts: Sequence[str]) -> tuple[Sequence[str], str]:
        """Return the texts as shown now, and a line on what is hidden. Runs in the loading thread.

        A request to see them is in the log before they are shown.
        """
        project, self.hides = self.source.project, bool(veil.found)
        if self._to_log == identity and project is not None:
            self._to_log = None
            try:
                log_shown(project, self.source.settings, self.source.person, ref, veil.found)
            except RungError as error:
                return veil.texts, f"Not shown: the log could not be written. {error.message}"
            self.bare = identity
        self.bare = self.bare if self.bare == identity else None
        if not veil.found:
            return texts, ""
        if self.bare is not None:
            return texts, f"Shown: {veil.words}. p hides them"
        return veil.texts, f"Hidden: {veil.words}. p shows them; this is recorded in the log"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where nothing is to be rated there is nothing to say; `p` is there where something is hidden."""
        digit = bool(parameters) and str(parameters[0]).isdigit()
        if action in ("remark", "unmask") or (action == "say" and not digit):
            shown = self.is_drawn and self.shown_id() is not None
            return shown and (self.hides or action != "unmask")
        if action == "why":
            return False  # nothing is told before the end
        return super().check_action(action, parameters)

    def action_unmask(self) -> None:
        """Show this one as it is, or hide it again."""
        if self.started:
            return
        if self.bare is not None:
            self.bare = None
        else:
            self._to_log = self.shown_id()
        self.reload()

    # Rating

    def say(self, said: str) -> None:
        """Take this answer for the thing on the screen, and go on to the next."""
        identity = self.shown_id()
        if identity is None or said not in self.words() or self.started:
            return
        self.given = Given(identity, said, self.reason)
        self.last = (*(n for n in self.last if n != identity), identity)
        self.reason, self.again, self.said = "", None, said
        self.reload()

    def keep(self, record: Callable[[str, int, str, str], None]) -> None:
        """Write down what was answered, if something was. In the thread that loads; raises what `record` raises."""
        if self.given is not None:
            record(self.source.person, self.given.id, self.given.said, self.given.reason)
            self.given = None

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Draw it; only now it is known whether the answer was written."""
        super().show_loaded(message)
        if self.given is not None:
            self.tell("not saved yet: Enter tries again")
        elif self.said:
            self.tell(f"{self.said} saved; u changes it")
            self.said = ""

    def action_follow(self) -> None:
        """The marked answer, or what the Next line says; an answer that could not be written is tried again."""
        if self.given is not None:
            if not self.started:
                self.reload()
        elif self.shown_id() is not None and self.marked:
            self.say(self.marked)
        elif not self.started:
            self.begin()

    def action_undo(self) -> None:
        """Show the one answered before; its answer counts until another is given."""
        before = [n for n in self.last if n != self.again]
        if not before or self.started:
            self.tell("nothing was answered in this session")
            return
        self.again = before[-1]
        self.last = (self.again, *(n for n in self.last if n != self.again))
        self.tell("answer again; the newest answer counts")
        self.reload()

    # The reason

    @property
    def field(self) -> Input:
        """Where the reason is written."""
        return self.query_one("#remark", Input)

    def action_remark(self) -> None:
        """Open the field for the reason."""
        if self.shown_id() is not None:
            self.field.value = self.reason
            self.field.display = True
            self.field.focus()
            self.refresh_frame()

    @on(Input.Submitted, "#remark")
    def _written(self, event: Input.Submitted) -> None:
        event.stop()
        self.reason = event.value.strip()
        self._close_field()
        self.tell(f"why: {self.reason}" if self.reason else "no reason")

    def _close_field(self) -> None:
        self.field.display = False
        self.set_focus(None)
        self.refresh_frame()

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """What the keys do now: write a reason, rate, or leave the first and last page."""
        if self.is_drawn and self.query("#remark") and self.field.display:
            return WRITING
        return self.rating_hints() if self.shown_id() is not None else PAGE

    def rating_hints(self) -> Sequence[tuple[str, str]]:
        """The keys while something is on the screen."""
        return self.keys

    def action_back(self) -> None:
        """Out of the field, else back to the verdict."""
        if self.query("#remark") and self.field.display:
            self._close_field()
        elif self.question:
            super().action_back()
        else:
            self.app.open_stage(9)  # type: ignore[attr-defined]

    def why_ref(self, key: str) -> str:
        """Reveal nothing before the end."""
        return ""


def text_entries(label: str, text: str, key: str = "") -> list[Entry]:
    """A text under its label, as text: control characters are seen, line breaks kept."""
    first, *rest = shown(text).split("\n") or [""]
    return [Entry(f"{label:<10}  {first}", key), *(Entry(f"{'':<10}  {line}") for line in rest)]


def standing_entries(standing: dict[str, tuple[int, int]]) -> list[Entry]:
    """A line for each person: how many are answered, of how many."""
    return [Entry(f"{name:<16}  {done:,} of {of:,}") for name, (done, of) in standing.items()]


def intro(title: str, about: Sequence[str], following: str, command: str, data: Any = None) -> LoadedLines:
    """Return the text shown before the first one."""
    lines = [Entry(), Entry(title, "", "bold"), Entry(), *map(Entry, about), Entry(), Entry(following)]
    return LoadedLines(lines, command, data=data)
