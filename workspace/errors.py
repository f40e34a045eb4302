"""The one family of errors that a user may see. Only `rung/` prints them and sets exit codes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean "x"?` for the nearest known word, or an empty string."""
    return _nearest(word.lower(), tuple(known))


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str:
    """Remembered: a fault that is in every hundredth line of a file is the same each time."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f' Did you mean "{near[0]}"?' if near else ""


class RungError(Exception):
    """Something the user can put right: bad usage or bad input. Nothing was written.

    `message` holds the value, the place and the rule; `hint` the next step; `where`, `expected` and `found` repeat
    the parts for `--json`.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", *, where: str = "", expected: str = "", found: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where
        self.expected = expected
        self.found = found

    def as_json(self) -> dict[str, object]:
        """Return the document that `--json` prints instead of a result."""
        return {
            "message": self.message,
            "where": self.where or None,
            "expected": self.expected or None,
            "found": self.found or None,
            "hint": self.hint or None,
        }


class Refusal(RungError):
    """A check or a gate says no (exit 1): the finding, why, and what to do. Nothing was started."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an input. `where` is `file line 4`, or `file:4`; `text` a whole sentence."""

    text: str
    where: str = ""
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text


class InputError(RungError):
    """All the problems of one input, reported at once."""

    def __init__(self, problems: Sequence[Problem], hint: str = "") -> None:
        first = problems[0]
        super().__init__(
            "\n".join(str(problem) for problem in problems),
            hint,
            where=first.where,
            expected=first.expected,
            found=first.found,
        )
        self.problems = tuple(problems)

    def as_json(self) -> dict[str, object]:
        """Return the fields of any error, and `problems` with each of them."""
        each = [{"message": p.text, "where": p.where, "expected": p.expected, "found": p.found} for p in self.problems]
        return {**super().as_json(), "problems": each}
