"""Production against the frozen train rows and what the released model answered on its test: `watch/report.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curation.likeness import normal
from training.monitoring.measures import Judge, all_signals, judge_signal
from training.monitoring.reference import Origins, Reference, released
from training.monitoring.requests import IMPORT, Logged, read_watched, watch_folder
from training.monitoring.signals import FALSE_ALARM, Signal
from workspace.artefact import Artefact, ArtefactPart, hashes, read_artefact, write_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

REPORT = "report.json"


class Traffic(ArtefactPart):
    """Plain figures of the requests that count."""

    requests: int
    distinct: int
    failed: int
    rated: int
    rated_low: int
    edited: int
    first_at: str = ""
    last_at: str = ""
    models: dict[str, int] = {}
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    p50_seconds: float | None = None
    p95_seconds: float | None = None


class DriftReport(Artefact):
    """`watch/report.json`: the newest report of `rung watch report`.

    Each signal has its own `false_alarm`; `any_alarm` bounds the chance that at least one is raised although nothing
    changed. Older versions measured a `sample`.
    """

    release: str
    dataset: str
    against: str
    sample: float = 1.0
    since: str = ""
    seed: int
    traffic: Traffic
    signals: list[Signal]
    any_alarm: float
    notes: list[str] = []

    @property
    def raised(self) -> list[Signal]:
        """Signals that say something changed."""
        return [signal for signal in self.signals if signal.raised]


def measure(
    project: Project, settings: Settings, *, since: str = "", judge: Judge | None = None, judged: int = 0
) -> DriftReport:
    """Measure the requests and write the report.

    Raises Refusal where nothing was released or imported, or no request is left.
    """
    reference, watched = released(project, settings), read_watched(project)
    drawn = [each for each in watched.requests if each.drawn]
    requests = [each for each in drawn if each.at >= since or not since]
    if not requests:
        raise Refusal(f"No request since {since or 'the import'}.", "rung watch import LOGS")
    seed = settings.dataset.seed
    origins = Origins(project, settings, watched.imports)
    asked = [origins.question(each) for each in requests]
    signals = all_signals(reference, requests, asked, seed)
    signals.append(judge_signal(reference, list(zip(asked, requests, strict=True)), seed, judge, judged))
    measured = sum(signal.raised is not None for signal in signals)
    paths = [watch_folder(project) / made.id / IMPORT for made in watched.imports]
    report = DriftReport(
        release=reference.release.id,
        dataset=reference.dataset.name,
        against=reference.against,
        since=since,
        seed=seed,
        traffic=traffic(requests),
        signals=signals,
        any_alarm=min(1.0, round(measured * FALSE_ALARM, 4)),
        notes=[*_notes(reference, requests, watched.unmatched), *_left_out(drawn, since)],
        made_from=hashes(project.root, *paths, *reference.sources()),
    )
    write_artefact(report_file(project), report)
    return report


def report_file(project: Project) -> Path:
    """`watch/report.json`."""
    return watch_folder(project) / REPORT


def read_report(project: Project) -> DriftReport | None:
    """The newest report; None where none was written."""
    path = report_file(project)
    return read_artefact(path, DriftReport) if path.is_file() else None


def traffic(requests: Sequence[Logged]) -> Traffic:
    """Plain figures; money and time only where every request of them says."""
    times = sorted(each.at for each in requests if each.at)
    seconds = sorted(each.seconds for each in requests if each.seconds is not None)
    models: dict[str, int] = {}
    for each in requests:
        models[each.model or "unknown"] = models.get(each.model or "unknown", 0) + 1
    return Traffic(
        requests=len(requests),
        distinct=len({normal(each.example.question) for each in requests}),
        failed=sum(bool(each.error) for each in requests),
        rated=sum(each.rating is not None for each in requests),
        rated_low=sum(each.rating is not None and each.rating < 0 for each in requests),
        edited=sum(bool(each.edit) for each in requests),
        first_at=times[0] if times else "",
        last_at=times[-1] if times else "",
        models=models,
        input_tokens=_sum([each.input_tokens for each in requests]),
        output_tokens=_sum([each.output_tokens for each in requests]),
        cost_usd=_sum([each.cost_usd for each in requests]),
        p50_seconds=seconds[len(seconds) // 2] if seconds else None,
        p95_seconds=seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))] if seconds else None,
    )


def _sum(values: Sequence[Any]) -> Any:
    return sum(values) if values and None not in values else None


def _notes(reference: Reference, requests: Sequence[Logged], unmatched: int) -> list[str]:
    found = []
    if reference.split == "test":
        found.append(f"{reference.dataset.name} has no train rows: requests are compared with its test items.")
    if not reference.answered:
        found.append("The report that the release was made from is not here, so form and refusals have no measure.")
    early = sum(bool(e.at) and e.at < reference.release.created_at.isoformat() for e in requests)
    if early:
        found.append(f"{early:,} requests are older than {reference.release.id}; --since leaves them out.")
    if unmatched:
        found.append(f"{unmatched:,} pieces of feedback speak of requests that are not here.")
    return found


def _left_out(requests: Sequence[Logged], since: str) -> list[str]:
    nameless = sum(not each.at for each in requests) if since else 0
    return [f"{nameless:,} requests have no time that can be read, so --since leaves them out."] if nameless else []
