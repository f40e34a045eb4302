"""Writing an export: a folder that holds everything the other trainer needs, and the receipt."""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pprint import pformat

from advisor.sizing.cards import cards
from curation.store import open_store
from training.export.bundle import (
    Bundle,
    Row,
    faults,
    jsonl,
    limits,
    marked,
    may_leave,
    pair,
    weighted,
    with_tools_as_text,
)
from training.gates.clearance import PLAN_COPY, RECEIPT
from training.plan.recipe import Loss
from training.templates import templates
from workspace.artefact import write_artefact
from workspace.counted import gib
from workspace.errors import InputError, Problem, Refusal, did_you_mean
from workspace.files import check_place, sha256_file, write_bytes, write_text
from workspace.folder import Project
from workspace.settings import Settings

FOLDER = Path(__file__).with_name("templates")
ATTENTION = ("sdpa", "eager", "flash_attention_2")
"""Attention that every trainer knows. Rung has its own for packed rows; other trainers use this one."""
KEPT = (
    "method", "rank", "alpha", "dropout", "targets", "quantisation", "learning_rate", "schedule", "warmup",
    "weight_decay", "grad_norm", "batch", "epochs", "steps", "max_length", "packing", "evals", "patience", "keep_last",
    "seed", "attention", "checkpointing",
)  # fmt: skip
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes")
SKYPILOT = {
    "T4 16GB": "T4", "RTX 3090 24GB": "RTX3090", "RTX 4090 24GB": "RTX4090", "L4 24GB": "L4", "A10G 24GB": "A10G",
    "L40S 48GB": "L40S", "A100 40GB": "A100", "A100 80GB": "A100-80GB", "H100 80GB": "H100", "H200 141GB": "H200",
    "B200 180GB": "B200",
}  # fmt: skip
"""SkyPilot's names of GPUs, by those of rules/hardware.toml."""


def filled(bundle: Bundle, *folders: str, **more: object) -> dict[str, str]:
    """Return the files of these template folders, by name. Raises Refusal if SkyPilot has no GPU with room."""
    pages = templates(FOLDER)
    known = {**_values(bundle), **_surroundings(bundle), **more}
    if "skypilot" in folders:
        known["accelerators"] = _accelerators(bundle)
    found = {}
    for folder in folders:
        for path in sorted((FOLDER / folder).rglob("*.j2")):
            name = path.relative_to(FOLDER if folder == "launch" else FOLDER / folder).with_suffix("").as_posix()
            found[name] = pages.get_template(path.relative_to(FOLDER).as_posix()).render(known)
    return found


def _values(bundle: Bundle) -> dict[str, object]:
    """Return the recipe as a plain table; `values` is this table as Python writes it."""
    recipe = bundle.recipe
    chosen = recipe.model_dump(include=set(KEPT))
    table = {
        "plan": bundle.plan.id,
        "dataset": bundle.plan.dataset,
        "base": bundle.base,
        **{name: chosen[name] for name in KEPT},
        "attention": recipe.attention if recipe.attention in ATTENTION else "flash_attention_2",
        "rows_a_step": recipe.rows_a_step,
        "rslora": recipe.rslora or recipe.method == "rslora",
        "dora": recipe.method in ("dora", "qdora"),
        "stream_over": bundle.stream_over,
        "rows": {split: len(rows) for split, rows in bundle.rows.items()},
    }
    return {**table, "values": pformat(table, width=100, sort_dicts=False)}


def _surroundings(bundle: Bundle) -> dict[str, object]:
    """Return the template values besides the recipe; `every` counts steps between two evaluations."""
    recipe, rows, shared_by = bundle.recipe, len(bundle.rows["train"]), max(2, bundle.cards)
    share = recipe.rows_a_step // shared_by
    several = f"torchrun --standalone --nproc_per_node {bundle.cards} train.py --processes {bundle.cards}"
    return {
        "title": f"Trains plan {bundle.plan.id} of Rung: {recipe.method} on {bundle.plan.recipe.base}, "
        f"dataset {bundle.plan.dataset}, {rows:,} rows.",
        "accumulation": recipe.accumulation,
        "loss": recipe.loss,
        "every": max(1, math.ceil(math.ceil(rows / recipe.rows_a_step) / recipe.evals)),
        "local": bundle.local,
        "tools": any("tools" in row for row in bundle.rows["train"]),
        "cards": bundle.cards,
        "shared_by": shared_by,
        "micro_batch": next((n for n in range(min(share, recipe.batch), 0, -1) if share % n == 0), 1),
        "command": "python train.py" if bundle.cards == 1 else several,
        "packages": [_pinned(name) for name in PACKAGES],
        "forecast": bundle.plan.forecast,
        "gates": bundle.clearance.gates,
        "left_out": bundle.left_out,
    }


def _accelerators(bundle: Bundle) -> dict[str, int]:
    """Return every GPU with room: SkyPilot rents the cheapest."""
    least = bundle.plan.forecast.high or 0.0
    fitting = [SKYPILOT[card.name] for card in cards() if card.name in SKYPILOT and card.memory_gib >= least]
    if not fitting:
        raise Refusal(f"{bundle.plan.id} needs {gib(least)}; no GPU of SkyPilot has that.", "rung plan --card 80GB")
    return dict.fromkeys(fitting, bundle.cards)


