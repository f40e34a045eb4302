"""Writing an export: a folder that holds everything the other trainer needs, and the receipt."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from curation.store import open_store
from training.export import axolotl, llama_factory, openai, rented
from training.export.bundle import Bundle, prompt_completion
from training.export.launchers import launch_files
from training.export.values import jsonl, script, title, values
from training.gates.gate import Gate
from workspace.artefact import write_artefact
from workspace.errors import InputError, Problem, Refusal, did_you_mean
from workspace.files import check_place, sha256_file, write_bytes, write_text
from workspace.folder import Project
from workspace.settings import Settings

RECEIPT = "clearance.json"
LOCAL = " (a folder of the machine that exported this: take it along, and name its new place in the script or file)"


def _trl(bundle: Bundle) -> dict[str, str]:
    shared = bundle.effective_batch % max(2, bundle.cards) == 0
    return {"train.py": script("trl", bundle), **_pairs(bundle), **(launch_files(bundle) if shared else {})}


def _unsloth(bundle: Bundle) -> dict[str, str]:
    if values(bundle)["packing"]:
        raise Refusal("The Unsloth script trains unpacked rows only.", "Set [training] packing = false")
    return {"train.py": script("unsloth", bundle), **_pairs(bundle)}


def _pairs(bundle: Bundle) -> dict[str, str]:
    return {f"data/{split}.jsonl": jsonl(prompt_completion(rows)) for split, rows in bundle.rows.items()}


KINDS: Mapping[str, Callable[[Bundle], dict[str, str]]] = {
    "trl": _trl,
    "axolotl": axolotl.files,
    "llama-factory": llama_factory.files,
    "unsloth": _unsloth,
    "openai": openai.files,
    "together": lambda bundle: openai.chat_files(bundle, every=True),
    "fireworks": openai.chat_files,
    "skypilot": lambda bundle: {**_trl(bundle), **rented.skypilot(bundle)},
    "dstack": lambda bundle: {**_trl(bundle), **rented.dstack(bundle)},
    "notebook": lambda bundle: {**_trl(bundle), **rented.notebook(bundle)},
}
MANAGED = "[remotes.NAME] provider in rung.toml; or upload both files yourself"
RUN = {
    "trl": "python train.py            (pip install trl peft bitsandbytes; several cards: launch/)",
    "axolotl": "axolotl train config.yaml",
    "llama-factory": "llamafactory-cli train train.yaml",
    "unsloth": "python train.py            (pip install unsloth)",
    "skypilot": "sky launch -c tuning sky.yaml && scp -r tuning:sky_workdir/output . && sky down tuning",
    "dstack": "dstack apply -f tuning.dstack.yml; then, while it waits: scp -r rung-PLAN:/tuning/output .",
    "notebook": "open train.ipynb in Colab, Kaggle or Jupyter; the adapter comes back as adapter.zip",
    "openai": "upload train.jsonl and validation.jsonl yourself; Rung sends nothing",
    "together": f"rung train --on NAME   ({MANAGED})",
    "fireworks": f"rung train --on NAME   ({MANAGED})",
}


def check_kind(kind: str) -> str:
    """The kind of export, spelt right. Raises InputError with what there is."""
    if kind in KINDS:
        return kind
    hint = did_you_mean(kind, KINDS)
    raise InputError([Problem(f'"{kind}" is no export.{hint}', "--export", "one of " + ", ".join(KINDS), kind)])


def write_export(project: Project, settings: Settings, bundle: Bundle, kind: str, folder: Path) -> list[Path]:
    """Make the folder whole under another name, then move it into place; returns its files.

    An earlier export there is replaced; raises InputError where something else is there, RungError where stages write.
    Logs one event.
    """
    check_place(folder)
    if folder.exists() and not (folder / RECEIPT).is_file():
        raise InputError([Problem("is there and is no export.", str(folder))], "-o ANOTHER_FOLDER")
    if kind == "openai":
        openai.may_leave(project)
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    for name, text in KINDS[check_kind(kind)](bundle).items():
        write_text(made / name, text)
    write_bytes(made / "plan.toml", (project.plans / f"{bundle.plan.id}.toml").read_bytes())
    write_text(made / "README.md", readme(bundle, kind))
    write_artefact(made / RECEIPT, bundle.clearance)
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
    with open_store(project, settings) as store:
        rows = {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*.jsonl"))}
        detail = {
            "kind": kind,
            "sha256": sha256_file(folder / RECEIPT),
            "overridden": len(bundle.clearance.overrides),
            "files": rows,
        }
        store.event("exported", settings.project.person, bundle.plan.id, detail)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def readme(bundle: Bundle, kind: str) -> str:
    """What this folder is, what every gate found, and how the outcomes come back."""
    left = [f"- {split}: lines {', '.join(map(str, lines))}" for split, lines in bundle.left_out.items() if lines]
    rows = ", ".join(f"{len(rows):,} {split} rows" for split, rows in bundle.rows.items())
    parts = [
        f"# {title(bundle)}",
        f"Run: `{RUN[kind]}`",
        f"Base model: `{bundle.base}`{LOCAL if bundle.local else ''}.",
        f"{rows}; the last answer of a row is trained, nothing else. The test set stays where it was frozen.",
        "## What the gates found",
        "\n".join(f"- {gate.symbol} {gate.name}: {_fact(gate)}" for gate in bundle.clearance.gates),
        "The machine gate is about the machine of the project and was not asked for: this run happens elsewhere.",
        *(["## Rows that are over the plan's length and left out, not cut", "\n".join(left)] if left else []),
        "## Bringing the outcomes back",
        "Copy this folder back with the trained adapter in it. In the project: `rung runs adopt ADAPTER_FOLDER`, "
        "then `rung evaluate`.",
    ]
    return "\n\n".join(parts) + "\n"


def _fact(gate: Gate) -> str:
    aside = gate.override
    return f'{gate.fact} (overridden by {aside.by}: "{aside.reason}")' if aside else gate.fact
