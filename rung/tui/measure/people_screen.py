"""Blind comparison by people: two outputs, which is better and why; authors are revealed when everyone has finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.people.comparison import BlindComparison
from evaluation.people.pairings import ITEMS, Pairing, PeoplePreference
from rung.text.judge_text import comparisons_needed
from rung.tui.async_list import LoadedLines
from rung.tui.measure.blind_screen import BlindScreen, intro, standing_entries, text_entries
from rung.tui.widgets.lines import Entry

WORDS = ("a", "b", "tie")
ABOUT = (
    f"You see two outputs for one test item: choose the better one. {ITEMS} items against the base, {ITEMS} others "
    "against the best prompt; sides and order are random. Equal outputs count as ties and are not shown.",
    "",
    "Authors and other people's choices are revealed when everyone who began has finished.",
    "",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Progress of a comparison for one person; `pairing` is None where all is answered or nothing was begun."""

    comparison: BlindComparison | None = None
    pairing: Pairing | None = None
    standing: dict[str, tuple[int, int]] | None = None
    result: tuple[PeoplePreference, ...] = ()

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
        Binding("t", "say('tie')", "equally good"),
    ]

    comparison: BlindComparison | None = None
    begins = False
    reveals = False

    def heading(self) -> str:
        """Who compares."""
        return f"People · {self.source.person}"

    def load(self) -> LoadedLines:
        """Write what was answered, then the next pairing."""
        from evaluation.people.comparison import PLAN, open_comparison
        from evaluation.verdict.rule import newest_verdict
        from workspace.errors import Refusal

        project = self.source.project
        found = newest_verdict(project) if project else None
        if project is None or found is None:
            raise Refusal("No verdict yet: people compare outputs after the verdict.", "rung evaluate")
        if self.comparison is None and ((found[0] / "human" / PLAN).is_file() or self.begins):
            self.comparison = open_comparison(project, found[1].run)
        command = f"rung evaluate {found[1].run} --human --rater {self.source.person}"
        if self.comparison is None:
            return intro(
                "Which output do people prefer?",
                [*ABOUT, comparisons_needed()],
                "Next: begin.   Enter",
                command,
                Place(),
            )
        self.keep(self.comparison.record)
        if self.reveals:
            self.reveals = False
            self._reveal(self.comparison)
        return self._shown(self.comparison, command)

    def _shown(self, comparison: BlindComparison, command: str) -> LoadedLines:
        from evaluation.people.comparison import read_result

        person, standing = self.source.person, comparison.standing()
        again = next((p for p in comparison.asked if p.id == self.again), None)
        pairing = again or comparison.next_for(person)
        result = () if pairing else tuple(read_result(comparison.folder.parent))
        place = Place(comparison, pairing, standing, result)
        done, of = standing.get(person, (0, len(comparison.asked)))
        lines = self._pair(comparison, pairing, done, of) if pairing else _ended(place, len(comparison.pairings))
        return LoadedLines(list(lines), command if not result else f"rung verdict {comparison.plan.run}", data=place)

    def _pair(self, comparison: BlindComparison, pairing: Pairing, done: int, of: int) -> Iterator[Entry]:
        texts = (pairing.question, pairing.a, pairing.b)
        shown, note = self.face(pairing.id, comparison.ref(pairing.id), pairing.veil, texts)
        return _asked(shown, note, done, of)

    def _reveal(self, comparison: BlindComparison) -> None:
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
        """Begin the comparison, or end it and reveal the authors, once."""
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
            self.ask_once("Reveal the authors? This ends the comparison.", self._ask_reveal)

    def _ask_reveal(self) -> None:
        self.reveals = True
        self.reload()


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
    yield Entry("Tie         equally good, or equally bad", "tie")
    yield from (Entry(line) for line in ("", note) if note)
    yield Entry()
    yield Entry("Next: a, b or t.   Enter takes the mark")


def _ended(place: Place, pairings: int) -> Iterator[Entry]:
    from rung.text.judge_text import preference_words

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
    yield Entry(f"{pairings:,} comparisons; {pairings - asked:,} have equal outputs and count as ties.")
    yield Entry()
    yield from standing_entries(place.standing or {})
    yield Entry()
    waits = ", ".join(place.waits_for)
    yield Entry(f"Next: wait for {waits}." if waits else "Next: reveal the authors.   Enter")
