"""Stored requests of logs: `watch/W-001/requests.jsonl.gz`, and `import.json`, written last."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from curation.example import Example
from training.monitoring.fields import Message
from training.monitoring.request_joining import Finder
from workspace.artefact import Artefact, ArtefactPart, read_artefact
from workspace.errors import Refusal, RungError
from workspace.files import is_unchanged, packing
from workspace.folder import Project, oldest_first
from workspace.json_types import JsonObject

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


def find_logged(project: Project, ref: str) -> Logged:
    """Return the request `W-001:17`. Raises RungError if there is none."""
    watched = read_watched(project)
    for each in watched.requests:
        if each.ref == ref:
            return each
    raise RungError(f"No request {ref} is kept here: not imported, not drawn, or known before.", "rung watch report")


def import_of(project: Project, ref: str) -> Import:
    """Return the import that the request `W-001:17` came with. Raises RungError if it cannot be read."""
    return read_artefact(watch_folder(project) / ref.partition(":")[0] / IMPORT, Import)


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
