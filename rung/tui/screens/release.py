"""Release: in which form does it go out?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from evaluation.verdict import Verdict
from rung.report.verdict_words import sentences
from rung.tui.job import Job, JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.screens.sign import SignScreen
from rung.tui.widgets.marked import Entry

FORMS = {
    "adapter": "is the run",
    "merged": "one whole model, parity checked",
    "gguf": "for llama.cpp, from the merged",
    "ollama": "a Modelfile, from the gguf",
    "vllm": "command and compose file",
    "tgi": "command and compose file",
}
NOT_HERE = "gptq and awq are not made here: llmcompressor needs an environment of its own."
SAFE = "Next: x stops it. The last release stays as it is until this one is whole."
PROMPT = "text, examples, settings, card"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What may go out: the verdict where there is one, and what was released."""

    verdict: Verdict | None
    may_ship: bool
    needs_name: bool
    released: dict[str, Any] | None
    folder: Path | None


class ReleaseScreen(LoadedScreen):
    """The forms, what each was checked against, and the one key that makes the marked one."""

    stage = "Release"
    stopped = "Stopped. The half-made form is removed, nothing else."
    keys = (
        ("Enter", "make"),
        ("j/k", "move"),
        ("v", "differences"),
        ("o", "card"),
        ("w", "why"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "make", "make the marked form"),
        Binding("v", "differences", "how the form was found equal to the run"),
        Binding("o", "card", "where the card is"),
        Binding("x", "stop", "stop; the half-made form is removed"),
    ]

    def heading(self) -> str:
        """With the run's name."""
        run = self.data.verdict.run if self.data and self.data.verdict else ""
        return " · ".join(filter(None, ("Release", run, self.source.person)))

    def hints(self) -> Sequence[tuple[str, str]]:
        """While a form is made, `x` is the key that matters."""
        return (("x", "stop"), ("Esc", "leave"), ("F1", "help"), ("^P", "menu")) if self.job else self.keys

    def load(self) -> Loaded:
        """The newest verdict and the newest release."""
        from evaluation.report import newest_report
        from evaluation.verdict import newest_verdict

        project = self.source.project
        found = newest_verdict(project) if project else None
        baseline = newest_report(project, "baseline") if project else None
        if project is None or (found is None and baseline is None):
            return locked("no verdict yet.", 9, "rung evaluate", "rung release --to prompt")
        verdict = found[1] if found else None
        newest = max(project.releases.glob("*/release.json"), default=None)
        released = json.loads(newest.read_text()) if newest else None
        may_ship = verdict is not None and (verdict.verdict == "ship" or verdict.accepted is not None)
        needs_name = verdict is not None and verdict.verdict == "judgement" and not may_ship
        outgoing = Outgoing(verdict, may_ship, needs_name, released, newest.parent if newest else None)
        return Loaded(list(_entries(outgoing)), "", _last(outgoing), outgoing)

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """The command follows the cursor; a form that is being made says how far it is."""
        super().show_loaded(message)
        self._follow_cursor()
        if self.job is not None:
            self._show_making(self.job)

    def show_progress(self, line: str) -> None:
        """Progress stands on the form's own line."""
        if self.job is not None and self.data is not None:
            self._show_making(self.job)

    def _show_making(self, job: Job) -> None:
        """The forms with the one that is made: `…` and its newest line of progress."""
        wanted = job.arguments[job.arguments.index("--to") + 1] if "--to" in job.arguments else ""
        said = job.heard[-1] if job.heard else f"{wanted}: starting"
        form, _, words = said.partition(": ")
        running = (form, words) if form in (*FORMS, "prompt") else (wanted, said)
        self.show_lines([*_entries(self.data, running), Entry(SAFE)])
        self.refresh_frame()

    def cursor_moved(self) -> None:
        """The command follows the cursor."""
        self._follow_cursor()

    def _follow_cursor(self) -> None:
        if self.data is not None and self.marked:
            run = self.data.verdict.run if self.data.verdict and self.marked != "prompt" else ""
            self.command = " ".join(filter(None, ("rung release", run, "--to", self.marked)))

    def why_ref(self, key: str) -> str:
        """The chain behind the last release."""
        return self.data.folder.name if self.data and self.data.folder else "decision"

    def action_make(self) -> None:
        """Make the marked form, after asking once; a judgement asks for name and reason instead."""
        if self.data is None:
            self.repeat_lock()
        elif self.job is not None:
            self.tell("it is running; x stops it")
        elif self.marked != "prompt" and self.data.needs_name:
            self.app.push_screen(self._signing(), self._signed)
        elif self.marked:
            self.ask_once(f"Release as {self.marked}?", self._make)

    def _signing(self) -> SignScreen:
        verdict = self.data.verdict
        about = "\n".join(sentences(verdict))
        does = f"release {verdict.run} as {self.marked} on it"
        return SignScreen(f"JUDGEMENT on {verdict.run}: a named person releases it", about, self.source.person, does)

    def _signed(self, signed: tuple[str, str] | None) -> None:
        if signed is None:
            self.tell("nothing was released")
        else:
            self._make("--by", signed[0], "--reason", signed[1])

    def _make(self, *more: str) -> None:
        self.start_job(*self.command.split()[1:], *more)
        if self.job is not None:
            self._show_making(self.job)

    def action_stop(self) -> None:
        """Stop; the half-made form is removed, the last release stays."""
        if self.job is not None:
            self.job.stop()
            self.tell("stopping …")
        else:
            self.tell("nothing runs here")

    def action_differences(self) -> None:
        """What was compared when the marked form was made."""
        made = _made(self.data.released).get(self.marked) if self.data is not None else None
        if made is None:
            self.tell(f"{self.marked or 'it'} is not made yet")
            return
        from rung.tui.screens.page import PageScreen

        facts = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in made.get("facts", {}).items())
        title = f"{self.marked}: {'how it was measured' if self.marked == 'prompt' else 'against the run'}"
        self.app.push_screen(PageScreen(title, f"{made['against']}\n\n{facts}".strip()))

    def action_card(self) -> None:
        """Say where the card is."""
        if self.data is not None and self.data.folder is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.data.folder / "README.md"))

    def job_ended(self, ended: JobEnded) -> None:
        """Show what is released now."""
        self.reload()


