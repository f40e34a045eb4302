"""Requests of logs: put together from lines, and stored (`watch/W-001/requests.jsonl.gz`; `import.json` last)."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from curation.example import Example
from training.monitoring.fields import Message
from training.monitoring.log_lines import SAYING, LogPart
from training.monitoring.pii import masked_text
from workspace.artefact import Artefact, ArtefactPart, read_artefact
from workspace.errors import Refusal, RungError
from workspace.files import is_unchanged, packing
from workspace.folder import Project, oldest_first
from workspace.json_types import JsonObject

HALVES = {"request": "a request without its answer", "response": "an answer without its request"}
ROW = (
    f"a row with its answer among the messages, not a logged request: none of {', '.join(SAYING)} is beside them; "
    "rung data import takes rows"
)
SEVERAL = "feedback on a trace of several requests, none of which it names"


@dataclass
class JoinedRequests:
    """Complete requests in order of their first line; incomplete lines, with a reason; feedback on other requests."""

    requests: list[LogPart] = field(default_factory=list)
    aside: list[tuple[int, str]] = field(default_factory=list)
    feedback: list[LogPart] = field(default_factory=list)
    joined: int = 0
    """Lines beyond the first of a request, feedback lines that found theirs among them."""


class Finder:
    """Finds the request of a feedback: the last one that has the id, or the only one of that trace."""

    def __init__(self, requests: Iterable[tuple[Iterable[str], str]]) -> None:
        self.by_name: dict[str, int] = {}
        self.by_trace: dict[str, list[int]] = {}
        for n, (names, trace) in enumerate(requests):
            self.by_name.update(dict.fromkeys(names, n))
            self.by_trace.setdefault(trace, []).append(n)

    def find(self, names: Iterable[str], trace: str) -> int | None:
        """Return its place among the requests; None if none is meant, or it may be one of several."""
        for name in names:
            if name in self.by_name:
                return self.by_name[name]
        if not trace or self.holds_several(trace):
            return None
        return self.by_trace[trace][0] if trace in self.by_trace else self.by_name.get(trace)

    def holds_several(self, trace: str) -> bool:
        """True if a trace is named that holds more than one request."""
        return bool(trace) and len(self.by_trace.get(trace, ())) > 1


def join(parts: Iterable[LogPart], model: str = "") -> JoinedRequests:
    """Put together what belongs together, by the ids that lines share; then set aside requests to another `model`."""
    found = JoinedRequests()
    waiting: dict[str, LogPart] = {}
    alone: dict[int, LogPart] = {}
    said_later: list[LogPart] = []
    for part in parts:
        if part.kind == "other":
            found.aside.append((part.line, part.why))
        elif part.kind == "feedback":
            said_later.append(part)
        elif part.kind == "whole":
            found.requests.append(part)
        elif (half := _other_half(part, waiting)) is None:
            alone[part.line] = part
        else:
            del alone[half.line]
            found.requests.append(_whole(*((part, half) if part.kind == "request" else (half, part))))
    for each in alone.values():
        is_row = bool(each.messages) and each.messages[-1].get("role") == "assistant"  # as training rows end
        found.aside.append((each.line, ROW if is_row else HALVES[each.kind]))
    finder = Finder((request.ids, request.trace) for request in found.requests)
    _attach(said_later, found, finder)
    found.requests = [
        replace(each, trace="") if finder.holds_several(each.trace) else each
        for each in sorted(found.requests, key=lambda part: part.line)
    ]
    if model:
        _only(model, found)
    found.joined = sum(len(request.more) for request in found.requests)
    return found


def _only(model: str, found: JoinedRequests) -> None:
    """Requests to this model, or to none that is named; the others aside, with all lines that belong to them."""
    others = [request for request in found.requests if request.model not in ("", model)]
    found.requests = [request for request in found.requests if request.model in ("", model)]
    for request in others:
        why = f"of a request to {masked_text(request.model)}"
        found.aside += [(line, why) for line in (request.line, *request.more)]


def _other_half(part: LogPart, waiting: dict[str, LogPart]) -> LogPart | None:
    """Return the answer to this request, or the request of this answer, by a shared id; else the part waits for it."""
    half = next((waiting[name] for name in part.ids if name in waiting and waiting[name].kind != part.kind), None)
    if half is None:
        waiting.update(dict.fromkeys(part.ids, part))
        return None
    for name in half.ids:
        if waiting.get(name) is half:
            del waiting[name]
    return half


def _whole(asked: LogPart, answer: LogPart) -> LogPart:
    """Return the request with its answer, and with what only the answer's line knows."""
    ids = tuple(dict.fromkeys((*asked.ids, *answer.ids)))
    names = ("model", "at", "seconds", "input_tokens", "output_tokens", "cost_usd", "trace")
    fresh = {name: getattr(answer, name) for name in names if getattr(asked, name) in (None, "")}
    feedback = answer.feedback.over(asked.feedback)
    return replace(asked, kind="whole", said=answer.said, more=(answer.line,), ids=ids, feedback=feedback, **fresh)


