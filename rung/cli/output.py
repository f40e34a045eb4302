"""Output of commands: results to stdout, progress and logs to stderr."""

from __future__ import annotations

import atexit
import codecs
import contextlib
import json
import logging
import os
import platform
import re
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from rung import __version__
from rung.status.following import FILE, after
from rung.symbols import ASCII
from workspace.errors import RungError

if TYPE_CHECKING:
    from training.gates.gate import Gate
    from workspace.folder import Project

ROWS_IN_LOG = ("sqlalchemy", "openai", "anthropic", "httpcore")
"""Loggers that may hold row text below WARNING: they stay as they are."""


@dataclass
class Manner:
    """Verbosity of this process: `quiet` or `verbose`, and since when; `rows_on_stdout`: the report goes to stderr."""

    quiet: bool = False
    verbose: bool = False
    rows_on_stdout: bool = False
    began: float = 0.0

    def stamp(self) -> str:
        """Return the seconds since the start, for a line of progress, with `--verbose`."""
        return f"[{time.monotonic() - self.began:6.1f} s] " if self.verbose else ""


manner = Manner()


def speak(*, quiet: bool, verbose: bool) -> None:
    """Apply `--quiet` and `--verbose`, before or after the command's name. Raises RungError if both are asked for."""
    manner.quiet, newly = manner.quiet or quiet, verbose and not manner.verbose
    manner.verbose = manner.verbose or verbose
    if manner.quiet and manner.verbose:
        manner.quiet = manner.verbose = False
        raise RungError("--quiet and --verbose cannot be combined.", "use one of them")
    if newly:
        begin_verbose()


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print the logger's name and the first line of its text."""
        if manner.verbose:
            note(f"{record.name}: {record.getMessage().splitlines()[0] if record.getMessage() else ''}")


def begin_verbose() -> None:
    """Say what runs and where, hear the libraries' logs from INFO on, and at the end say time and memory."""
    manner.began = time.monotonic()
    overrides = sorted(name for name in os.environ if name.startswith("RUNG_"))
    note(f"rung {__version__} on Python {platform.python_version()}, {sys.executable}, in {Path.cwd()}")
    note(f"set in the environment: {', '.join(overrides) or 'nothing of Rung'}")
    logging.getLogger().addHandler(_Notes())
    logging.getLogger().setLevel(logging.INFO)
    for name in ROWS_IN_LOG:
        logging.getLogger(name).setLevel(logging.WARNING)
    atexit.register(_say_usage)


def _say_usage() -> None:
    if not manner.verbose:  # a later command of this process is not
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = used.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    complain(f"{manner.stamp()}{used.ru_utime + used.ru_stime:.1f} CPU-seconds, {most:,.0f} MiB at most")


_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    r"""Return the text that a terminal shows and never obeys: escapes, control and direction marks as `\u001b`."""
    return _ACTS.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text)


COLOURS = {"✓": "32", "!": "33", "✗": "1;31"}
"""Colours of signs at the beginning of a line: done, needs you, blocks."""
SIGN = re.compile(r"( *(?:\d )?)([✓!✗])(?= )")
LOUD = re.compile(r"Next: |SHIP\b|KEEP THE PROMPT\b|JUDGEMENT\b|NEED MORE DATA\b")


def say(line: str = "") -> None:
    """Print a line of the result on stdout; row text in it cannot control the terminal."""
    text = harmless(line)
    _follow(None)
    if manner.rows_on_stdout:
        sys.stderr.write(f"{text}\n")
    else:
        sys.stdout.write(f"{coloured(text) if shows_colour() else text}\n")


def shows_colour() -> bool:
    """True if stdout is a terminal with colours enabled (https://no-color.org)."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def coloured(text: str) -> str:
    """Return the line with the colour of the sign that it begins with; the next command and a verdict are bold."""
    if found := SIGN.match(text):
        return f"{found[1]}\x1b[{COLOURS[found[2]]}m{found[2]}\x1b[0m{text[found.end() :]}"
    return f"\x1b[1m{text}\x1b[0m" if LOUD.match(text) else text


def show(as_json: bool, document: Any, lines: Iterable[str]) -> None:
    """Write the result: the JSON document with `--json`, else the lines."""
    if as_json:
        emit(document)
        return
    for line in lines:
        say(line)


def show_locked(gates: Sequence[Gate], as_json: bool) -> NoReturn:
    """Print all six gates with what opens them, and exit 1."""
    from rung.text.training_text import locked_lines, passed_of

    each = [gate.model_dump(mode="json") for gate in gates]
    show(as_json, {"locked": True, "passed": passed_of(gates), "gates": each}, locked_lines(gates))
    raise typer.Exit(1)


def note(line: str) -> None:
    """Print a line of progress or log on stderr, as safe as `say`'s. With `--quiet` only warnings (`! ...`)."""
    if not manner.quiet or line.startswith("!"):
        complain(f"{manner.stamp()}{line}")


