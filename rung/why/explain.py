"""The chain behind a thing: from a release back to each row's source, reviewer and guideline, or to the rule.

A REF is a row (`r-000123`), a dataset (`v001`), a report (`E-001`) or an item of one (`E-001:41`), a plan (`P-001`), a
run (`R-001`), a release (`L-001`), an import of logs (`W-001`) or a request of it (`W-001:17`), a gate (`leakage`), a
rule id or a question id.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evaluation.arms.registry import arm_name
from rung.text.decision_text import step_and_end
from rung.why.rows import ChainLink, Explanation, row_links
from workspace.artefact import now
from workspace.counted import counted, percent
from workspace.errors import RungError, did_you_mean
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import load_settings

GATES = ("decision", "dataset", "review", "leakage", "baseline", "machine")
THING = re.compile(r"([LREPW]-|v|r-)\d+|[EW]-\d+:\d+")
"""References to things of a project."""


def answer(project: Project | None, ref: str) -> Explanation:
    """Return the explanation of `ref`: a chain, a gate, a rule or a question. Raises RungError if it is unknown."""
    ref = _plain_ref(project, ref)
    if ref not in GATES and not THING.fullmatch(ref):
        return _rule(project, ref)
    if project is None:
        raise RungError(f"No Rung project here, so {ref} cannot be found.", "rung init")
    if ref in GATES:
        return _gate(project, ref)
    if ref.startswith("W") or ":" in ref:
        from rung.why.items import why_import, why_item, why_logged

        why = why_import if ":" not in ref else why_item if ref.startswith("E") else why_logged
        return why(project, ref)
    links = chain(project, ref)
    lines = [line for link in links for line in link.lines()]
    return Explanation(lines, {"ref": ref, "chain": [link.as_json() for link in links]})


def _plain_ref(project: Project | None, ref: str) -> str:
    """`datasets/v001` is `v001`, `task=chat` is `task`, `pool.jsonl:3` is the row that came from there."""
    if THING.fullmatch(ref):
        return ref
    last = ref.rstrip("/").rpartition("/")[2]
    if re.fullmatch(r"([LREP]-|v)\d+(\.toml)?", last):
        return last.removesuffix(".toml")
    if re.fullmatch(r"\w+=.*", ref):
        return ref.partition("=")[0]
    if project is not None and re.fullmatch(r".+:\d+", ref):
        return _row_from(project, ref)
    return ref


def _row_from(project: Project, place: str) -> str:
    """Return the id of the row that was imported from `file:line`; the place itself where none was."""
    from curation.store import open_store, store_exists

    settings = load_settings(project.settings_file)
    if not store_exists(project, settings):
        return place
    with open_store(project, settings) as store:
        found = [r.id for r in store.rows(excluded=None) if r.source == place or r.source.endswith(f"/{place}")]
    return found[0] if found else place


def _gate(project: Project, name: str) -> Explanation:
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


def _rule(project: Project | None, ref: str) -> Explanation:
    """Return a rule with its sources, or a question with the rules that hang on it."""
    from advisor.answer_file import load_answers
    from advisor.rulefiles import load_rulebook
    from rung.text.rules_text import explain, explain_lines, is_known

    rulebook = load_rulebook(project.root / "rules" if project else None)
    if not is_known(rulebook, ref):
        near = did_you_mean(ref, [*rulebook.by_id, *rulebook.questions, *rulebook.sources, *GATES])
        raise RungError(f'There is no rule, answer, gate or thing called "{ref}".{near}', "rung rules list")
    answers = load_answers(project.answers_file) if project and project.answers_file.is_file() else None
    document = explain(rulebook, ref, now().date(), answers)
    return Explanation(list(explain_lines(document)), document)


FOLDERS = {"L": "releases", "R": "runs", "E": "evaluations", "v": "datasets"}
MARKERS = {"L": "release.json", "R": "run.json", "E": "report.json", "v": "manifest.json"}


def chain(project: Project, ref: str) -> list[ChainLink]:
    """Return every link behind `ref`, the nearest first. Raises RungError if no such thing is here."""
    if re.fullmatch(r"r-\d+", ref):
        return list(row_links(project, ref))
    if re.fullmatch(r"([LRE]-|v)\d+", ref):
        links = list(_artefact(project, project.root / FOLDERS[ref[0]] / ref / MARKERS[ref[0]]))
    elif re.fullmatch(r"P-\d+", ref):
        links = list(_artefact(project, project.plans / f"{ref}.toml"))
    else:
        known = "rung why R-001, L-001, v001, r-000123, a gate, a rule, an answer"
        raise RungError(f'Nothing here is called "{ref}".', known)
    from curation.split.audit import VOUCHING, unlike_log

    settings, files = load_settings(project.settings_file), [project.root / link.ref for link in links]
    vouched = [path for path in files if path.name in VOUCHING]
    unlike = {project.relative(path) for path in unlike_log(project, settings, *vouched)}
    return [replace(link, whole=False) if link.ref in unlike else link for link in links]


def _artefact(project: Project, path: Path, seen: set[str] | None = None) -> Iterator[ChainLink]:
    """Yield an artefact and everything it was made from, each once."""
    seen = set() if seen is None else seen
    name = path.relative_to(project.root).as_posix()
    if name in seen:
        return
    seen.add(name)
    if not path.is_file():
        raise RungError(f"{name} is not here.", "rung status")
    table = _read(path)
    yield ChainLink(name, _what(path), _said(path, table), sha256_file(path))
    for source, digest in (_splits(name, table) | _made_from(table)).items():
        found = project.root / source
        if source == "rulebook":
            yield ChainLink(source, "rules that decided", (), digest)
        elif found.is_file() and _made_from(_read(found)):
            yield from _checked(project, found, digest, seen)
        elif source not in seen:
            seen.add(source)
            yield ChainLink(source, _what(found), (), digest, found.is_file() and sha256_file(found) == digest)


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


def _checked(project: Project, path: Path, digest: str, seen: set[str]) -> Iterator[ChainLink]:
    """Yield the links behind `path`, its own marked by whether the file still has this hash."""
    whole = sha256_file(path) == digest
    for index, link in enumerate(_artefact(project, path, seen)):
        yield ChainLink(link.ref, link.what, link.facts, link.sha256, whole) if index == 0 else link


def _read(path: Path) -> JsonObject:
    """Return a JSON or TOML artefact as a table; an empty one for anything else."""
    import tomllib

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
    """Yield the main facts of an artefact, in lines."""
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
    reviewers = Counter(_who(row) for row in rows)
    yield "decided by " + ", ".join(f"{name} ({n:,})" for name, n in reviewers.most_common(5))
    yield f"{counted(len(table.get('dropped', [])), 'row')} left out, each with its reason"
    yield "one row: rung why r-000001"


def _who(row: JsonObject) -> str:
    name = str(row.get("reviewer") or "nobody")
    return f"{name}, automatic" if row.get("automatic") else name
