"""Request logs into the project: read line by line, joined, masked, and stored in one folder or not at all."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import IO

from curation.rows.jsonline import Malformed, decode_object
from curation.rows.rejects import malformed_error
from curation.rows.row import Reject
from curation.rows.source import Progress, open_bytes, readable
from curation.store import open_store
from curation.store.ingest import merge_rejects
from training.monitoring.fields import Feedback, on_scale, scale_of
from training.monitoring.log_lines import LogPart, read_part
from training.monitoring.otel_spans import spans_in
from training.monitoring.pii import Masker, masked_text
from training.monitoring.requests import (
    ASIDE,
    FEEDBACK,
    IMPORT,
    REQUESTS,
    Import,
    LogFile,
    Logged,
    join,
    read_imports,
    read_requests,
    watch_folder,
    write_gz,
)
from training.release.releases import RELEASE, current_release
from workspace.artefact import hashes, write_artefact
from workspace.errors import InputError, Problem, RungError
from workspace.files import put_back, sha256_bytes, sha256_file
from workspace.folder import Project, next_id
from workspace.json_types import JsonObject
from workspace.lock import writer_lock
from workspace.settings import load_settings

CUT_NAME = 60
"""Characters that are kept of a score's name, or of what is no rating."""


@dataclass
class Read:
    """The lines of some logs, read."""

    files: list[LogFile] = field(default_factory=list)
    parts: list[LogPart] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    empty: int = 0

    @property
    def lines(self) -> int:
        """All lines, empty ones too."""
        return sum(file.lines for file in self.files)


def read_logs(paths: Sequence[Path], *, keep_rejects: bool, progress: Progress | None = None) -> Read:
    """Read whole files. Raises InputError for a file that is no log, and without `keep_rejects` for malformed lines."""
    found = Read()
    for path in paths:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not there"
            raise RungError(f"{path}: {what}; expected a request log, one JSON object a line.", where=str(path))
        _read_file(path, found, progress)
    if found.rejects and not keep_rejects:
        raise malformed_error(found.rejects)
    return found


def _read_file(path: Path, found: Read, progress: Progress | None) -> None:
    digest = sha256_file(path)
    start, number, rejected = len(found.parts), 0, 0
    offset = found.lines
    for line in read_lines(path, progress):
        if isinstance(line, Reject) or line is None:
            number += 1
            found.empty += line is None
            rejected += line is not None
            found.rejects += [line] if line else []
            continue
        for each in spans_in(line):  # each span of a trace counts as a line
            number += 1
            part = read_part(each)
            part.line, part.file = offset + number, len(found.files)
            found.parts.append(part)
    _is_a_log(path, found.parts[start:], found.rejects[len(found.rejects) - rejected :])
    found.files.append(LogFile(path=str(path), sha256=digest, lines=number, rejected=rejected))


def _is_a_log(path: Path, parts: Sequence[LogPart], rejects: Sequence[Reject]) -> None:
    """Raise InputError for a file that holds something else altogether."""
    if any(part.kind != "other" for part in parts) or not (parts or rejects):
        return
    if rejects and not parts:
        found = rejects[0].raw[:60].decode("utf-8", "replace")
        reason = rejects[0].reason
    else:
        found, reason = "", f"the first line is {parts[0].why}"
    text = f"no request log: no line holds a request, an answer or feedback ({reason.rstrip('.')})."
    expected = "one JSON object a line, as vLLM, LiteLLM and gateways write them"
    way = {"[": f"jq -c '.[]' {path} > lines.jsonl", "{": f"jq -c . {path} > lines.jsonl"}.get(found[:1])
    raise InputError([Problem(text, str(path), expected, found)], way or "docs/watch.md lists the shapes that are read")


def take_in(
    project: Project, read: Read, *, model: str = "", actor: str = "rung", rejects: Path | None = None
) -> Import | None:
    """Store what is new of these logs (only requests to `model` where one is named) as `watch/W-001`; None if every
    file is empty or was imported before.

    Lines that cannot be read go to `rejects`. Killed at any moment, or on a full disk, it leaves a whole folder or
    none; and where it fails nothing at all. Raises Refusal if an earlier import is not what was imported.
    """
    with writer_lock(watch_folder(project) / ".lock", "An import of logs"):
        before = read_imports(project)
        with put_back(rejects):
            if rejects is not None:
                merge_rejects(rejects, [file.path for file in read.files], read.rejects)
            whole = (made for _, made in before if made.only_model in ("", model) and made.sample == 1)
            covered = {file.sha256 for made in whole for file in made.files}
            if not read.parts or {file.sha256 for file in read.files} <= covered:
                return None
            for left in watch_folder(project).glob(".W-*"):
                shutil.rmtree(left, ignore_errors=True)
            known = {each.hash: judged_of(each) for kept in before for each in read_requests(*kept)}
            return _placed(project, read, model, known, actor)


