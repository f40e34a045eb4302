"""Figures as sentences, and dot plots drawn in text."""


def wrong_answers(difference: float) -> str:
    """Return a difference of counted scores as the change in wrong answers: `183 fewer errors in 1,000`."""
    wrong = round(-1000 * difference)
    if not wrong:
        return "the same number of errors"
    return f"{abs(wrong):,} {'fewer' if wrong < 0 else 'more'} errors in 1,000"


def as_sentence(note: str) -> str:
    """Return a note as a sentence: a capital letter first, unless a file name is, and a full stop last."""
    text = note.strip()
    first = text.split(maxsplit=1)[0] if text else ""
    start = text if set("./_`") & set(first) else f"{text[:1].upper()}{text[1:]}"
    return start if start.endswith((".", "!", "?")) else f"{start}."


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
