"""Text of the Release screen: a line per form, existing releases, alternatives to a refused form."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.split.manifest import Manifest
from evaluation.measurement_report import Report
from evaluation.verdict.rule import Verdict
from rung.tui.widgets.lines import Entry, shown
from training.release.releases import NEEDS, Release, ReleasedForm, with_needed
from training.runs import RunRecord
from workspace.counted import counted, megabytes

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


def card_line(manifest: Manifest | None, run: RunRecord | None, baseline: Report | None) -> str:
    """`Card: 2 reviewers, kappa 0.81, 4 arms, 0 overrides`: of what is known; of the prompt only its arms."""
    words = []
    if manifest is not None:
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