def _placed(project: Project, read: Read, model: str, known: dict[str, Judged], actor: str) -> Import:
    """Return the import in its folder and in the project's log: both, or neither."""
    name = next_id(watch_folder(project), "W")
    work, target = watch_folder(project) / f".{name}", watch_folder(project) / name
    try:
        made = _store(project, work, read, model, known)
        work.rename(target)
        try:
            with open_store(project, load_settings(project.settings_file)) as store:
                store.event("watch", actor, made.id, {"kept": made.kept, "files": [file.path for file in made.files]})
        except BaseException:
            target.rename(work)
            raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return made


def _store(project: Project, work: Path, read: Read, model: str, known: dict[str, Judged]) -> Import:
    name = work.name.removeprefix(".")
    joined, masker = join(read.parts, model), Masker()
    told = [part.feedback for part in (*joined.requests, *joined.feedback)]
    numbers = [each.rating for each in told if each.rating is not None and not each.words]
    scale = scale_of(numbers)
    kept, said_again = keep(name, joined.requests, known, masker, scale)
    later = [said_later(part, masker, scale) for part in joined.feedback]
    work.mkdir(parents=True)
    write_gz(work / REQUESTS, kept)
    write_gz(work / FEEDBACK, sorted([*later, *said_again], key=lambda entry: int(entry["line"])))
    write_gz(work / ASIDE, ({"line": line, "reason": masker.text(why)} for line, why in sorted(joined.aside)))
    release = current_release(project)
    times = [each.at for each in kept if each.at]
    made = Import(
        id=name,
        release=release[1].id if release else None,
        files=read.files,
        lines=read.lines,
        empty=read.empty,
        requests=len(joined.requests),
        kept=len(kept),
        joined=joined.joined,
        aside=len(joined.aside),
        rejected=len(read.rejects),
        feedback=len(joined.feedback),
        why_aside=dict(Counter(masker.text(why) for _, why in joined.aside).most_common(20)),
        only_model=model,
        scale=list(scale) if numbers else [],
        masked=dict(sorted(masker.counts.items())),
        contents={file.name: sha256_file(file) for file in sorted(work.iterdir())},
        known=len(joined.requests) - len(kept),
        scores_unread=_named(name for part in read.parts for name in part.feedback.unread),
        ratings_unclear=_named(text for part in read.parts for text in part.feedback.unclear),
        said_again=len(said_again),
        made_from=hashes(project.root, release[0] / RELEASE) if release else {},
        models=dict(Counter(each.model or "unknown" for each in kept).most_common(20)),
        first_at=min(times, default=""),
        last_at=max(times, default=""),
        without_time=len(kept) - len(times),
        out_of_order=sum(later < earlier for earlier, later in itertools.pairwise(times)),
        rated=sum(each.rating is not None for each in kept),
        edited=sum(bool(each.edit) for each in kept),
        failed=sum(bool(each.error) for each in kept),
    )
    write_artefact(work / IMPORT, made)
    return made


CUT_ERROR, CUT_FINISH = 500, 40
"""Characters that are kept of an error, and of why an answer ended."""
Judged = tuple[float | None, str, str]
"""Feedback on an answer: rating in -1..1, edit, comment."""


def keep(
    name: str, requests: Sequence[LogPart], known: dict[str, Judged], masker: Masker, scale: tuple[float, float]
) -> tuple[list[Logged], list[JsonObject]]:
    """Return the requests to keep, masked, and new feedback on those of earlier imports, which are `known` by hash.

    A request that occurs several times in one file is kept as often; in another file it is the same one.
    """
    kept: list[Logged] = []
    said_again: list[JsonObject] = []
    seen: Counter[tuple[int, str]] = Counter()
    for part in requests:
        own = Masker()
        logged = _logged(name, part, own, scale)
        content = json.dumps([logged.ids, logged.at, logged.model, logged.messages, logged.answer], default=str)
        seen[part.file, content] += 1
        digest = sha256_bytes(f"{content} {seen[part.file, content]}".encode())
        if digest not in known:
            masker.counts += own.counts
            kept.append(replace(logged, hash=digest))
        elif part.feedback and known[digest] != judged_of(logged):
            said_again.append(said_later(part, masker, scale) | {"hash": digest})
        known[digest] = judged_of(logged)
    return kept, said_again


