"""Release: in which form does it go out?"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from curation.split.manifest import read_manifest
from evaluation.measurement_report import Report, newest_report
from evaluation.verdict.rule import Verdict, newest_verdict
from rung.text.verdict_text import sentences
from rung.tui.async_list import LoadedLines, LoadedScreen, StoppableScreen, locked
from rung.tui.job import ScreenJob
from rung.tui.release.release_lines import (
    UNTUNED,
    Outgoing,
    card_line,
    entries,
    facts_words,
    is_of_now,
    made_forms,
    making,
    offered,
    taken,
)
from rung.tui.review.item_text import one_line
from rung.tui.screens.page_screen import PageScreen
from rung.tui.widgets.lines import Entry, shown
from training.release.goldens import GOLDEN, RunTokenizer, read_goldens
from training.release.permission import untuned_forms
from training.release.releases import current_release
from training.runs import read_runs
from workspace.errors import RungError
from workspace.folder import Project

SAFE = "Next: x stops it. The last release does not change until this one is complete."


class ReleaseScreen(StoppableScreen):
    """The forms, what each was checked against, and the one key that makes the marked one."""

    stage = "Release"
    fits_width = True
    stopped = "Stopped. Only the unfinished form is removed."
    keys = (
        ("Enter", "make"),
        ("j/k", "move"),
        ("v", "differences"),
        ("o", "card"),
        ("w", "why"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "make", "make the marked form"),
        Binding("v", "differences", "token by token: where the form differs from the run"),
        Binding("o", "card", "where the card is"),
        Binding("x", "stop", "stop; the unfinished form is removed"),
    ]

    def heading(self) -> str:
        """Return the heading, with the run's name."""
        run = self.data.verdict.run if self.data and self.data.verdict else ""
        return " · ".join(filter(None, ("Release", run, self.source.person)))

    def load(self, project: Project) -> LoadedLines:
        """Return the newest verdict and the newest release."""
        found, baseline = newest_verdict(project), newest_report(project, "baseline")
        if found is None and baseline is None:
            return locked("no verdict yet.", 9, "rung evaluate", "rung release --to prompt")
        verdict = found[1] if found else None
        standing = current_release(project)
        may_ship = verdict is not None and (verdict.verdict == "ship" or verdict.accepted is not None)
        needs_name = verdict is not None and verdict.verdict == "judgement" and not may_ship
        limit = self.source.settings.release.loss_limit
        folder, released = standing or (None, None)
        measured = baseline[1] if baseline else None
        of_now = released is None or is_of_now(released, verdict, measured)
        card = _card(project, verdict if may_ship or needs_name else None, measured)
        untuned = tuple(untuned_forms(measured)) if measured else ()
        if not (untuned or verdict):
            return locked(
                "no arm was measured: their replies were lost.", 6, "rung baseline", "rung release --to prompt"
            )
        outgoing = Outgoing(verdict, may_ship, needs_name, released, folder, limit, card, of_now, untuned)
        return LoadedLines(
            list(entries(outgoing, self.room)), "", f"releases/{folder.name}" if folder else "", outgoing
        )

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Show the lines and the selected form's command; a form being made shows its progress."""
        super().show_loaded(message)
        self._follow_cursor()
        if self.job is not None:
            self._show_making(self.job)

    def show_progress(self, line: str) -> None:
        """Show progress on the form's own line."""
        if self.job is not None and self.data is not None:
            self._show_making(self.job)

    def _show_making(self, job: ScreenJob) -> None:
        """Show the forms, the one being made with `…` and its newest line of progress."""
        wanted = job.arguments[job.arguments.index("--to") + 1] if "--to" in job.arguments else self.marked
        running = making(wanted, job.heard, self.room)
        self.show_lines([*entries(self.data, self.room, running), Entry(SAFE)])
        self.refresh_frame()

    def cursor_moved(self) -> None:
        """Show the command of the selected form."""
        self._follow_cursor()

    def _follow_cursor(self) -> None:
        if self.data is None or not self.marked:
            return
        run = self.data.verdict.run if self.data.verdict and self.marked not in UNTUNED else ""
        self.command = self._offer or " ".join(filter(None, ("rung release", run, "--to", self.marked)))
        if self._stays:
            self.command = f"rung release verify {self.data.released.id}"
        if self.job is None and self.next:
            offered_words = f"take {taken(self._offer)}" if self._offer else "make the marked form"
            self.next = f"Next: {self._shut or f'{offered_words}.   Enter'}"

    @property
    def _stays(self) -> bool:
        """True if the selected form is made already, and nothing is offered instead."""
        return not self._offer and self.marked in self.data.made

    @property
    def _shut(self) -> str:
        """Return the reason why Enter makes nothing of the selected form; empty if it does."""
        if self._stays:
            return f"{self.marked} is in {self.data.released.id}. j/k marks another form."
        if needed := self.data.lacks(self.marked):
            return f"{self.marked} needs a {needed} form: mark {needed} first."
        return ""

    @property
    def _offer(self) -> str:
        """Return the command that the refusal of the selected form names instead."""
        command = offered(self.trouble)
        return command if command and command.split()[command.split().index("--to") + 1] == self.marked else ""

    def why_ref(self, key: str) -> str:
        """Return the chain behind the last release."""
        return self.data.folder.name if self.data and self.data.folder else "decision"

    def action_make(self) -> None:
        """Make the marked form, after asking once; a judgement asks for name and reason instead."""
        if self.data is None:
            self.repeat_lock()
        elif self.job is not None:
            self.tell("already running; x stops it")
        elif self._shut:
            self.tell(self._shut)
        elif self.marked not in UNTUNED and self.data.needs_name:
            run, about = self.data.verdict.run, "\n".join(sentences(self.data.verdict))
            title, does = f"JUDGEMENT on {run}: a named person releases it", f"release {run} as {self.marked} on it"
            self.sign(title, about, does, self._make, "nothing was released")
        elif self.marked:
            self.ask_once(f"Release as {taken(self._offer) or self.marked}?", self._make)

    def _make(self, *more: str) -> None:
        self.start_job(*self.command.split()[1:], *more)
        if self.job is not None:
            self._show_making(self.job)

    def action_differences(self) -> None:
        """Show the comparison of the selected form: the prompts it answers differently, then the figures."""
        made = made_forms(self.data.released).get(self.marked) if self.data is not None else None
        if made is None or self.data.folder is None:
            self.tell(f"{self.marked or 'it'} is not made yet")
            return
        try:
            answers = list(differing(self.data.folder, made.form))
        except (RungError, OSError, ValueError) as error:
            answers = [f"The answers of this release cannot be read: {error}", "-> rung release verify"]
        title = f"{made.form}: {'how it was measured' if made.form in UNTUNED else 'against the run'}"
        lines = [made.against, "", *answers, *facts_words(made.facts)]
        self.app.push_screen(PageScreen(title, "\n".join(lines).strip()))

    def action_card(self) -> None:
        """Say where the card is."""
        if self.data is not None and self.data.folder is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.data.folder / "README.md"))
        elif not self.repeat_lock():
            self.tell("nothing is released yet: the first form writes the card")


