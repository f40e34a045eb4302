"""Release: in which form does it go out? A line per form, existing releases, alternatives to a refused form."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from curation.split.manifest import read_manifest
from evaluation.measurement_report import Report, newest_report
from evaluation.verdict.rule import Verdict, newest_verdict
from rung.text.verdict_text import sentences
from rung.tui.async_list import LoadedLines, LoadedScreen, StoppableScreen, locked
from rung.tui.job import ScreenJob
from rung.tui.review.item_text import one_line
from rung.tui.screens.page_screen import PageScreen
from rung.tui.widgets.lines import Entry, shown
from training.release.goldens import GOLDEN, RunTokenizer, read_goldens
from training.release.permission import untuned_forms
from training.release.releases import NEEDS, Release, ReleasedForm, current_release, with_needed
from training.runs import read_runs
from workspace.counted import counted, megabytes
from workspace.errors import RungError
from workspace.folder import Project

BAR = (20, 60)
"""Fewest and most columns of the bar while a form is made."""
FAR = re.compile(r"(\d[\d,]*) of (\d[\d,]*)  \d+%")
FORMS = {
    "adapter": "same as the run",
    "merged": "one file, checked against the run",
    "gguf": "for llama.cpp, made from merged",
    "gptq": "4 bit, by llmcompressor",
    "ollama": "a Modelfile, made from gguf",
    "vllm": "the command that serves it",
    "tgi": "the command that serves it",
}
NOT_HERE = "awq needs a GPU: rung release RUN --to awq"
UNTUNED = {
    "prompt": "text, examples, settings, card",
    "classifier": "weights and predict.py, no language model",
    "encoder": "weights, predict.py and a sentence model",
}
COLUMNS = "  Form           Size   Against the run"
VALIDATION = "Validation"
OFFER = "-> rung release "


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Material for a release: the verdict if there is one, and the releases so far."""

    verdict: Verdict | None
    may_ship: bool
    needs_name: bool
    released: Release | None
    folder: Path | None
    limit: float
    """Loss of the metric allowed for a changed form."""
    card: str = ""
    """Summary of the card, in one line."""
    is_newest: bool = True
    """True if the release was made from what would be released now."""
    untuned: tuple[str, ...] = ("prompt",)
    """Forms that need no run and were measured, the best first."""

    @property
    def made(self) -> dict[str, ReleasedForm]:
        """Forms that need not be made any more."""
        return made_forms(self.released) if self.is_newest else {}

    def lacks(self, form: str) -> str:
        """Return the form that has to be made before this one is offered; empty if it can be made."""
        needed = {str(name): str(of) for name, of in NEEDS.items()}.get(form, "")
        return needed if needed and needed != "merged" and needed not in self.made else ""


def made_forms(released: Release | None) -> dict[str, ReleasedForm]:
    """Map each form to its entry in release.json."""
    return {form.form: form for form in released.forms} if released else {}


def is_of_now(released: Release, verdict: Verdict | None, baseline: Report | None) -> bool:
    """True if a release is of the run that was judged last, or its prompt is of the newest baseline."""
    if released.run is not None:
        return verdict is not None and released.run == verdict.run
    return baseline is not None and f"evaluations/{baseline.id}/report.json" in released.made_from


def card_line(project: Project, verdict: Verdict | None, baseline: Report | None) -> str:
    """`Card: 2 reviewers, kappa 0.81, 4 arms, 0 overrides`: of what is known; of the prompt only its arms."""
    words = []
    run = next((run for run in read_runs(project) if verdict is not None and run.id == verdict.run), None)
    if run is not None:
        manifest = read_manifest(project.datasets / run.dataset)
        people = {row["reviewer"] for row in manifest.rows if row.get("reviewer") and not row.get("automatic")}
        agreed = manifest.review.get("agreement") or {}
        words.append(counted(len(people), "reviewer"))
        known = agreed.get("value") is not None
        words.append(f"{agreed['measure']} {agreed['value']:.2f}" if known else "kappa not measured")
    words += [counted(len(baseline.arms), "arm")] if baseline else []
    words += [counted(len(run.overrides), "override")] if run else []
    return f"Card: {', '.join(words)}" if words else ""


def entries(outgoing: Outgoing, width: int, running: tuple[str, Sequence[Entry]] = ("", ())) -> Iterator[Entry]:
    """Yield the forms, each with its size and its check; `running` is the form being made, with its progress."""
    verdict, made = outgoing.verdict, outgoing.made
    yield Entry()
    words = f"{verdict.verdict.replace('_', ' ')}, {verdict.created_at:%Y-%m-%d}" if verdict else "none is needed"
    what = verdict.run if verdict else " or ".join(f"the {form}" for form in outgoing.untuned)
    yield Entry(f"Release {what} in which form?  Verdict: {words}", "", "bold")
    yield Entry()
    room = max(width - len(COLUMNS) - 2, 0)
    yield Entry(f"{COLUMNS}{VALIDATION:>{room}}" if any(map(_scores, made.values())) else COLUMNS)
    forms = FORMS if outgoing.may_ship or outgoing.needs_name else {}
    for form, about in {**forms, **{form: UNTUNED[form] for form in outgoing.untuned}}.items():
        yield Entry(_form(form, outgoing, about, width, form == running[0]), form)
    yield Entry()
    if running[0]:
        yield from running[1]
        yield Entry()
    elif verdict and not (outgoing.may_ship or outgoing.needs_name):
        yield Entry(f"The tuned model {verdict.run} is not released: the verdict is {words}.")
        yield Entry()
    yield from (Entry(line) for line in _standing(outgoing, bool(running[0])))
    if forms and not running[0]:
        yield Entry(f"A form that loses over {100 * outgoing.limit:.1f} points, or changes prompt tokens, is refused.")
        yield Entry(NOT_HERE, "", "dim")
    yield Entry()
    if not running[0]:
        yield Entry("Next: make the marked form.   Enter", "", "bold")


