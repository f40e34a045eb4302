"""Release: in which form does it go out?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from evaluation.verdict import Verdict
from rung.tui.job import JobEnded
from rung.tui.loaded import Loaded, LoadedScreen, locked
from rung.tui.widgets.marked import Entry

FORMS = {
    "adapter": "is the run",
    "merged": "merged into the full-precision base, parity checked",
    "gguf": "for llama.cpp, made from the merged model",
    "ollama": "a Modelfile, made from the gguf",
    "vllm": "command and compose file",
    "tgi": "command and compose file",
}
PROMPT = "its text, its examples, its settings, the report and a card"


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
    keys = (
        ("Enter", "make"),
        ("j/k", "move"),
        ("o", "card"),
        ("w", "why"),
        ("F1", "help"),
        ("^P", "menu"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "make", "make the marked form"),
        Binding("o", "card", "where the card is"),
    ]

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
        """The command follows the cursor."""
        super().show_loaded(message)
        self._follow_cursor()

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
        """Make the marked form, after asking once; a judgement needs a name and a reason, which the shell takes."""
        if self.data is None:
            self.repeat_lock()
        elif self.marked != "prompt" and self.data.needs_name:
            self.tell("a judgement needs a person: --by NAME --reason TEXT")
        elif self.marked:
            words = self.command.split()[1:]
            self.ask_once(f"Release as {self.marked}?", lambda: self.start_job(*words))

    def action_card(self) -> None:
        """Say where the card is."""
        if self.data is not None and self.data.folder is not None and self.source.project is not None:
            self.tell(self.source.project.relative(self.data.folder / "README.md"))

    def job_ended(self, ended: JobEnded) -> None:
        """Show what is released now."""
        self.reload()


def _entries(outgoing: Outgoing) -> Iterator[Entry]:
    verdict, released = outgoing.verdict, outgoing.released
    made = {form["form"]: form for form in (released or {}).get("forms", [])}
    yield Entry()
    words = verdict.verdict.replace("_", " ") if verdict else "none, the prompt is enough"
    yield Entry(f"Release in which form?      Verdict: {words}", "", "bold")
    yield Entry()
    yield Entry("  Form           Size   Against the run")
    for form, about in FORMS.items():
        if outgoing.may_ship or outgoing.needs_name:
            yield Entry(_form("✓" if form in made else "○", form, made.get(form), about), form)
    yield Entry(_form("✓" if "prompt" in made else "○", "prompt", made.get("prompt"), PROMPT), "prompt")
    yield Entry()
    if verdict and not (outgoing.may_ship or outgoing.needs_name):
        yield Entry(f"The tuned model {verdict.run} stays here: the verdict is {words}.")
        yield Entry()
    if released:
        names = ", ".join(made)
        yield Entry(f"Released {released['id']}: {names}. Another machine checks it with:")
        yield Entry(f"rung release verify {released['id']}")
    else:
        yield Entry("Last release: none. A failed step leaves it as it was.")
    yield Entry()
    yield Entry("Next: make the marked form.   Enter", "", "bold")


def _form(symbol: str, form: str, made: dict[str, Any] | None, about: str) -> str:
    size = f"{made['bytes'] / 1e6:,.1f} MB" if made else "-"
    return f"{symbol} {form:<9} {size:>9}   {made['against'] if made else about}"


def _last(outgoing: Outgoing) -> str:
    return f"releases/{outgoing.folder.name}" if outgoing.folder else ""