def _pinned(package: str) -> str:
    """Return the package at the version of this machine, without the part that names a build."""
    try:
        return f"{package}=={version(package).partition('+')[0]}"
    except PackageNotFoundError:
        return package


METHODS = ("full", "lora", "qlora", "dora", "qdora", "rslora")
"""Methods that scripts and configurations support."""
MANAGED = "rung train --on NAME   ([remotes.NAME] provider in rung.toml; or upload both files yourself)"


@dataclass(frozen=True, slots=True)
class ExportKind:
    """A kind of export: its command, template folders, conversion of rows, and place of the rows."""

    run: str
    templates: tuple[str, ...] = ()
    form: Callable[[Row, Loss], Row] = pair
    place: str = "data/"


KINDS: Mapping[str, ExportKind] = {
    "trl": ExportKind(
        "python train.py            (pip install trl peft bitsandbytes; several GPUs: launch/)", ("trl", "launch")
    ),
    "axolotl": ExportKind("axolotl train config.yaml", ("axolotl",), marked),
    "llama-factory": ExportKind("llamafactory-cli train train.yaml", ("llama-factory",), with_tools_as_text),
    "unsloth": ExportKind("python train.py            (pip install unsloth)", ("unsloth",)),
    "openai": ExportKind(
        "upload train.jsonl and validation.jsonl yourself; Rung sends nothing", form=weighted, place=""
    ),
    "together": ExportKind(MANAGED, form=partial(weighted, every=True), place=""),
    "fireworks": ExportKind(MANAGED, form=weighted, place=""),
    "skypilot": ExportKind(
        "sky launch -c tuning sky.yaml && scp -r tuning:sky_workdir/output . && sky down tuning",
        ("trl", "launch", "skypilot"),
    ),
    "dstack": ExportKind(
        "dstack apply -f tuning.dstack.yml; then, while it waits: scp -r rung-PLAN:/tuning/output .",
        ("trl", "launch", "dstack"),
    ),
    "notebook": ExportKind(
        "open train.ipynb in Colab, Kaggle or Jupyter; the adapter comes back as adapter.zip",
        ("trl", "launch", "notebook"),
    ),
}


def files_of(bundle: Bundle, kind: str) -> dict[str, str]:
    """Return the files of an export by name, but for plan and receipt.

    Raises Refusal if the rows of a step cannot be shared by the GPUs, or the trainer takes no such plan; InputError
    with every limit of OpenAI that the rows break.
    """
    chosen, step = KINDS[kind], bundle.recipe.rows_a_step
    templates, method = chosen.templates, bundle.recipe.method
    if templates and method not in METHODS:
        raise Refusal(
            f"{bundle.plan.id} trains by {method}: exports know {', '.join(METHODS)}.", "rung train   (trains it here)"
        )
    if "launch" in templates and step % max(2, bundle.cards):
        if bundle.cards > 1:
            raise Refusal(
                f"{step} rows a step cannot be shared by {bundle.cards} GPUs.",
                f"Set [training] batch to a multiple of {bundle.cards}, or name another number: --cards",
            )
        templates = tuple(each for each in templates if each != "launch")
    if kind == "unsloth" and bundle.recipe.packing:
        raise Refusal("The Unsloth script trains unpacked rows only.", "Set [training] packing = false")
    rows = {
        f"{chosen.place}{split}.jsonl": jsonl(chosen.form(row, bundle.recipe.loss) for row in rows)
        for split, rows in bundle.rows.items()
    }
    if kind == "openai" and (found := [each for name, text in rows.items() for each in faults(name, text, limits())]):
        raise InputError(found, "rung data freeze   (another version), or rung plan export trl")
    return rows | filled(bundle, "about", *templates, run=chosen.run)


def check_kind(kind: str) -> str:
    """Return the kind of export, spelt right. Raises InputError with what there is."""
    if kind in KINDS:
        return kind
    hint = did_you_mean(kind, KINDS)
    known = f"one of {', '.join(KINDS)}"
    raise InputError([Problem(f'"{kind}" is no export.{hint}', "KIND", known, kind)], known)


def write_export(project: Project, settings: Settings, bundle: Bundle, kind: str, folder: Path) -> list[Path]:
    """Make the folder whole under another name, then move it into place; returns its files.

    An earlier export there is replaced; raises InputError where something else is there, RungError where stages write.
    Logs one event.
    """
    check_place(folder)
    if folder.exists() and not (folder / RECEIPT).is_file():
        raise InputError([Problem("is there and is no export.", str(folder))], "-o ANOTHER_FOLDER")
    if kind == "openai":
        may_leave(project)
    made = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    for name, text in files_of(bundle, check_kind(kind)).items():
        write_text(made / name, text)
    write_bytes(made / PLAN_COPY, (project.plans / f"{bundle.plan.id}.toml").read_bytes())
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