def judged_of(logged: Logged) -> Judged:
    """Return the feedback on a request."""
    return logged.rating, logged.edit, logged.comment


def _logged(name: str, part: LogPart, masker: Masker, scale: tuple[float, float]) -> Logged:
    """Return the request, masked, before it is known whether it is kept."""
    rating, edit, comment = _judged(part.feedback, masker, scale)
    return Logged(
        ref=f"{name}:{part.line}",
        hash="",
        ids=tuple(masker.name(each) for each in part.ids),
        messages=tuple(masker.inside(each) for each in part.messages),
        answer=masker.text(part.said.text),
        model=masker.text(part.model),
        at=part.at.astimezone(UTC).isoformat(timespec="milliseconds") if part.at else "",
        finish=masker.text(part.said.finish)[:CUT_FINISH],
        error=masker.text(part.said.error)[:CUT_ERROR],
        tool_calls=tuple(masker.inside(part.said.tool_calls)),
        seconds=part.seconds,
        input_tokens=part.input_tokens,
        output_tokens=part.output_tokens,
        cost_usd=part.cost_usd,
        rating=rating,
        edit=edit,
        comment=comment,
        others=part.said.others,
        line=part.line,
        trace=masker.name(part.trace),
    )


def _judged(feedback: Feedback, masker: Masker, scale: tuple[float, float]) -> Judged:
    rating = feedback.rating
    if rating is not None and not feedback.words:
        rating = on_scale(rating, scale)
    return rating, masker.text(feedback.edit), masker.text(feedback.comment)


def said_later(part: LogPart, masker: Masker, scale: tuple[float, float]) -> JsonObject:
    """Return feedback on a request that is not in these logs, masked, as it is kept."""
    rating, edit, comment = _judged(part.feedback, masker, scale)
    ids, trace = [masker.name(each) for each in part.ids], masker.name(part.trace)
    return {"line": part.line, "ids": ids, "trace": trace, "rating": rating, "edit": edit, "comment": comment}


def _named(texts: Iterable[str]) -> dict[str, int]:
    """Return the most frequent of them, masked and cut."""
    return {masked_text(text)[:CUT_NAME]: count for text, count in Counter(texts).most_common(20)}


LONGEST = 8 << 20
"""Bytes of a line that are read: two million tokens of English."""
RAW = 2000
"""Characters of a line that cannot be read which are kept, masked before they are cut."""
MASKED = 64 << 10
"""Bytes of such a line that are masked."""
_QUOTE = re.compile(r"(something follows the JSON value at character \d+): .*", re.DOTALL)
"""A reason that holds a piece of the line, cut where masking could not see it any more."""


def read_lines(path: Path, progress: Progress | None = None) -> Iterator[JsonObject | Reject | None]:
    """Yield each line: an object, a Reject, or None if it is empty.

    Raises RungError if the file cannot be read or what it is packed with is broken.
    """
    with readable(path), open_bytes(path, progress) as file:
        for number, line in enumerate(_lines(file), 1):
            yield _read(line, number, str(path))


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield a line and its whole length in bytes; of a line over LONGEST only the beginning."""
    while line := file.readline(LONGEST + 1):
        length = len(line)
        while not line.endswith(b"\n") and length > LONGEST:
            more = file.readline(LONGEST)
            length += len(more)
            if not more or more.endswith(b"\n"):
                break
        yield line, length


def _read(found: tuple[bytes, int], number: int, name: str) -> JsonObject | Reject | None:
    line, length = found
    if length > LONGEST + 1:
        reason = f"{length / 1e6:,.1f} MB long; a line of over {LONGEST / 1e6:,.1f} MB is no request and its answer."
        return reject(number, name, "", reason, line)
    plain = line.strip()
    if not plain:
        return None
    try:
        return decode_object(plain)
    except Malformed as fault:
        half = not line.endswith(b"\n")
        hint = fault.hint or ("The log was still being written: import it again later." if half else "")
        return reject(number, name, fault.field, fault.reason, line, hint)


def reject(number: int, name: str, field: str, reason: str, line: bytes, hint: str = "") -> Reject:
    """Return a line that cannot be read, its beginning masked: nothing personal is kept of it."""
    raw = masked_text(line[:MASKED].decode("utf-8", "replace").rstrip("\r\n"))[:RAW]
    said = _QUOTE.sub(r"\1.", reason)
    return Reject(name, number, masked_text(field), masked_text(said), raw.encode("utf-8", "replace"), hint)