def _card(project: Project, verdict: Verdict | None, baseline: Report | None) -> str:
    run = next((run for run in read_runs(project) if verdict is not None and run.id == verdict.run), None)
    if run is None:
        return card_line(None, None, baseline)
    return card_line(read_manifest(project.datasets / run.dataset), run, baseline)


BEFORE, AFTER = 2, 4
"""Tokens shown before the first that differs, and from it on."""


def differing(folder: Path, form: str) -> Iterator[str]:
    """Yield the answers of each form whose name begins with `form` ("gguf" has one a type) that are not the run's."""
    if not (folder / GOLDEN).is_file():
        return
    goldens = read_goldens(folder)
    for name, answers in goldens.forms.items():
        if name.split()[0] == form:
            apart = [n for n, item in enumerate(goldens.items) if answers[n] != item.text]
            yield f"{name}: {len(answers) - len(apart)} of {len(answers)} golden prompts answered as the run does"
            for number in apart:
                item = goldens.items[number]
                yield ""
                asked = one_line(str(item.turns[-1].get("content", "")) if item.turns else "")
                yield f"prompt {number + 1}   {shown(asked, limit=200)}"
                yield from _compared(folder / goldens.tokenizer, item.text, answers[number])
            yield ""


def _compared(tokenizer: Path, run: str, form: str) -> Iterator[str]:
    """Yield the first differing token with its context, then both answers."""
    try:
        tokens = RunTokenizer(tokenizer)
    except RungError as error:
        yield f"  tokens unknown ({error.message})"
    else:
        ours, theirs = tokens.ids(run), tokens.ids(form)
        at = next(
            (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
        )
        around = slice(max(at - BEFORE, 0), at + AFTER)
        yield f"  token {at}: run {_joined(tokens, ours[around])}, form {_joined(tokens, theirs[around])}"
    yield f"  run   {shown(run)}"
    yield f"  form  {shown(form)}"


def _joined(tokens: RunTokenizer, ids: list[int]) -> str:
    return " ".join(f"[{shown(text)}]" for text in tokens.texts(ids)) or "the end"
