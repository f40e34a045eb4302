"""Adopt a run made elsewhere: an adapter or a merged model in a folder, or a tuned model that a server has by name.

Only plain files that weights and tokenizers need are copied. What nobody could check is kept in the record, and the
list of runs, the verdict and the card show it.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chat.local.load import check_folder, find_model, fingerprint
from chat.open import open_beside, own_server
from chat.privacy import project_guard
from curation.split.manifest import newest_dataset
from curation.store import open_store
from training.gates.clearance import PLAN_COPY, RECEIPT, Clearance
from training.plan.plans import Plan, read_plan
from training.runs import Adoption, RunRecord, read_runs, write_run
from workspace.artefact import hashes, now, read_artefact
from workspace.errors import InputError, Problem, Refusal, RungError
from workspace.extras import require
from workspace.files import is_unchanged, sha256_file
from workspace.folder import Project, next_id
from workspace.json_types import JsonObject
from workspace.settings import Settings
from workspace.trust import bare_host

ADAPTER, WEIGHTS, CONFIG = "adapter", "adapter_model.safetensors", "adapter_config.json"
KEPT = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model"})
"""Endings of weights, configurations and tokenizers; other files stay where they are."""
PICKLED = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})
TRAINERS_OWN = ("training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth", "optimizer.bin")
"""Pickles that a trainer leaves beside the weights and that no model needs: they stay where they are."""
CODE = frozenset({".py", ".pyc", ".so"})
METHODS = {"LORA": "lora", "ADALORA": "adalora", "IA3": "ia3"}
"""Kinds of adapter (peft's names) that change the base's own weights, and need nothing but their file."""
NEEDS_CODE = ("megatron_config", "auto_mapping")
"""Keys of adapter_config.json with which peft imports a module that the file names."""
NEAR = 3
"""Folders above an adapter in which its export is looked for: OUTPUT/checkpoint/adapter."""
UNKNOWN = "unknown"
NO_ROWS = "Which rows it was trained on is unknown: test items may be among them."
EXPECTED = f"{CONFIG} with {WEIGHTS}, or config.json with *.safetensors"


@dataclass(frozen=True, slots=True)
class Origin:
    """The export of this project that an adapter was trained from: its folder, plan and receipt, all unchanged."""

    folder: Path
    plan: Plan
    clearance: Clearance


def adopt_folder(
    project: Project, settings: Settings, folder: Path, by: str = "", said: Sequence[str] = ()
) -> RunRecord:
    """Copy the adapter or merged model in `folder` into the project as a finished run, and return its record.

    The same weights adopted before return that run. `said` are more sentences on what nobody could check. Raises
    InputError with everything that keeps the folder out (pickled weights, symlinks, code, another kind of adapter),
    Refusal where the project has no frozen dataset or its arms are asked of a server.
    """
    kept = _checked(folder)
    if settings.model.provider != "local":
        raise Refusal(
            f"[model] provider is {settings.model.provider}: weights in a folder are answered by this machine, and so "
            "are the arms that they are compared with.",
            "rung runs adopt --served NAME --base URL   (for a model on a server)",
        )
    config = _config(folder)
    method = "full"
    if config is not None:
        other = "dora" if config.get("use_dora") else "rslora" if config.get("use_rslora") else ""
        method = other or METHODS[str(config["peft_type"])]
    origin = _origin(project, settings, folder)
    place, hub = find_model(settings.model.base)
    made = project.runs / f".adopted-{now():%H%M%S}"
    shutil.rmtree(made, ignore_errors=True)
    (made / ADAPTER).mkdir(parents=True)
    try:
        for path in kept:
            shutil.copyfile(path, made / ADAPTER / path.name, follow_symlinks=False)
        files = {path.name: sha256_file(made / ADAPTER / path.name) for path in kept}
        for run in read_runs(project):
            if run.files == files:
                return run
        target = project.runs / next_id(project.runs, "R")
        record = RunRecord(
            **_common(project, settings, by, origin),
            id=target.name,
            base_fingerprint="" if hub else fingerprint(Path(place)),
            method=method,
            adapter=f"{target.name}/{ADAPTER}",
            files=files,
            adopted=Adoption(
                source=folder.resolve().name,
                rows=f"{origin.plan.dataset}, as exported with {origin.plan.id}" if origin else UNKNOWN,
                unchecked=[*said, *_unchecked(config, settings, origin)],
            ),
        )
        return _keep(project, settings, made, target, record, origin)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def adopt_served(project: Project, settings: Settings, name: str, address: str = "", by: str = "") -> RunRecord:
    """Record the tuned model that the server of `[model]` has as `name` as a finished run without weights.

    `address`, if given, must be that server's: the arms were asked there, and this account trusts only hosts that
    rung.toml names. Raises Refusal for another server, and where the server does not list the name.
    """
    host = own_server(settings.model)
    if address and bare_host(address) != bare_host(settings.model.base_url or host):
        raise Refusal(
            f"--base {address}: rung.toml asks {host}. A verdict is fair only if one server answers all arms.",
            f'[model] base_url = "{address}" in rung.toml, then rung trust and rung baseline',
            where="--base",
        )
    if name == settings.model.base:
        raise Refusal(f"--served {name} is the base model, not the tuned one.", "--served NAME", where="--served")
    for run in read_runs(project):
        if run.adopted and (run.adopted.served, run.adopted.host) == (name, host):
            return run
    open_beside(settings.model, name, project_guard(project, settings), called=name)
    target = project.runs / next_id(project.runs, "R")
    unchecked = [f"{host} says that {name} answers; which weights answer was not checked.", NO_ROWS]
    record = RunRecord(
        **_common(project, settings, by, None),
        id=target.name,
        method="served",
        adopted=Adoption(source=f"{name} at {host}", served=name, host=host, unchecked=unchecked),
    )
    made = project.runs / f".adopted-{now():%H%M%S}"
    made.mkdir(parents=True, exist_ok=True)
    return _keep(project, settings, made, target, record, None)


def _keep(
    project: Project, settings: Settings, made: Path, target: Path, record: RunRecord, origin: Origin | None
) -> RunRecord:
    """Write the record last, move the folder into place, log it."""
    for path in (origin.folder / PLAN_COPY, origin.folder / RECEIPT) if origin else ():
        shutil.copyfile(path, made / path.name)
    made.rename(target)
    written = write_run(target, record)
    assert record.adopted is not None
    with open_store(project, settings) as store:
        detail = {"source": record.adopted.source, "rows": record.adopted.rows, "files": record.files}
        store.event("adopted", record.by, record.id, detail)
    return written


def _common(project: Project, settings: Settings, by: str, origin: Origin | None) -> JsonObject:
    """Return fields of the record that folders and servers share."""
    dataset = origin.plan.dataset if origin else None
    if dataset is None:
        newest = newest_dataset(project)
        if newest is None:
            raise Refusal("No frozen dataset: nothing could be measured on its test items.", "rung data freeze")
        dataset = newest.name
    plan_file = origin.folder / PLAN_COPY if origin else None
    return {
        "made_from": hashes(project.root, project.datasets / dataset / "manifest.json"),
        "state": "finished",
        "plan": origin.plan.id if origin else "",
        "plan_sha256": sha256_file(plan_file) if plan_file else "",
        "clearance_sha256": sha256_file(origin.folder / RECEIPT) if origin else "",
        "dataset": dataset,
        "base": settings.model.base,
        "system_prompt": origin.plan.recipe.system_prompt if origin else settings.training.system_prompt,
        "overrides": origin.clearance.overrides if origin else [],
        "by": by or settings.project.person,
        "ended_at": now(),
        "ending": "adopted",
    }


def _checked(folder: Path) -> list[Path]:
    """Return the files to copy. Raises InputError with every reason against the folder."""
    if not folder.is_dir():
        raise InputError([Problem("is no folder.", str(folder), EXPECTED)])
    found = sorted(folder.iterdir())
    problems = [Problem(fault, str(path)) for path in found if (fault := _fault(path))]
    names = {path.name for path in found}
    whole = (
        WEIGHTS in names
        if CONFIG in names
        else "config.json" in names and any(n.endswith(".safetensors") for n in names)
    )
    if not whole:
        held = ", ".join(sorted(names)[:8]) or "nothing"
        problems.append(Problem("is no adapter and no merged model.", str(folder), EXPECTED, held))
    if problems:
        raise InputError(problems, "Save it with save_pretrained(FOLDER), and name that folder.")
    kept = [path for path in found if path.is_file() and path.suffix in KEPT]
    for path in kept:
        if path.suffix == ".safetensors" and (fault := _header_fault(path)):
            raise InputError([Problem(fault, str(path), "a whole safetensors file")], "Copy it again from its source.")
    if CONFIG not in names:
        check_folder(folder)
    return kept


def _fault(path: Path) -> str:
    if path.is_symlink():
        return "is a symlink: what it leads to may change. Copy the files themselves (cp -rL)."
    if path.is_dir():
        return ""
    if not path.is_file():
        return "is no plain file."
    if path.suffix in CODE:
        return "is code; Rung runs no code from model folders."
    if path.suffix in PICKLED and not any(path.match(name) for name in TRAINERS_OWN):
        return "is a pickle, which can run code; save the weights as safetensors."
    return ""


def _header_fault(path: Path) -> str:
    """Return the reason why a safetensors file is incomplete; the weights are not read."""
    safetensors = require("train", "safetensors")
    try:
        with safetensors.safe_open(path, "np") as file:
            return "" if file.keys() else "holds no tensor."
    except safetensors.SafetensorError as error:
        return f"is cut, or no safetensors file ({error})."


def _config(folder: Path) -> JsonObject | None:
    """adapter_config.json; None for a merged model. Raises InputError for kinds that are not adopted."""
    path = folder / CONFIG
    if not path.is_file():
        return None
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise InputError([Problem("is not JSON.", str(path), "the file that peft's save_pretrained wrote")])
    problems = []
    if config.get("peft_type") not in METHODS:
        problems.append(
            Problem(f"peft_type {config.get('peft_type')!r} is not adopted.", str(path), ", ".join(METHODS))
        )
    problems += [Problem(f"{key} names code to import.", str(path)) for key in NEEDS_CODE if config.get(key)]
    if problems:
        raise InputError(problems, "Merge it into its base (merge_and_unload), save that, and adopt the merged model.")
    return config


def _origin(project: Project, settings: Settings, folder: Path) -> Origin | None:
    """Return the export around the folder if this project wrote it and its plan, receipt and rows are unchanged."""
    for above in list(folder.resolve().parents)[:NEAR]:
        receipt, plan_file = above / RECEIPT, above / PLAN_COPY
        if receipt.is_file() and plan_file.is_file():
            break
    else:
        return None
    try:
        clearance, plan = read_artefact(receipt, Clearance), read_plan(plan_file)
    except RungError:
        return None
    digest = sha256_file(receipt)
    with open_store(project, settings) as store:
        events = [e.detail for e in store.events(ref=plan.id) if e.kind == "exported" and e.detail["sha256"] == digest]
    rows = events[-1].get("files", {}) if events else {}
    ours = rows and clearance.plan_sha256 == sha256_file(plan_file)
    if not ours or any(not is_unchanged(above / n, sha) for n, sha in rows.items()):
        return None
    return Origin(above, plan, clearance) if (project.datasets / plan.dataset / "manifest.json").is_file() else None


def _unchecked(config: JsonObject | None, settings: Settings, origin: Origin | None) -> list[str]:
    """Return sentences on what nobody could check."""
    exported = "The rows of the export are unchanged; that the trainer read no others was not checked."
    found = [exported if origin else NO_ROWS]
    base = config.get("base_model_name_or_path") if config else None
    if config is None:
        found.append("From which base it was trained is not recorded.")
    elif base != settings.model.base:
        said = f"names {base} as its base" if base else "names no base"
        found.append(
            f"Its {CONFIG} {said}; it is loaded on {settings.model.base}. Whether both are one model was not checked."
        )
    return found
