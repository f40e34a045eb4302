"""A model as judge: what it is asked, and how its replies are read. What to believe: evaluation/judge/correction.py."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chat.protocols import Ask, ChatModel, Progress, Reply
from evaluation.ask import Replies, ask_all
from workspace.errors import RungError
from workspace.files import read_utf8
from workspace.folder import Project
from workspace.settings import Settings

RUBRIC_FILE = "judge.md"
ROOM = 1024
"""Tokens that a verdict may take where nobody says otherwise: a judge may think first."""
MOST_UNREADABLE = 0.05
"""Share of verdicts that may be unreadable; with more, the scores would say nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """Input of the judge: a question, the reference answer, and an output."""

    question: str
    expected: str
    output: str


def read_rubric(project: Project) -> str:
    """judge.md. Raises RungError if it is missing or empty."""
    path = project.root / RUBRIC_FILE
    text = read_utf8(path).strip() if path.is_file() else ""
    if not text:
        raise RungError(f"{RUBRIC_FILE} is missing or empty: it says what a good answer is.", where=str(path))
    return text


def _unreadable(model: str, lost: Sequence[Reply], asked: int, room: int) -> RungError:
    cut = sum(reply.stopped == "length" for reply in lost)
    refused = sum(reply.stopped == "refused" for reply in lost)
    ways = [f"{n} {what}" for n, what in ((cut, f"cut at {room} tokens"), (refused, "refused")) if n]
    shown = next((reply.text.strip() for reply in lost if reply.text.strip()), "")
    example = f" One of them: {shown[:60]!r}." if shown else ""
    told = f"{len(lost)} of {asked} verdicts of the judge {model} cannot be read{''.join(f' ({w})' for w in ways)}."
    hint = f"[judge] max_tokens = {4 * room} in rung.toml" if cut else "another [judge] base, or a plainer judge.md"
    return RungError(told + example, hint, where="[judge]", expected="YES or NO, or 1 to 5", found=shown)


def _yes_or_no(text: str) -> float | None:
    word = _verdict(r"yes|no", text)
    return None if word is None else float(word == "yes")


def _one_to_five(text: str) -> float | None:
    number = _verdict(r"[1-5](?![\d.,]*\d)", text)
    return None if number is None else (int(number) - 1) / 4


def _verdict(words: str, text: str) -> str | None:
    """Return the word that a reply begins with, or that is all of its last line, in lower case."""
    last = text.strip().rpartition("\n")[2]
    found = re.match(rf"\W*({words})\b", text, re.IGNORECASE) or re.fullmatch(rf"\W*({words})\W*", last, re.IGNORECASE)
    return found[1].lower() if found else None


GRADES: dict[str, tuple[str, Callable[[str], float | None]]] = {
    "rubric": ("Does the answer to judge meet the rubric? Reply with YES or NO.", _yes_or_no),
    "score": (
        "How well does the answer to judge meet the rubric? Reply with a whole number from 1 (not at all) "
        "to 5 (fully).",
        _one_to_five,
    ),
}
"""Kinds of judge ([judge] kind): what each is asked of one output, and how its reply becomes a score in 0..1."""


def grade_ask(kind: str, rubric: str, case: Case, room: int = ROOM) -> Ask:
    """Return the request to grade one output; `kind` is a key of GRADES."""
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{case.question}\n\nReference answer:\n{case.expected}\n\n"
        f"Answer to judge:\n{case.output}\n\n{GRADES[kind][0]}"
    )
    return Ask(({"role": "user", "content": text},), room)


class ModelJudge:
    """A model that grades single items. `unreadable` counts the verdicts that could not be read, `asked` all."""

    def __init__(self, model: ChatModel, kind: str, rubric: str, replies: Replies, room: int = ROOM) -> None:
        self.model, self.kind, self.rubric, self.replies, self.room = model, kind, rubric, replies, room
        self.asked = self.unreadable = 0

    def grade(self, cases: Sequence[Case], watch: Progress | None = None) -> list[float | None]:
        """Grade each case: 0 or 1 for a rubric, 0 to 1 in quarters for a score; None for a reply that cannot be read.

        Raises RungError if over 5% (and more than one) are unreadable.
        """
        asks = [grade_ask(self.kind, self.rubric, case, self.room) for case in cases]
        found = ask_all(self.model, asks, self.replies, watch)
        said = [GRADES[self.kind][1](reply.text) for reply in found]
        lost = [reply for reply, value in zip(found, said, strict=True) if value is None]
        if len(lost) > max(1, MOST_UNREADABLE * len(found)):
            raise _unreadable(self.model.name, lost, len(found), self.room)
        self.asked += len(said)
        self.unreadable += len(lost)
        return said

    def __call__(self, cases: Sequence[Case]) -> list[float]:
        """Return a score a case, in 0..1; a verdict that cannot be read scores 0."""
        return [value or 0.0 for value in self.grade(cases)]

    @property
    def notes(self) -> list[str]:
        """Return the number of verdicts that could not be read; empty if all could."""
        if not self.unreadable:
            return []
        return [f"{self.unreadable} of {self.asked} verdicts of the judge could not be read and count as 0"]


def project_judge(project: Project, settings: Settings, model: ChatModel | None, replies: Replies) -> ModelJudge:
    """Return the judge of rung.toml with judge.md. Raises RungError if one of the two is missing."""
    if model is None:
        raise RungError('metric = "judge" needs a judge: [judge] base.', where="rung.toml")
    return ModelJudge(model, settings.judge.kind, read_rubric(project), replies, settings.judge.max_tokens)
