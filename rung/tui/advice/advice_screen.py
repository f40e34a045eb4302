"""Advice: do I follow this next step? The lines are in the order of `rung advise`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType

from advisor.answer_file import load_answers
from advisor.decide import decide
from advisor.decision import Decision, Reason, write_decision
from advisor.rulebook import Rulebook
from advisor.rulefiles import load_rulebook
from evaluation.measured_answers import judge_again, page_to_write, unjudged
from rung.report.evaluation import write_page
from rung.status.stages import Status, after_advice_of
from rung.text.baseline_text import answer
from rung.text.decision_text import (
    OPTION,
    against,
    changes,
    confidence,
    headline,
    likely_end,
    literal,
    outcome,
    step_word,
)
from rung.tui.advice.asking import answer_text
from rung.tui.async_list import LoadedLines, LoadedScreen
from rung.tui.job import JobEnded
from rung.tui.widgets.lines import Entry, shown
from workspace.errors import RungError
from workspace.folder import Project

EMPTY = "No answers yet. Press 1, or run: rung advise --answers answers.toml"
BROKEN = "No advice is given on a broken rulebook."
PAGE = "advice.html"
SAVED, SAME = "decision.json written", "decision.json unchanged"


class AdviceScreen(LoadedScreen):
    """The decision: next step, likely end, why, why not, what would change it, what is not settled."""

    stage = "Advice"
    keys = (
        ("Enter", "next"),
        ("j/k", "move"),
        ("w", "why"),
        ("e", "change answer"),
        ("o", "report"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "follow", "go to the stage that carries out the next step"),
        Binding("e", "answers", "change an answer"),
        Binding("o", "report", "write the HTML report"),
    ]

    fits_width = True
    data: Decision | None = None
    drawn_with: Mapping[str, float | None] | None = None
    """The measured scores that the lines speak of."""

    def heading(self) -> str:
        """Return the heading, with the rulebook's version once it is known."""
        version = f" · rulebook {self.data.rulebook.version}" if self.data else ""
        return f"Advice{version} · {self.source.person}"

    def load(self, project: Project) -> LoadedLines:
        """Work the advice out; it takes milliseconds, but the rulebook has to be read."""
        if not project.answers_file.is_file():
            return LoadedLines([Entry(), Entry(EMPTY)], "rung advise")
        try:
            book = load_rulebook(project.root / "rules")
        except RungError as error:
            return LoadedLines(
                [Entry(), *(Entry(line) for line in (*error.message.split("\n"), BROKEN))], "rung advise"
            )
        before = project.decision_file.read_bytes() if project.decision_file.is_file() else b""
        judge_again(project, self.source.settings)
        if folder := page_to_write(project, self.source.settings):
            write_page(project, folder)
        decision = write_decision(project, decide(book, load_answers(project.answers_file), self.source.now().date()))
        self.drawn_with = self._scores
        report = unjudged(project, self.source.settings)
        page = Page(decision, book, self.room, self.drawn_with, answer(report) if report else "")
        told = SAME if project.decision_file.read_bytes() == before else SAVED
        return LoadedLines(list(page.entries()), "rung advise", told, decision, goes_on=True)

    @property
    def _scores(self) -> dict[str, float | None]:
        return self.status.ladder.scores | {"classifier": self.status.ladder.classified} if self.status else {}

    def next_words(self) -> str:
        """Return the next step in the words of Start; if that is the advice itself, the stage that carries it out."""
        after = after_advice_of(self.data.next_step) if self.data else None
        return super().next_words() or (f"Next: {after.does} ({after.stage}).   Enter" if after else "")

    def show_status(self, status: Status) -> None:
        """Update the measured scores from the status, too."""
        super().show_status(status)
        self._follow_scores()

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Show the lines, with a status that arrived while they were made."""
        super().show_loaded(message)
        self._follow_scores()

    def _follow_scores(self) -> None:
        if self.data is not None and not self.started and self.drawn_with != self._scores:
            self.reload()

    def why_ref(self, key: str) -> str:
        """Return the rule of the line, or the question that it speaks of."""
        return key.partition(":")[2].partition("=")[0]

    def action_follow(self) -> None:
        """Ask the question of "Not settled", else go to the stage of the next step."""
        if self.data is None or self.marked.startswith("ask:"):
            self.action_answers()
        elif self.following is None and self.status is not None and self.status.next is not None:
            self.app.open_stage(after_advice_of(self.data.next_step).stage)  # type: ignore[attr-defined]
        else:
            self.go_on()

    def action_answers(self) -> None:
        """Go to the question of the marked line; where it has none, to the list of all."""
        kind, _, ref = self.marked.partition(":")
        asks = ref.partition("=")[0] if kind in ("ask", "change") else "/"
        self.app.open_question("" if self.data is None else asks)  # type: ignore[attr-defined]

    def action_report(self) -> None:
        """Write the page that a lead can read."""
        if self.data is not None:
            self.start_job("advise", "--report", PAGE)

    def job_ended(self, ended: JobEnded) -> None:
        """Say where it is, or why it is not."""
        if ended.ok:
            self.tell(f"{PAGE} written")
        else:
            self.reload()


MOST = 4
"""Reasons for, options against."""


@dataclass(frozen=True, slots=True)
class Page:
    """A decision in so many columns; `scores` (0..1) of what was measured, by option."""

    decision: Decision
    book: Rulebook
    width: int
    scores: Mapping[str, float | None]
    unjudged: str = ""
    """The measurement, if no goal judges it."""

    def entries(self) -> Iterator[Entry]:
        """Next step and likely end, why, why not, what would change it, what is not settled."""
        decision = self.decision
        yield Entry()
        if first := self.unjudged or self.settled():
            yield Entry(first, style="bold")
        yield Entry(f"Next step   {step_word(decision)}: {headline(decision)}", style="bold")
        yield Entry(f"Likely end  {likely_end(decision)}", style="bold")
        yield Entry(f"Confidence  {confidence(decision)}")
        yield Entry()
        yield Entry("Why", "", "bold")
        yield from (Entry(self._two(self._short(r), r.rule), f"for:{r.rule}") for r in decision.reasons[:MOST])
        yield Entry("Why not", "", "bold")
        yield from (Entry(*self._refused(*each)) for each in list(decision.why_not.items())[:MOST])
        changes = self._changes()
        if changes:
            yield Entry("What would change it", "", "bold")
            yield from changes
        if decision.open_questions:
            yield self._open()

    def settled(self) -> str:
        """Return that the ladder ends here, if a cheaper step was measured and reaches the goal."""
        rung = "classifier" if self.decision.reached == "classifier" else self.decision.next_step
        score = self.scores.get(rung)
        if not self.decision.reached or score is None:
            return ""
        return f"Settled by measurement: {OPTION.get(rung, rung)} reaches the goal ({score:.1%}). Stop here."

    def _open(self) -> Entry:
        """Return the question worth most, in its own words; Enter asks it."""
        first, *more = self.decision.open_questions
        text = self.book.questions[first].text if first in self.book.questions else first
        others = f" (and {len(more)} more)" if more else ""
        return Entry(f"Not settled: {text}{others}", f"ask:{first}")

    def _refused(self, option: str, reasons: tuple[Reason, ...]) -> tuple[str, str]:
        first = against(reasons) or next(iter(reasons), None)
        if first is None:
            return f" {OPTION[option]:<18} not needed", ""
        return self._two(f"{OPTION[option]:<18} {self._short(first)}", first.rule), f"not {option}:{first.rule}"

    def _changes(self) -> list[Entry]:
        """Up to three single answers that change the advice, each of another question."""
        entries = []
        for change in changes(self.decision)[:3]:
            name = change["question"]
            asked = self.book.questions.get(name)
            said = f"{asked.text} {answer_text(asked, change['to'])}" if asked else f"{name} = {change['to']}"
            end = outcome(change["next_step"], change["destination"], self.decision)
            fits = len(said) + len(end) + 4 <= self.width
            words = self._two(said, end) if fits else f" {said}: {end}"
            entries.append(Entry(words, f"change:{name}={literal(change['to'])}"))
        return entries

    def _short(self, reason: Reason) -> str:
        text = shown(reason.short or reason.text.rstrip("."))
        return text[:1].upper() + text[1:] + (f" (expired {self._day(reason)})" if reason.expired else "")

    def _day(self, reason: Reason) -> str:
        """Return the day until which the first of its sources to end was good."""
        sources = (self.book.sources.get(name.partition(":")[0]) for name in reason.source)
        return min(source.review_by for source in sources if source).isoformat()

    def _two(self, left: str, right: str) -> str:
        """Return two columns. Where both do not fit, the rule's name goes (`w` shows it), never the sentence."""
        room = self.width - len(right) - 2
        return f" {left:<{room}} {right}" if 0 < len(left) <= room else f" {left}"
