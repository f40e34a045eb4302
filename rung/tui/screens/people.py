"""People compare, blind: two outputs, which is better, why; who wrote what is told only when everyone has finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.blind import ITEMS, Pairing, Preference
from evaluation.human import Comparison
from rung.tui.loaded import Loaded
from rung.tui.screens.blind import BlindScreen, intro, standing_entries, text_entries
from rung.tui.widgets.marked import Entry

WORDS = ("a", "b", "tie")
ABOUT = (
    f"Two outputs for one test item: say which is better. {ITEMS} items against the base, {ITEMS} other ones against "
    "the best prompt; sides and order are drawn. Equal outputs count as ties and are not asked.",
    "",
    "Nobody sees who wrote what, or what others said, before everyone who began has answered everything.",
    "",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a comparison stands for one person; `pairing` is None where all is answered or nothing was begun."""

    comparison: Comparison | None = None
    pairing: Pairing | None = None
    standing: dict[str, tuple[int, int]] | None = None
    result: tuple[Preference, ...] = ()

    @property
    def waits_for(self) -> list[str]:
        """People who began and have not finished."""
        return [name for name, (done, of) in (self.standing or {}).items() if done < of]


class PeopleScreen(BlindScreen):
    """The blind comparison of the newest verdict's run, for the person of this program."""

    keys = (("a", "A"), ("b", "B"), ("t", "tie"), ("m", "why"), ("u", "undo"), ("F1", "help"), ("Esc", "verdict"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "say('a')", "A is better"),
        Binding("b", "say('b')", "B is better"),
        Binding("t", "say('tie')", "as good as each other"),
    ]

    comparison: Comparison | None = None
    begins = False
    reveals = False

    def heading(self) -> str:
        """Who compares."""
        return f"People · {self.source.person}"

    def load(self) -> Loaded:
        """Write what was answered, then the next pairing."""
        from evaluation.human import PLAN, open_comparison
        from evaluation.verdict import newest_verdict
        from workspace.errors import Refusal

        project = self.source.project
        found = newest_verdict(project) if project else None
        if project is None or found is None:
            raise Refusal("No verdict yet: people compare outputs after it, so that none is seen before.", "")
        if self.comparison is None and ((found[0] / "human" / PLAN).is_file() or self.begins):
            self.comparison = open_comparison(project, found[1].run)
        command = f"rung evaluate {found[1].run} --human --rater {self.source.person}"
        if self.comparison is None:
            return intro(
                "Which output do people prefer?", [*ABOUT, _needed()], "Next: begin.   Enter", command, Place()
            )
        self.keep(self.comparison.record)
        if self.reveals:
            self.reveals = False
            self._reveal(self.comparison)
        return self._shown(self.comparison, command)

    def _shown(self, comparison: Comparison, command: str) -> Loaded:
        from evaluation.human import read_result

        person, standing = self.source.person, comparison.standing()
        again = next((p for p in comparison.asked if p.id == self.again), None)
        pairing = again or comparison.next_for(person)
        result = () if pairing else tuple(read_result(comparison.folder.parent))
        place = Place(comparison, pairing, standing, result)
        done, of = standing.get(person, (0, len(comparison.asked)))
        lines = self._pair(comparison, pairing, done, of) if pairing else _ended(place, len(comparison.pairings))
        return Loaded(list(lines), command if not result else f"rung verdict {comparison.plan.run}", data=place)

    def _pair(self, comparison: Comparison, pairing: Pairing, done: int, of: int) -> Iterator[Entry]:
        texts = (pairing.question, pairing.a, pairing.b)
        shown, note = self.face(pairing.id, comparison.ref(pairing.id), pairing.veil, texts)
        return _asked(shown, note, done, of)

    def _reveal(self, comparison: Comparison) -> None:
        """In the loading thread: the result is written, and the report shows it from then on."""
        from rung.report.evaluation import write_page

        comparison.reveal()
        assert self.source.project is not None
        write_page(self.source.project, comparison.folder.parent)

    def words(self) -> Sequence[str]:
        """Which may be better."""
        return WORDS if self.shown_id() is not None else ()

    def shown_id(self) -> int | None:
        """The pairing on the screen."""
        return self.data.pairing.id if self.data is not None and self.data.pairing is not None else None

    def action_say(self, said: str) -> None:
        """One key, one answer."""
        self.say(said)

    def begin(self) -> None:
        """Begin, or end it: who wrote what is told once."""
        place: Place | None = self.data
        if place is None:
            return
        if place.comparison is None:
            self.begins = True
            self.reload()
        elif place.result:
            self.app.open_stage(9)  # type: ignore[attr-defined]
        elif place.waits_for:
            self.tell(f"not yet: {', '.join(place.waits_for)} has not finished")
        else:
            self.ask_once("Say who wrote what? Nobody can compare any more.", self._ask_reveal)

    def _ask_reveal(self) -> None:
        self.reveals = True
        self.reload()


def _needed() -> str:
    from evaluation.blind import items_for

    wide, narrow = items_for(0.2), items_for(0.1)
    return f"An interval of about 20 points to each side needs {wide} items against each, of 10 points {narrow}."


def _asked(texts: Sequence[str], note: str, done: int, of: int) -> Iterator[Entry]:
    question, a, b = texts
    yield Entry(f"Which is better?   {done:,} of {of:,} answered", "", "bold")
    yield Entry()
    yield from text_entries("Question", question)
    yield Entry()
    yield from text_entries("A", a, "a")
    yield Entry()
    yield from text_entries("B", b, "b")
    yield Entry()
    yield Entry("Tie         as good as each other, or as bad", "tie")
    yield from (Entry(line) for line in ("", note) if note)
    yield Entry()
    yield Entry("Next: a, b or t.   Enter takes the mark")


def _ended(place: Place, pairings: int) -> Iterator[Entry]:
    from rung.report.human_words import preference_words

    yield Entry()
    if place.result:
        yield Entry("What people preferred", "", "bold")
        yield Entry()
        yield from (Entry(line) for preference in place.result for line in preference_words(preference))
        yield Entry()
        yield Entry("Next: the verdict; its report has this too.   Enter")
        return
    asked = len(place.comparison.asked) if place.comparison else 0
    yield Entry("You have answered everything. Thank you.", "", "bold")
    yield Entry(f"{pairings:,} comparisons, {pairings - asked:,} of equal outputs, which are ties.")
    yield Entry()
    yield from standing_entries(place.standing or {})
    yield Entry()
    waits = ", ".join(place.waits_for)
    yield Entry(f"Next: wait for {waits}." if waits else "Next: say who wrote what.   Enter")
