"""The judge: a model's grades and their agreement with human labels; people label outputs here by keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from evaluation.judge.correction import JudgeReport
from evaluation.judge.people_labels import FOLDER, Label, Labelling
from rung.tui.async_list import LoadedLines
from rung.tui.measure.blind_screen import BlindScreen, intro, text_entries
from rung.tui.widgets.lines import Entry

UNNAMED = (
    "No judge model is set. A judge is a model that grades outputs which no metric can score. Its grades count only as "
    'far as they agree with human labels. Set [judge] base = "..." in rung.toml; describe a good answer in judge.md.',
)


@dataclass(frozen=True, slots=True)
class JudgeBench:
    """What people label for a judge, the output on the screen, and what is known of the judge."""

    labelling: Labelling | None = None
    label: Label | None = None
    report: JudgeReport | None = None
    counts: tuple[tuple[str, int], ...] = ()


class JudgeScreen(BlindScreen):
    """First what is known of the judge; Enter labels outputs, random ones of each arm, without names."""

    keys = (("a", "meets it"), ("x", "does not"), ("m", "why"), ("u", "undo"), ("F1", "help"), ("Esc", "verdict"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "say('yes')", "approve: the output meets judge.md"),
        Binding("x", "say('no')", "say no: the output does not meet judge.md"),
        *(Binding(n, f"say('{n}')", f"{n} of 5", show=False) for n in "12345"),
    ]

    labelling: Labelling | None = None
    labels = False

    def heading(self) -> str:
        """Who labels."""
        return f"Judge · {self.source.person}"

    def load(self) -> LoadedLines:
        """Write what was labelled, then the next output, or what is known of the judge."""
        from evaluation.judge.people_labels import open_labelling, open_sitting
        from workspace.errors import Refusal

        project, settings = self.source.project, self.source.settings
        if project is None:
            raise Refusal("No project is open.", "rung init")
        sitting = self.labelling.sitting if self.labelling else open_sitting(project, settings, None)
        command, report = f"rung judge {sitting.verdict.run}", sitting.verdict.judge
        if not self.labels:
            return LoadedLines(
                list(_known(report, settings.judge.base, settings.judge.kind)),
                command,
                data=JudgeBench(None, None, report),
            )
        self.labelling = self.labelling or open_labelling(sitting)
        self.keep(self.labelling.record)
        return self._shown(self.labelling, report, command)

    def _shown(self, labelling: Labelling, report: JudgeReport | None, command: str) -> LoadedLines:
        person = self.source.person
        again = next((label for label in labelling.labels if label.id == self.again), None)
        label, counts = again or labelling.next_for(person), labelling.counts(person)
        told = tuple((word, counts[value]) for word, value in labelling.values.items())
        data = JudgeBench(labelling, label, report, told)
        if label is None:
            about = [_counted(told), "Equal outputs of one item are asked once."]
            return intro(
                "You have labelled everything. Thank you.",
                about,
                "Next: compare the judge with your labels: c copies the command.",
                command,
                data,
            )
        case, ref = label.case, f"{labelling.sitting.folder.parent.name}/{FOLDER}/{label.id}"
        shown, note = self.face(label.id, ref, label.veil, (case.question, case.expected, case.output))
        return LoadedLines(list(_asked(data, shown, note, len(labelling.labels))), command, data=data)

    def rating_hints(self) -> Sequence[tuple[str, str]]:
        """Digits where a score is asked."""
        return (("1-5", "bad to good"), *self.keys[2:]) if "5" in self.words() else self.keys

    def words(self) -> Sequence[str]:
        """Yes and no, or 1 to 5."""
        return tuple(self.data.labelling.values) if self.data is not None and self.data.labelling is not None else ()

    def shown_id(self) -> int | None:
        """The output on the screen."""
        return self.data.label.id if self.data is not None and self.data.label is not None else None

    def action_say(self, said: str) -> None:
        """One key, one label. A digit opens a stage where no score is asked."""
        if said.isdigit() and not (said in self.words() and self.shown_id() is not None):
            self.action_stage(int(said))
        else:
            self.say(said)

    def begin(self) -> None:
        """Label outputs; pairs are labelled by comparing them."""
        kind, base = self.source.settings.judge.kind, self.source.settings.judge.base
        if not base:
            self.tell("set a judge first: [judge] base in rung.toml")
        elif kind == "pairs":
            from rung.tui.measure.people_screen import PeopleScreen

            self.app.switch_screen(PeopleScreen())
        elif not self.labels:
            self.labels = True
            self.reload()


def _known(report: JudgeReport | None, base: str, kind: str) -> Iterator[Entry]:
    from rung.text.judge_text import lines

    yield Entry()
    if report is not None:
        found = lines(report)
        yield Entry(found[0], "", "bold")
        yield from (Entry(line) for line in found[1:])
    elif base:
        yield Entry(f"{base} has not judged these outputs yet.", "", "bold")
        yield Entry("Label outputs first, or let the judge grade first: neither sees the other.")
    else:
        yield from map(Entry, UNNAMED)
    yield Entry()
    if not base:
        yield Entry("Next: set a judge in rung.toml.")
    elif kind == "pairs":
        yield Entry("Next: compare pairs, blind.   Enter")
    else:
        yield Entry("Next: label outputs, blind.   Enter")


def _counted(counts: Sequence[tuple[str, int]]) -> str:
    return f"So far {', '.join(f'{word} {count}' for word, count in counts)}; about 80 yes and 80 no for each arm."


def _asked(bench: JudgeBench, texts: Sequence[str], note: str, of: int) -> Iterator[Entry]:
    question, reference, output = texts
    words = [word for word, _ in bench.counts]
    done = sum(count for _, count in bench.counts)
    yield Entry(f"Does the output meet judge.md?   {done:,} of {of:,} labelled", "", "bold")
    yield Entry(_counted(bench.counts))
    yield Entry()
    yield from text_entries("Question", question)
    yield Entry()
    yield from text_entries("Reference", reference)
    yield Entry()
    yield from text_entries("Output", output)
    yield from (Entry(line) for line in ("", note) if note)
    yield Entry()
    if "5" in words:
        yield Entry("Next: 1 (bad) to 5 (good).")
        return
    yield Entry("yes         it meets what judge.md asks", "yes")
    yield Entry("no          it does not", "no")
    yield Entry()
    yield Entry("Next: a or x.   Enter takes the mark")