def warn_if_empty(rows: int, *paths: Path) -> None:
    """Warn that the input had no rows: an empty file is more often a mistake than a result."""
    if not rows:
        note(f"! {', '.join(map(str, paths))}: no rows were found.")


def complain(line: str) -> None:
    """Print a line on stderr that no flag silences."""
    _follow(None)
    sys.stderr.write(f"{harmless(line)}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def new_folders(*outputs: Path | None) -> Iterator[None]:
    """Report, after the block, each folder that had to be created for an output."""
    missing = dict.fromkeys(path.parent for path in outputs if path and not path.absolute().parent.exists())
    yield
    for folder in missing:
        if folder.exists():
            note(f"Folder created: {folder}")


def keep_stdout_for_rows(as_json: bool, *outputs: Path | None) -> None:
    """Print the report on stderr if an output is standard output (`-o /dev/stdout` in a pipe).

    Raises RungError with `--json`: one stream cannot hold the rows and the document.
    """
    rows_there = [path for path in outputs if path and path.exists() and _is_stdout(path)]
    if rows_there and as_json:
        text = f"{rows_there[0]}: standard output holds the JSON document, so it cannot hold the rows too."
        raise RungError(text, "name another file, or leave out --json", where=str(rows_there[0]))
    if rows_there:
        manner.rows_on_stdout = True


def _is_stdout(path: Path) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


def next_check(written: Path) -> list[str]:
    """Return the command that checks the file just written; a pipe has none."""
    return ["", f"Next: {after(FILE, file=written)}"] if written.is_file() and not manner.rows_on_stdout else []


def next_lines(project: Project, command: str = "") -> Iterator[str]:
    """Yield the end of a result: this command, else the one that the project's status names."""
    from rung.status.stages import next_step

    yield from ("", f"Next: {command or next_step(project)}")


def emit(document: Any) -> None:
    """Write the one JSON document of `--json` to stdout; in plain ASCII where stdout holds no more than that.

    Characters that act on a terminal are written as escapes: a parser reads the same values. It is written piece by
    piece: of a list that is given as an iterator, in a document that is a dict, each entry as it comes, so that a long
    one is never held.
    """
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    encoder = json.JSONEncoder(ensure_ascii=not unicode, indent=1, default=str)
    lists = isinstance(document, dict) and any(isinstance(value, Iterator) for value in document.values())
    pieces = _members(document, encoder) if lists else encoder.iterencode(document)
    sys.stdout.writelines(map(harmless, pieces))  # within JSON these characters are in strings only, as escapes too
    sys.stdout.write("\n")


def _members(document: Mapping[str, Any], encoder: json.JSONEncoder) -> Iterator[str]:
    """Yield the pieces of a dict as the encoder writes it, its iterators as lists."""
    for place, (name, value) in enumerate(document.items()):
        yield f"{',' if place else '{'}\n {encoder.encode(name)}: "
        if not isinstance(value, Iterator):
            yield encoder.encode(value).replace("\n", "\n ")
            continue
        empty = True
        for entry in value:
            text = encoder.encode(entry).replace("\n", "\n  ")  # a line feed within a string is written as \\n
            yield f"{'[' if empty else ','}\n  {text}"
            empty = False
        yield "[]" if empty else "\n ]"
    yield "\n}"


def _plainly(error: UnicodeError) -> tuple[str, int]:
    r"""Replace a character that the encoding lacks by its ASCII equivalent, or `\u....`; for `errors=`."""
    if isinstance(error, UnicodeEncodeError):
        if twin := ASCII.get(ord(error.object[error.start])):
            return twin, error.start + 1
        error.end = error.start + 1
    written, end = codecs.backslashreplace_errors(error)
    return str(written), end


def never_fail_on_text() -> None:
    r"""Write what the terminal's encoding cannot hold (half surrogates, `✓` in ASCII) in signs that it has, not as a
    fault; what would go to a stream that the caller has closed goes nowhere, and a closed standard input is empty.
    """
    codecs.register_error("plainly", _plainly)
    for name, way in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, way))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="plainly")