def _attach(said_later: Iterable[LogPart], found: JoinedRequests, finder: Finder) -> None:
    for part in said_later:
        at = finder.find(part.ids, part.trace)
        if at is None:
            why = "" if part.ids or part.trace else "feedback that names no request"
            why = SEVERAL if not part.ids and finder.holds_several(part.trace) else why
            if why:
                found.aside.append((part.line, why))
            else:
                found.feedback.append(part)
            continue
        request = found.requests[at]
        more = (*request.more, part.line)
        found.requests[at] = replace(request, feedback=part.feedback.over(request.feedback), more=more)


IMPORT = "import.json"
REQUESTS = "requests.jsonl.gz"
FEEDBACK = "feedback.jsonl.gz"
ASIDE = "aside.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Logged:
    """One request to the released model and its result, masked.

    `ref` is `W-001:17`, the line of its file. `rating` is -1..1, below 0 for a bad one. `finish` is stop, length,
    content_filter or tool_calls, as far as the log says.
    """

    ref: str
    hash: str
    ids: tuple[str, ...]
    messages: tuple[Mapping[str, Any], ...]
    answer: str
    model: str = ""
    at: str = ""
    finish: str = ""
    error: str = ""
    tool_calls: tuple[Any, ...] = ()
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    rating: float | None = None
    edit: str = ""
    comment: str = ""
    others: int = 0
    drawn: bool = True
    """False for requests that an older version kept beyond a sample: they are in no measure."""
    line: int = 0
    trace: str = ""

    @property
    def imported(self) -> str:
        """The import that it came with: `W-001`."""
        return self.ref.partition(":")[0]

    @property
    def said(self) -> list[Message]:
        """The answer as a message; none where the request failed."""
        if not self.answer.strip() and not self.tool_calls:
            return []
        calls = {"tool_calls": list(self.tool_calls)} if self.tool_calls else {}
        return [{"role": "assistant", "content": self.answer, **calls}]

    @property
    def example(self) -> Example:
        """Request and answer as a row."""
        return Example({"messages": [*self.messages, *self.said]})


class LogFile(ArtefactPart):
    """A file that was imported: its path as given, hash, and what became of its lines."""

    path: str
    sha256: str
    lines: int
    rejected: int


class Import(Artefact):
    """`watch/W-001/import.json`. Its existence means that the folder is whole.

    requests = kept + known; lines = requests + joined + aside + rejected + empty + feedback. Of the known ones
    `said_again` brought feedback that was not known. `masked` counts what was taken out, by kind. Older versions drew a
    `sample` by `seed`.
    """

    id: str
    release: str | None = None
    files: list[LogFile]
    lines: int
    empty: int
    requests: int
    kept: int
    known: int
    not_drawn: int = 0
    beyond_sample: int = 0
    said_again: int = 0
    joined: int
    aside: int
    rejected: int
    feedback: int
    why_aside: dict[str, int] = {}
    sample: float = 1.0
    seed: int = 0
    only_model: str = ""
    """The model whose requests were asked for; empty for all."""
    scale: list[float] = []
    """Lowest and highest value of the scale that ratings were read on; empty if none was a number."""
    scores_unread: dict[str, int] = {}
    """Scores that no person gave, by name."""
    ratings_unclear: dict[str, int] = {}
    """Value in the field of the rating that is neither a number nor a known word."""
    masked: dict[str, int] = {}
    models: dict[str, int] = {}
    first_at: str = ""
    last_at: str = ""
    without_time: int = 0
    out_of_order: int = 0
    rated: int = 0
    edited: int = 0
    failed: int = 0
    contents: dict[str, str] = {}
    """SHA-256 of each file of the folder."""


