"""The reference pages, made from the code: `make reference`.

Writes docs/reference/: commands, settings, rules, checks, metrics, file formats with their JSON schemas. A test
compares what stands there with what this makes.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

EVERYWHERE = ("help", "quiet", "verbose")
ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent / "reference"
ARTEFACTS = {
    "decision.json": "advisor.decision:Decision",
    "datasets/vNNN/manifest.json": "curation.split.manifest:Manifest",
    "evaluations/E-NNN/report.json": "evaluation.measurement_report:Report",
    "evaluations/E-NNN/verdict.json": "evaluation.verdict.rule:Verdict",
    "plans/P-NNN.toml": "training.plan.plans:Plan",
    "runs/R-NNN/run.json": "training.runs:RunRecord",
    "runs/R-NNN/clearance.json": "training.gates.clearance:Clearance",
    "plans/P-NNN.preflight.json": "training.trials.dry_run:DryRun",
    "releases/L-NNN/release.json": "training.release.releases:Release",
}


def pages() -> dict[str, str]:
    """Return every page by its path below docs/reference/."""
    return {
        "commands.md": "\n".join(commands()),
        "settings.md": "\n".join(settings()),
        "rules.md": "\n".join(rules()),
        "checks.md": "\n".join(checks()),
        "metrics.md": "\n".join(metrics()),
        "formats.md": "\n".join(formats()),
        **{f"schemas/{name}.json": text for name, text in schemas().items()},
    }


def first(text: str | None) -> str:
    """Return the first paragraph of a docstring in one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def cell(text: str) -> str:
    """Text that does not break out of a table's cell."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def commands() -> Iterator[str]:
    """Yield every command with its arguments and options."""
    import typer

    from rung.cli import build_app
    from rung.cli.tree import examples

    yield "# Commands\n\nExit codes: 0 done, 1 a check or a gate fails, 2 bad input, 130 stopped, 70 a fault of Rung"
    yield "itself.\n"
    yield "Every command takes `--quiet` (results, warnings, errors) and `--verbose` (also timings, memory, library"
    yield "logs and tracebacks), before or after its name. `--help` shows examples. For"
    yield "completion in bash, zsh, fish and PowerShell: `rung --install-completion`.\n"
    for words, command in _walk(typer.main.get_command(build_app()), ("rung",)):
        yield f"## {' '.join(words)}\n\n{first(command.help)}\n"
        shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name not in EVERYWHERE]
        if shown:
            yield "| | |\n|---|---|"
            yield from (f"| {_names(p)} | {cell(first(getattr(p, 'help', '')))} |" for p in shown)
            yield ""
        if lines := examples().get(" ".join(words[1:])):
            yield "```console\n" + "\n".join(lines) + "\n```\n"


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield words, command
        return
    if command.invoke_without_command and len(words) > 1:
        yield words, command
    for name in below:
        if not below[name].hidden:
            yield from _walk(below[name], (*words, name))


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def settings() -> Iterator[str]:
    """Yield the tables of rung.toml with the default of each key."""
    from workspace.settings import Settings

    said = _attribute_docs(ROOT / "workspace" / "settings.py")
    yield "# Settings\n\n`rung.toml`: every key is checked; a missing key has its default. The environment"
    yield "(`RUNG_SECTION__KEY`) and flags override, in that order.\n"
    for name, field in Settings.model_fields.items():
        section: Any = field.annotation
        if get_origin(section) is dict:
            name, section = f"{name}.NAME", get_args(section)[-1]
        if not hasattr(section, "model_fields"):
            continue
        yield f"## [{name}]\n\n{first(section.__doc__)}\n\n| key | type | default | |\n|---|---|---|---|"
        for key, inner in section.model_fields.items():
            told = cell(
                next((said[base.__name__, key] for base in section.__mro__ if (base.__name__, key) in said), "")
            )
            yield f"| `{key}` | {cell(_type(inner.annotation))} | {_default(inner)} | {told} |"
        yield ""


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" if choice else "empty" for choice in get_args(annotation))
    return inspect.formatannotation(annotation).replace("typing.", "")


def _default(field: Any) -> str:
    if field.is_required():
        return "needed"
    if field.default_factory is not None:
        return "worked out"
    if field.default is None:
        return "none"
    if hasattr(field.default, "model_dump"):
        return "see there"
    return f"`{cell(json.dumps(field.default))}`"


def _attribute_docs(file: Path) -> dict[tuple[str, str], str]:
    """Return the docstrings of a class's attributes by (class, attribute)."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for before, after in zip(node.body, node.body[1:], strict=False):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if told and isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                found[(node.name, before.target.id)] = first(str(after.value.value))  # type: ignore[attr-defined]
    return found