def _standing(outgoing: Outgoing, running: bool) -> Iterator[str]:
    """Yield the summary of the card, the existing releases, and who signed."""
    verdict, released = outgoing.verdict, outgoing.released
    if outgoing.card:
        yield outgoing.card
    if verdict and verdict.accepted:
        yield f'Judgement accepted by {verdict.accepted.by}: "{verdict.accepted.reason}"'
    elif outgoing.needs_name and not released:
        yield "A judgement: Enter asks for your name and a reason first."
    if not released:
        yield "Last release: none."
        return
    if running or not outgoing.is_newest:
        yield f"Last release: {released.id}. A failed step does not change it."
        return
    signed = f' by {released.by}: "{released.reason}"' if released.reason else ""
    yield f"Released {released.id}{signed}: {', '.join(made_forms(released))}."
    yield f"To check it on another machine: rung release verify {released.id}"


def _form(form: str, outgoing: Outgoing, about: str, width: int, running: bool) -> str:
    made = outgoing.made.get(form)
    needed = "" if made else outgoing.lacks(form)
    symbol = "…" if running else "✓" if made else "-" if needed else "○"
    size = megabytes(made.bytes) if made else "-"
    line = f"{symbol} {form:<10}{size:>9}   "
    scores = _scores(made) if made else ""
    said = made.against if made else "making" if running else f"needs a {needed} form" if needed else about
    room = width - len(line) - len(scores) - 3
    if scores and len(said) > room:
        said = said.split(";")[0][: max(room, 0)]
    return f"{line}{said:<{max(room, 0)}}{scores:>{len(scores) + 1}}" if scores else f"{line}{said}"


def making(wanted: str, heard: Sequence[str], width: int) -> tuple[str, list[Entry]]:
    """Return the form in progress, its newest line, and a bar: of its rows, else of the finished forms.

    `heard` are the lines of `rung release`: `merged: making`, `merged: 541.6 MB  16 of 16 equal`,
    `gguf q8_0  42 of 76  55%  about 9 s left`.
    """
    steps = with_needed([wanted])
    said = next((line for line in reversed(heard) if line.split()[0].rstrip(":") in steps), "")
    whole = [step for step in steps if any(re.match(rf"{step}: [\d,.]+ MB", line) for line in heard)]
    now = said.split()[0].rstrip(":") if said else steps[0]
    if now in whole:
        now = next((step for step in steps if step not in whole), wanted)
        said = f"{now}: making" if now not in whole else "card, chain and list of files"
    done, of, unit = len(whole), len(steps), " form" if len(steps) == 1 else " forms"
    if far := FAR.search(said):
        done, of, unit = int(far[1].replace(",", "")), int(far[2].replace(",", "")), ""
        said = said.replace(far[0], far[0].rpartition("  ")[0])
    columns = min(max(width - 16, BAR[0]), BAR[1])
    filled = round(columns * done / max(of, 1))
    bar = f"{'━' * filled}{'─' * (columns - filled)}  {done:,} of {of:,}{unit}"
    return now, [Entry(shown(said or f"{now}: starting"), "", "bold"), Entry(bar)]


def _scores(made: ReleasedForm) -> str:
    """`85.7%`: the validation score of a form whose numbers are other ones than the run's; the lowest of several."""
    found = made.facts.get("validation") or {}
    scores = [each["score"] for each in found.values() if isinstance(each, dict) and "score" in each]
    return f"{min(scores):.1%}" if scores else ""


def offered(trouble: Sequence[str]) -> str:
    """Return the release command that a refused form names in its place; empty if it names none."""
    for line in trouble:
        command = line.strip().removeprefix("-> ")
        if line.strip().startswith(OFFER) and "--to" in command.split()[:-1] and "RUN" not in command:
            return command
    return ""


def taken(command: str) -> str:
    """Return the result of an offered command, in words: `gguf q8_0`."""
    words = command.split()
    named = [words[words.index(name) + 1] for name in ("--to", "--gguf") if name in words[:-1]]
    return " ".join(named).replace(",", " and ")


def facts_words(facts: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield the measurements of a form, a line per figure."""
    for name, value in facts.items():
        word = shown(str(name).replace("_", " "))
        if isinstance(value, dict):
            yield f"{indent}{word}"
            yield from facts_words(value, indent + "  ")
        elif value is not None:
            yield f"{indent}{word}: {f'{value:.4g}' if isinstance(value, float) else shown(str(value))}"


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
        card = card_line(project, verdict if may_ship or needs_name else None, measured)
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