@dataclass
class ProductionLog:
    """Every request of a project's logs, in order of time, feedback of later imports in. One without a time is
    where the line before it does.

    `unmatched` counts feedback whose request is not here.
    """

    imports: list[Import] = field(default_factory=list)
    requests: list[Logged] = field(default_factory=list)
    unmatched: int = 0


def watch_folder(project: Project) -> Path:
    """`watch/`."""
    return project.root / "watch"


def read_imports(project: Project) -> list[tuple[Path, Import]]:
    """Return every complete import with its folder, in order."""
    found = oldest_first(watch_folder(project).glob(f"W-*/{IMPORT}"))
    return [(path.parent, read_artefact(path, Import)) for path in found]


def read_watched(project: Project) -> ProductionLog:
    """Return all requests of all imports. Raises Refusal if there are none, or a file is not what was imported."""
    found = ProductionLog()
    later: list[Mapping[str, Any]] = []
    for folder, made in read_imports(project):
        found.imports.append(made)
        found.requests += read_requests(folder, made)
        later += read_gz(folder / FEEDBACK)
    if not found.imports:
        raise Refusal("No request log was imported yet.", "rung watch import LOGS")
    found.unmatched = _apply(later, found.requests)
    dated, last = [], ""
    for each in found.requests:  # in order of their lines: one without a time follows the request before it
        last = each.at or last
        dated.append((last, each))
    found.requests = [each for _, each in sorted(dated, key=lambda pair: pair[0])]
    return found


def read_requests(folder: Path, made: Import) -> list[Logged]:
    """Return the requests of one import. Raises Refusal if a file of it is not what was imported."""
    for name, digest in made.contents.items():
        if not is_unchanged(folder / name, digest):
            hint = f"put its folder back, or remove {folder} and import its logs again"
            raise Refusal(f"{folder / name}: changed since it was imported.", hint)
    lists = ("ids", "messages", "tool_calls")
    return [Logged(**entry | {name: tuple(entry[name]) for name in lists}) for entry in read_gz(folder / REQUESTS)]


def find_logged(project: Project, ref: str) -> tuple[Logged, Import]:
    """Return the request `W-001:17` and the import that it came with. Raises RungError if there is none."""
    watched = read_watched(project)
    for each in watched.requests:
        if each.ref == ref:
            return each, next(made for made in watched.imports if made.id == each.imported)
    raise RungError(f"No request {ref} is kept here: not imported, not drawn, or known before.", "rung watch report")


def _apply(later: Iterable[Mapping[str, Any]], requests: list[Logged]) -> int:
    """Put feedback of later imports onto its request; return how many found none."""
    finder = Finder(((*each.ids, each.hash), each.trace) for each in requests)
    unmatched = 0
    for entry in later:
        at = finder.find((entry.get("hash", ""), *entry["ids"]), entry["trace"])
        if at is None:
            unmatched += 1
            continue
        given = {name: entry[name] for name in ("rating", "edit", "comment") if entry[name] not in (None, "")}
        requests[at] = replace(requests[at], **given)
    return unmatched


def write_gz(path: Path, entries: Iterable[Any]) -> None:
    """Write JSON Lines, gzipped: the same entries give the same bytes."""
    with packing(path) as file:
        for entry in entries:
            table = asdict(entry) if isinstance(entry, Logged) else entry
            file.write(json.dumps(table, ensure_ascii=False, default=str).encode() + b"\n")


def read_gz(path: Path) -> Iterator[JsonObject]:
    """Yield the entries of such a file; none if it is not there."""
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