def _made(released: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    return {form["form"]: form for form in (released or {}).get("forms", [])}


def _entries(outgoing: Outgoing, running: tuple[str, str] = ("", "")) -> Iterator[Entry]:
    verdict, released = outgoing.verdict, outgoing.released
    made = _made(released)
    yield Entry()
    words = f"{verdict.verdict.replace('_', ' ')}, {verdict.created_at:%Y-%m-%d}" if verdict else "none is needed"
    yield Entry(f"Release {verdict.run if verdict else 'the prompt'} in which form?  Verdict: {words}", "", "bold")
    yield Entry()
    yield Entry("  Form           Size   Against the run")
    forms = FORMS if outgoing.may_ship or outgoing.needs_name else {}
    for form, about in {**forms, "prompt": PROMPT}.items():
        if form == running[0]:
            yield Entry(f"… {form:<9} {'':>9}   {running[1]}", form)
        else:
            yield Entry(_form(form, made.get(form), about), form)
    yield Entry()
    if verdict and not (outgoing.may_ship or outgoing.needs_name):
        yield Entry(f"The tuned model {verdict.run} stays here: the verdict is {words}.")
        yield Entry()
    yield from (Entry(line) for line in _standing(outgoing))
    if forms:
        yield Entry(NOT_HERE, "", "dim")
    yield Entry()
    if not running[0]:
        yield Entry("Next: make the marked form.   Enter", "", "bold")


def _standing(outgoing: Outgoing) -> Iterator[str]:
    """What is out already, and who signed."""
    verdict, released = outgoing.verdict, outgoing.released
    if verdict and verdict.accepted:
        yield f'Judgement accepted by {verdict.accepted.by}: "{verdict.accepted.reason}"'
    elif outgoing.needs_name and not released:
        yield "It is a judgement: Enter asks for a name and a reason first."
    if not released:
        yield "Last release: none. A failed step leaves it as it was."
        return
    signed = f' by {released["by"]}: "{released["reason"]}"' if released.get("reason") else ""
    yield f"Released {released['id']}{signed}: {', '.join(_made(released))}."
    yield f"Another machine checks it with: rung release verify {released['id']}"


def _form(form: str, made: dict[str, Any] | None, about: str) -> str:
    symbol = "✓" if made else "○"
    size = f"{made['bytes'] / 1e6:,.1f} MB" if made else "-"
    return f"{symbol} {form:<9} {size:>9}   {made['against'] if made else about}"


def _last(outgoing: Outgoing) -> str:
    return f"releases/{outgoing.folder.name}" if outgoing.folder else ""
