"""Numbers as people read them: counts, scores, differences, intervals, durations, money, bytes."""

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,640 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def all_of(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


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


def interval(low: float, high: float, confidence: float | None = None) -> str:
    """Return the interval of a score: `(69.1 to 78.9)`, with its level if given: `(95%: 69.1 to 78.9)`."""
    return f"({'' if confidence is None else f'{level(confidence)}: '}{_one(100 * low)} to {_one(100 * high)})"


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


def _one(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text