def rules() -> Iterator[str]:
    """Yield every rule with its reason and its sources, by file."""
    sources = {s["id"]: s for s in tomllib.loads((ROOT / "rules" / "sources.toml").read_text())["source"]}
    yield "# Rules\n\n`rung why RULE` shows one rule with the dates of its sources and the answers it depends on.\n"
    for file in sorted((ROOT / "rules").glob("*.toml")):
        tables = tomllib.loads(file.read_text())
        entries = [e for table in tables.values() if isinstance(table, list) for e in table]
        entries = [e for e in entries if isinstance(e, dict) and "id" in e and "because" in e and "source" in e]
        if not entries:
            continue
        yield f"## {file.name}\n\n| rule | reason | sources |\n|---|---|---|"
        for entry in entries:
            cited = ", ".join(dict.fromkeys(str(s).partition(":")[0] for s in _listed(entry["source"])))
            yield f"| `{entry['id']}` | {cell(str(entry['because']))} | {cited} |"
        yield ""
    yield "## Sources\n\n| id | title | address | read |\n|---|---|---|---|"
    for name, source in sources.items():
        yield f"| {name} | {cell(source.get('title', ''))} | {source.get('address', '')} | {source.get('read', '')} |"
    yield ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def checks() -> Iterator[str]:
    """Yield the quality checks."""
    from curation.checks.base import QualityCheck

    for file in sorted((ROOT / "curation" / "checks").glob("*.py")):
        importlib.import_module(f"curation.checks.{file.stem}")
    yield "# Quality checks\n\nThe checks of `rung data check`, besides duplicates, contradictions and leaks.\n"
    yield "| check | what it finds | why it matters |\n|---|---|---|"
    ours = (c for c in _kinds_of(QualityCheck) if c.name and c.__module__.startswith("curation."))
    for check in sorted(ours, key=lambda c: c.name):
        yield f"| `{check.name}` | {cell(first(check.__doc__))} | {cell(str(getattr(check, 'reason', '')))} |"
    yield ""


def _kinds_of(kind: Any) -> Iterator[Any]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds_of(below)


def metrics() -> Iterator[str]:
    """Yield the metrics, each with the definition that it cites."""
    from evaluation.metrics.item_metrics import ITEM_METRICS
    from evaluation.metrics.text import class_report, perplexity, refuses

    yield "# Metrics\n\n`[evaluation] metric` names the primary metric. Your own: `metrics/NAME.py` in the project.\n"
    yield "| metric | definition |\n|---|---|"
    texts = {name: score.__doc__ for name, (_, score) in ITEM_METRICS.items() if name != "judge"}
    texts |= {"f1": class_report.__doc__, "perplexity": perplexity.__doc__, "refusal": refuses.__doc__}
    for name, text in sorted(texts.items()):
        yield f"| `{name}` | {cell(first(text))} |"
    yield ""


def formats() -> Iterator[str]:
    """Yield the files that Rung leaves behind."""
    yield "# File formats\n\nRung checks each artefact against its schema when it reads it. Each has the SHA-256"
    yield "of what it was made from.\n\n| file | what it is | schema |\n|---|---|---|"
    for place, name in ARTEFACTS.items():
        kind = _named(name)
        yield f"| `{place}` | {cell(first(kind.__doc__))} | [{kind.__name__}](schemas/{kind.__name__}.json) |"
    yield ""


def schemas() -> dict[str, str]:
    """JSON schema of each artefact by the name of its class."""
    kinds = [_named(name) for name in ARTEFACTS.values()]
    return {kind.__name__: json.dumps(kind.model_json_schema(), indent=1) + "\n" for kind in kinds}


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        file = HERE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