def show_progress(text: str, *, live: bool) -> None:
    """Write a line on stderr; a `live` one over the one before, cut so that it never takes two: those would stay."""
    columns = shutil.get_terminal_size().columns
    line = f"\r\x1b[2K{harmless(text)[: max(1, columns - 1)]}" if live else f"{manner.stamp()}{harmless(text)}\n"
    sys.stderr.write(line)
    sys.stderr.flush()


def report_error(error: RungError, *, as_json: bool) -> None:
    """Print an error: words to stderr; with `as_json` the error document to stdout as well."""
    complain(error.message)
    if error.hint:
        complain(f"-> {error.hint}")
    if manner.verbose:
        tell_trace(error)
    if as_json:
        emit({"error": error.as_json()})


def tell_trace(error: BaseException) -> None:
    """Print the traceback of an error, without keys and terminal control characters."""
    from chat.keys import without_keys

    complain(without_keys("".join(traceback.format_exception(error))).rstrip("\n"))


_under_way: ProgressLine | None = None
"""The progress line that the cursor of the terminal is on."""
_drawing = threading.RLock()


def _follow(line: ProgressLine | None) -> None:
    """Draw this progress line again each second; with None keep the last one as it is and go on below it."""
    global _under_way
    with _drawing:
        if line is None and _under_way is not None:
            sys.stderr.write("\n")
        _under_way = line
        if line is not None and not line.ticks:
            line.ticks = True
            threading.Thread(target=_tick, args=(line,), daemon=True).start()


def _tick(line: ProgressLine) -> None:
    while True:
        time.sleep(1)
        with _drawing:
            if _under_way is not line:
                line.ticks = False
                return
            line.draw(line.clock())


class ProgressLine:
    """A progress line on a terminal, a plain line every few seconds elsewhere. Call it as `line(done, total)`.

    On a terminal its clock goes on between two calls: a long step does not look like a stop.
    """

    far = (0, 0)
    """Done and total at the last call."""
    ticks = False
    """True if a thread redraws it each second."""
    so_far: Callable[[], float | None] | None = None
    """The score of the items answered so far, set by work that has one; shown if the line is `scored`."""

    def __init__(
        self, what: str, *, every: float = 5.0, clock: Callable[[], float] = time.monotonic, scored: bool = False
    ) -> None:
        self.what, self.scored = what, scored
        self.clock = clock
        self.started = clock()
        self.live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.every = 0.1 if self.live else every
        self.last = self.started

    def __call__(self, done: int, total: int) -> None:
        """Show `done` of `total`, with the share and the time left."""
        moment = self.clock()
        begins = self.live and _under_way is not self
        if manner.quiet or (done < total and moment - self.last < self.every and not begins):
            return
        with _drawing:
            self.far, self.last = (done, total), moment
            self.draw(moment)
        if self.live:
            _follow(self)
            if done >= total:
                _follow(None)

    def draw(self, moment: float) -> None:
        """Show the last call's figures, with the time left at this moment."""
        done, total = self.far
        spent = moment - self.started
        text = f"{self.what}  {done:,} of {total:,}  {done / total if total else 1:.0%}"
        if done >= total:
            text += f"  {spent:.1f} s"
        elif done:
            left = (self.last - self.started) / done * total - spent
            score = self.so_far() if self.scored and self.so_far else None
            beside = "" if score is None else f"  {score:.1%} so far, not a result yet"
            text += f"{beside}  about {max(left, 0):.0f} s left"
        else:
            text += f"  {spent:.0f} s so far"
        show_progress(text, live=self.live)


LARGE = 16 << 20
"""Bytes of a file from which reading it shows progress."""


def bytes_line(what: str, *paths: Path) -> ProgressLine | None:
    """Return a progress line for files that take long enough to want one."""
    return ProgressLine(what) if any(path.is_file() and path.stat().st_size > LARGE for path in paths) else None
