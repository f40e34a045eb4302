"""Writing an export: a folder that holds everything the other trainer needs, and the receipt."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from curation.store import open_store
from training.export import openai
from training.export.bundle import Bundle
from training.export.filling import filled
from training.export.rows import Row, jsonl, marked, pair, weighted, with_tools_as_text
from training.plan.methods import Loss
from workspace.artefact import write_artefact
from workspace.errors import InputError, Problem, Refusal, did_you_mean
from workspace.files import check_place, sha256_file, write_bytes, write_text
from workspace.folder import Project
from workspace.settings import Settings

RECEIPT = "clearance.json"
METHODS = ("full", "lora", "qlora", "dora", "qdora", "rslora")
"""What scripts and configurations know."""
MANAGED = "rung train --on NAME   ([remotes.NAME] provider in rung.toml; or upload both files yourself)"


@dataclass(frozen=True, slots=True)
class ExportKind:
    """How it is run, its folders of templates, what becomes of a row, and where the rows are."""

    run: str
    templates: tuple[str, ...] = ()
    form: Callable[[Row, Loss], Row] = pair
    place: str = "data/"


KINDS: Mapping[str, ExportKind] = {
    "trl": ExportKind(
        "python train.py            (pip install trl peft bitsandbytes; several cards: launch/)", ("trl", "launch")
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
    """The files of an export by name, but for plan and receipt.

    Raises Refusal where the rows of a step cannot be shared by the cards, or the trainer takes no such plan; InputError
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
                f"{step} rows a step cannot be shared by {bundle.cards} cards.",
                f"Set [training] batch to a multiple of {bundle.cards}, or name another number: --cards",
            )
        templates = tuple(each for each in templates if each != "launch")
    if kind == "unsloth" and bundle.recipe.packing:
        raise Refusal("The Unsloth script trains unpacked rows only.", "Set [training] packing = false")
    rows = {
        f"{chosen.place}{split}.jsonl": jsonl(chosen.form(row, bundle.recipe.loss) for row in rows)
        for split, rows in bundle.rows.items()
    }
    if kind == "openai":
        openai.demand_limits(rows)
    return rows | filled(bundle, "about", *templates, run=chosen.run)


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
    for name, text in files_of(bundle, check_kind(kind)).items():
        write_text(made / name, text)
    write_bytes(made / "plan.toml", (project.plans / f"{bundle.plan.id}.toml").read_bytes())
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
