"""What the Release screen says: a line a form, what is out already, what a refused form is offered instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.verdict import Verdict
from rung.tui.text import shown
from rung.tui.widgets.marked import Entry

if TYPE_CHECKING:
    from training.release.record import Form, Release

FORMS = {
    "adapter": "is the run",
    "merged": "one whole model, parity checked",
    "gguf": "for llama.cpp, from the merged",
    "gptq": "4 bit, by llmcompressor",
    "ollama": "a Modelfile, from the gguf",
    "vllm": "command and compose file",
    "tgi": "command and compose file",
}
NOT_HERE = "awq is calibrated on a GPU: rung release RUN --to awq"
PROMPT = "text, examples, settings, card"
COLUMNS = "  Form           Size   Against the run"
VALIDATION = "Validation"
OFFER = "-> rung release "


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What may go out: the verdict where there is one, and what was released."""

    verdict: Verdict | None
    may_ship: bool
    needs_name: bool
    released: Release | None
    folder: Path | None
    limit: float
    """How much of the metric a changed form may lose."""


def made_forms(released: Release | None) -> dict[str, Form]:
    """Form -> what stands of it in release.json."""
    return {form.form: form for form in released.forms} if released else {}


def entries(outgoing: Outgoing, width: int, running: tuple[str, str] = ("", "")) -> Iterator[Entry]:
    """The forms, each with its size and what it was checked against; `running` is the one that is made."""
    verdict, made = outgoing.verdict, made_forms(outgoing.released)
    yield Entry()
    words = f"{verdict.verdict.replace('_', ' ')}, {verdict.created_at:%Y-%m-%d}" if verdict else "none is needed"
    yield Entry(f"Release {verdict.run if verdict else 'the prompt'} in which form?  Verdict: {words}", "", "bold")
    yield Entry()
    room = max(width - len(COLUMNS) - 2, 0)
    yield Entry(f"{COLUMNS}{VALIDATION:>{room}}" if any(map(_scores, made.values())) else COLUMNS)
    forms = FORMS if outgoing.may_ship or outgoing.needs_name else {}
    for form, about in {**forms, "prompt": PROMPT}.items():
        if form == running[0]:
            yield Entry(f"… {form:<9} {'':>9}   {running[1]}", form)
        else:
            yield Entry(_form(form, made.get(form), about, width), form)
    yield Entry()
    if verdict and not (outgoing.may_ship or outgoing.needs_name):
        yield Entry(f"The tuned model {verdict.run} stays here: the verdict is {words}.")
        yield Entry()
    yield from (Entry(line) for line in _standing(outgoing))
    if forms:
        yield Entry(f"Refused: over {100 * outgoing.limit:.1f} points lost, or other prompt tokens.")
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
    signed = f' by {released.by}: "{released.reason}"' if released.reason else ""
    yield f"Released {released.id}{signed}: {', '.join(made_forms(released))}."
    yield f"Another machine checks it with: rung release verify {released.id}"
    yield "What production makes of it: i opens Watch."


def _form(form: str, made: Form | None, about: str, width: int) -> str:
    symbol = "✓" if made else "○"
    size = f"{made.bytes / 1e6:,.1f} MB" if made else "-"
    line = f"{symbol} {form:<9} {size:>9}   "
    scores = _scores(made) if made else ""
    said = made.against if made else about
    room = width - len(line) - len(scores) - 3
    if scores and len(said) > room:
        said = said.split(";")[0][: max(room, 0)]
    return f"{line}{said:<{max(room, 0)}}{scores:>{len(scores) + 1}}" if scores else f"{line}{said}"


def _scores(made: Form) -> str:
    """`85.7%`: the validation score of a form whose numbers are other ones than the run's; the lowest of several."""
    found = made.facts.get("validation") or {}
    scores = [each["score"] for each in found.values() if isinstance(each, dict) and "score" in each]
    return f"{min(scores):.1%}" if scores else ""


def offered(trouble: Sequence[str]) -> str:
    """The release command that a refused form names in its place; empty where it names none."""
    for line in trouble:
        command = line.strip().removeprefix("-> ")
        if line.strip().startswith(OFFER) and "--to" in command.split()[:-1] and "RUN" not in command:
            return command
    return ""


def taken(command: str) -> str:
    """What an offered command makes, in words: `gguf q8_0`."""
    words = command.split()
    named = [words[words.index(name) + 1] for name in ("--to", "--gguf") if name in words[:-1]]
    return " ".join(named).replace(",", " and ")


def facts_words(facts: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """What was measured of a form, a line a figure."""
    for name, value in facts.items():
        word = shown(str(name).replace("_", " "))
        if isinstance(value, dict):
            yield f"{indent}{word}"
            yield from facts_words(value, indent + "  ")
        elif value is not None:
            yield f"{indent}{word}: {f'{value:.4g}' if isinstance(value, float) else shown(str(value))}"
