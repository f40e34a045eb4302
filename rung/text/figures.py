"""Figures as screens and reports print them: one decimal, signed differences, intervals, dot plots in text."""

from evaluation.arms.registry import arm_name as arm_name
from evaluation.arms.registry import arm_option as arm_option


def percent(score: float) -> str:
    """Return a score: `74.3%`."""
    return f"{_one(100 * score)}%"


def points(difference: float) -> str:
    """Return a difference of scores with its sign: `+11.3 points`."""
    return f"{signed(difference)} points"


def signed(difference: float) -> str:
    """Return a difference in points, signed, without the word; a plain minus for 0.0 never shows."""
    text = _one(100 * difference)
    return text if text.startswith("-") else f"+{text}"


def wrong_answers(difference: float) -> str:
    """Return a difference of counted scores as the change in wrong answers: `183 fewer errors in 1,000`."""
    wrong = round(-1000 * difference)
    if not wrong:
        return "the same number of errors"
    return f"{abs(wrong):,} {'fewer' if wrong < 0 else 'more'} errors in 1,000"


def interval(low: float, high: float) -> str:
    """Return the interval of a score: `(69.1 to 78.9)`."""
    return f"({_one(100 * low)} to {_one(100 * high)})"


def signed_interval(low: float, high: float, confidence: float = 0.95) -> str:
    """Return the interval of a difference with its level: `(95%: +6.3 to +16.3)`."""
    return f"({level(confidence)}: {signed(low)} to {signed(high)})"


def level(confidence: float) -> str:
    """Return a confidence level: `95%`, `97.5%`."""
    return f"{100 * confidence:.4g}%"


def p_text(p: float) -> str:
    """`p < 0.001`, `p = 0.03`; never alone."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"


def duration(seconds: float) -> str:
    """`0.4 s`, `14 min`, `1 h 05 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def money(usd: float | None, places: int = 2) -> str:
    """`$0.07`, `$1,200.00`; `unknown` where no dated price is known."""
    return "unknown" if usd is None else f"${usd:,.{places}f}"


def gib(expected: float, low: float | None = None, high: float | None = None) -> str:
    """Return memory: `8.9 GiB`, with its interval `8.9 GiB (8.1 to 9.7)`."""
    return f"{expected:.1f} GiB" + ("" if low is None or high is None else f" ({low:.1f} to {high:.1f})")


def megabytes(size: float) -> str:
    """Return a file's bytes: `12.3 MB`."""
    return f"{size / 1e6:,.1f} MB"


def as_sentence(note: str) -> str:
    """Return a note as a sentence: a capital letter first, unless a file name is, and a full stop last."""
    text = note.strip()
    first = text.split(maxsplit=1)[0] if text else ""
    start = text if set("./_`") & set(first) else f"{text[:1].upper()}{text[1:]}"
    return start if start.endswith((".", "!", "?")) else f"{start}."


def _one(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text


def dots(low: float, score: float, high: float, width: int, goal: float | None = None, *, plain: bool = False) -> str:
    """Return one row of `width` characters for values in 0..1; `plain` for terminals without line characters."""
    left, line, right, mark = ("|", "-", "|", "o") if plain else ("├", "─", "┤", "o")
    row = [" "] * width
    if goal is not None:
        row[_column(goal, width)] = ":"
    start, middle, end = (_column(value, width) for value in (low, score, high))
    row[start : end + 1] = line * (end + 1 - start)
    row[start], row[end] = left, right
    row[middle] = mark
    return "".join(row).rstrip()


def scale(width: int, goal: float | None = None) -> str:
    """Return the line above the rows: 0%, 50% where there is room, and 100%; a colon at the goal."""
    row = list(f"{'0%':<{width}}")
    middle = _column(0.5, width) - 1
    if middle + 3 < width - 4:
        row[middle : middle + 3] = "50%"
    row[width - 4 :] = "100%"
    if goal is not None and row[_column(goal, width)] == " ":
        row[_column(goal, width)] = ":"
    return "".join(row)


def _column(value: float, width: int) -> int:
    return min(width - 1, max(0, round(value * (width - 1))))
