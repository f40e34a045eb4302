"""Links of a chain: artefacts with what they were made from, rows with their source and reviewer; gates and rules."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curation.mask import mask
from evaluation.arms.registry import arm_name
from rung.text.decision_text import step_and_end
from rung.text.message_text import visible
from workspace.artefact import now
from workspace.counted import counted, percent
from workspace.errors import RungError
from workspace.files import sha256_file
from workspace.folder import Project, oldest_first
from workspace.json_types import JsonObject
from workspace.settings import load_settings

GATES = ("decision", "dataset", "review", "leakage", "baseline", "machine")
THING = re.compile(r"([LREPW]-|v|r-)\d+|[EW]-\d+:\d+")
"""References to things of a project."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of a reference: lines for people, a document for `--json`."""

    lines: list[str]
    document: JsonObject


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link of a chain. `whole`: whether its file still has the hash that was written down; None if none was."""

    ref: str
    what: str
    facts: tuple[str, ...] = ()
    sha256: str = ""
    whole: bool | None = None

    def lines(self) -> list[str]:
        """Return the link as lines of text."""
        state = {True: "✓", False: "✗", None: " "}[self.whole]
        head = f"{state} {self.ref:<22} {self.what}" + (f"   {self.sha256[:8]}" if self.sha256 else "")
        return [head, *(f"      {fact}" for fact in self.facts)]

    def as_json(self) -> JsonObject:
        """Return the fields of `--json`."""
        return {
            "ref": self.ref,
            "what": self.what,
            "facts": list(self.facts),
            "sha256": self.sha256 or None,
            "whole": self.whole,
        }


def why_gate(project: Project, name: str) -> Explanation:
    """Explain the present finding of one gate, with its rule and evidence."""
    from rung.text.training_text import evidence_lines
    from training.gates.clearance import check_gates
    from training.plan.plans import read_plans

    plans = read_plans(project)
    gates = check_gates(project, load_settings(project.settings_file), plans[-1][1] if plans else None)
    found = next(gate for gate in gates if gate.name == name)
    lines = [f"{found.symbol} {found.name:<10} {found.fact}"]
    lines += [f"  why: {found.why}"] if found.why else []
    lines += [f"  do:  {found.opener}"] if found.opener else []
    lines += [f"  rule {found.rule}"] if found.rule else []
    lines += [f"  {line}" for line in evidence_lines(found)]
    return Explanation(lines, found.model_dump(mode="json"))


def why_rule(project: Project | None, ref: str) -> Explanation:
    """Return a rule with its sources, or a question with the rules that hang on it."""
    from advisor.answer_file import load_answers
    from advisor.rulefiles import load_rulebook
    from rung.text.rules_text import explain, explain_lines

    rulebook = load_rulebook(project.root / "rules" if project else None)
    answers = load_answers(project.answers_file) if project and project.answers_file.is_file() else None
    document = explain(rulebook, ref, now().date(), answers, GATES)
    return Explanation(list(explain_lines(document)), document)


PLACES = {
    "L": "releases/{}/release.json",
    "R": "runs/{}/run.json",
    "E": "evaluations/{}/report.json",
    "v": "datasets/{}/manifest.json",
    "P": "plans/{}.toml",
}


def chain(project: Project, ref: str) -> list[ChainLink]:
    """Return every link behind `ref`, the nearest first. Raises RungError if no such thing is here."""
    if ref.startswith("r-"):
        return list(row_links(project, ref))
    from curation.store.vouching import VOUCHING, unlike_log

    links = list(_artefact(project, project.root / PLACES[ref[0]].format(ref)))
    settings, files = load_settings(project.settings_file), [project.root / link.ref for link in links]
    vouched = [path for path in files if path.name in VOUCHING]
    unlike = {project.relative(path) for path in unlike_log(project, settings, *vouched)}
    return [replace(link, whole=False) if link.ref in unlike else link for link in links]


def _artefact(
    project: Project, path: Path, seen: set[str] | None = None, digest: str | None = None
) -> Iterator[ChainLink]:
    """Yield an artefact, marked by whether it has the hash `digest`, and everything it was made from, each once."""
    seen = set() if seen is None else seen
    name = path.relative_to(project.root).as_posix()
    if name in seen:
        return
    seen.add(name)
    if not path.is_file():
        raise RungError(f"{name} is not here.", "rung status")
    table, present = _read(path), sha256_file(path)
    yield ChainLink(name, _what(path), _said(path, table), present, None if digest is None else present == digest)
    for source, noted in (_splits(name, table) | _made_from(table)).items():
        found = project.root / source
        if source == "rulebook":
            yield ChainLink(source, "rules that decided", (), noted)
        elif found.is_file() and _made_from(_read(found)):
            yield from _artefact(project, found, seen, noted)
        elif source not in seen:
            seen.add(source)
            yield ChainLink(source, _what(found), (), noted, found.is_file() and sha256_file(found) == noted)


def _made_from(table: JsonObject) -> dict[str, str]:
    found = table.get("made_from")
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def _splits(name: str, table: JsonObject) -> dict[str, str]:
    """Return the files of a frozen dataset with their hashes; nothing of another artefact."""
    splits = table.get("splits") if Path(name).name == "manifest.json" else None
    each = [split for split in splits.values() if isinstance(split, dict)] if isinstance(splits, dict) else []
    return {(Path(name).parent / str(split.get("file"))).as_posix(): str(split.get("sha256")) for split in each}


def _said(path: Path, table: JsonObject) -> tuple[str, ...]:
    """Return the facts of an artefact, or that they are unknown because it was changed or truncated."""
    try:
        return tuple(_facts(path, table))
    except (AttributeError, KeyError, TypeError, ValueError):
        return ("! not in the form that Rung writes, so its content is unknown",)


def _read(path: Path) -> JsonObject:
    """Return a JSON or TOML artefact as a table; an empty one for anything else."""
    try:
        if path.suffix == ".json":
            table = json.loads(path.read_bytes())
        elif path.suffix == ".toml":
            table = tomllib.loads(path.read_text())
        else:
            return {}
    except (ValueError, UnicodeDecodeError):
        return {}
    return table if isinstance(table, dict) else {}


KINDS = {
    "release.json": "release",
    "run.json": "training run",
    "clearance.json": "clearance: the receipt of six gates",
    "report.json": "report of measured arms",
    "verdict.json": "verdict",
    "manifest.json": "frozen dataset",
    "train.jsonl": "frozen rows",
    "validation.jsonl": "frozen rows",
    "test.jsonl": "frozen rows",
    "decision.json": "advice",
    "answers.toml": "answers",
    "guideline.md": "guideline of the reviewers",
    "rung.toml": "settings",
}


def _what(path: Path) -> str:
    if path.parent.name == "plans":
        return "plan"
    if path.parent.name == "prompts":
        return "prompt"
    return KINDS.get(path.name, "file")


def _facts(path: Path, table: JsonObject) -> Iterator[str]:
    if path.name == "manifest.json":
        yield from _manifest_facts(table)
    elif path.name == "report.json":
        for arm in table["arms"]:
            yield f"{arm_name(arm['arm']):<18} {percent(arm['score'])} of {counted(arm['n'], 'item')}"
    elif path.name == "verdict.json":
        yield f"{table['verdict'].replace('_', ' ')}: {table['difference'] * 100:+.1f} points, n = {table['n']}"
    elif path.name == "decision.json":
        yield step_and_end(table["next_step"], table["destination"], settled=table.get("settled", True))
        yield from (f"{reason['rule']}: {reason['text']}" for reason in table.get("reasons", [])[:3])
    elif path.name == "run.json" and (made := table.get("adopted")):
        yield f"adopted from {made['source']}, trained on: {made['rows']}"
    for override in table.get("overrides", []):
        yield f'! {override["gate"]} overridden by {override["by"]}: "{override["reason"]}"'


def _manifest_facts(table: JsonObject) -> Iterator[str]:
    yield ", ".join(f"{split['rows']:,} {name}" for name, split in table["splits"].items())
    rows = table.get("rows", [])
    sources = Counter(str(row.get("source", "")).rsplit(":", 1)[0] for row in rows)
    yield "rows from " + ", ".join(f"{name} ({n:,})" for name, n in sources.most_common(5))
    reviewers = Counter(
        f"{row.get('reviewer') or 'nobody'}{', automatic' if row.get('automatic') else ''}" for row in rows
    )
    yield "decided by " + ", ".join(f"{name} ({n:,})" for name, n in reviewers.most_common(5))
    yield f"{counted(len(table.get('dropped', [])), 'row')} left out, each with its reason"
    yield "one row: rung why r-000001"


def row_links(project: Project, ref: str) -> Iterator[ChainLink]:
    """Yield a row: where it comes from, what was decided by whom under which guideline, and which datasets hold it."""
    from curation.store import open_store, store_exists

    settings = load_settings(project.settings_file)
    if not store_exists(project, settings):
        raise RungError(f"No row {ref}: this project has no rows yet.", "rung data import FILE", found=ref)
    with open_store(project, settings) as store:
        row = store.row(ref)
        decisions = store.events(ref=ref)
    facts = [f"question: {short(mask(row.example.question))}", f"answer:   {short(mask(row.example.answer or ''))}"]
    if row.payload != row.original_payload:
        facts.append(f"came as:  {short(mask(row.original.answer or ''))}")
    if row.excluded:
        facts.append(f"taken out: {row.excluded}")
    yield ChainLink(ref, f"row, {row.role}, {row.state}", tuple(facts))
    yield ChainLink(row.source, f"source, {row.origin}", tuple(_origin(row.meta)), row.source_sha256)
    if row.reviewer:
        kind = "automatic reviewer" if row.automatic else "reviewer"
        guideline = f"guideline version {row.guideline}" if row.guideline else "no guideline"
        yield ChainLink(row.reviewer, kind, (f"decision {row.decision}, {guideline}",))
    for event in decisions:
        yield ChainLink(f"event {event.id}", f"{event.kind} by {event.actor}, {event.at}")
    for version, split, line, digest in holding(project, ref):
        yield ChainLink(version, f"frozen dataset, {split} line {line}", (), digest)


def _origin(meta: Any) -> Iterator[str]:
    for key in ("strategy", "model", "seed_row", "request", "release", "rating", "comment", "cost_usd", "created_at"):
        if meta.get(key) not in (None, ""):
            yield f"{key}: {mask(str(meta[key])) if key == 'comment' else meta[key]}"


def holding(project: Project, ref: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield the frozen datasets that hold a row: version, split, line, and the SHA-256 of the manifest."""
    from curation.split.manifest import read_manifest

    for path in oldest_first(project.datasets.glob("*/manifest.json")):
        for row in read_manifest(path.parent).rows:
            if row.get("id") == ref:
                yield path.parent.name, str(row["split"]), int(row["line"]), sha256_file(path)


def short(text: str, width: int = 70) -> str:
    """Return one line of row text, control characters shown, not obeyed."""
    plain = visible(text.replace("\n", " / "))
    return plain if len(plain) <= width else plain[: width - 1] + "…"
