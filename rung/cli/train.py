"""`rung train`; see plan.py for `rung plan` and runs.py for `rung runs`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import By, Json, Reason, duration, goes_with
from rung.cli.output import note, show_locked
from rung.cli.remote import AtProvider, is_provider, reached
from rung.cli.runs import go_on, say_end, watch_run
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.settings import opened_project

if TYPE_CHECKING:
    from training.gates.gate import Gate, GateOverride
    from training.plan.memory_fit import Machine
    from training.plan.plans import Plan
    from workspace.folder import Project
    from workspace.settings import Settings


def train(
    plan_name: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="A plan (P-001) or its file.")] = None,
    override: Annotated[list[str] | None, typer.Option(help="Override a gate: decision, review or machine.")] = None,
    by: By = "",
    reason: Reason = "",
    detach: Annotated[bool, typer.Option("--detach", help="Return as soon as training has started.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Train again even if this plan already has a finished run.")
    ] = False,
    on: Annotated[
        str, typer.Option(metavar="NAME", help="Train at [remotes.NAME]: a machine over ssh, or a provider.")
    ] = "",
    at_most: Annotated[
        str, typer.Option(metavar="TIME", help="With --on: end the run there after this time, e.g. 3h or 90m.")
    ] = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="With --on a provider: end the job there.")] = False,
    as_json: Json = False,
) -> None:
    """Train, if all six gates are open. Continues an interrupted run of the same plan."""
    from training.gates.clearance import check_gates, grant, policy_of
    from training.gates.clearance import override as named_override
    from training.plan.plans import newest_plan, read_plan
    from training.runs import run_of, start

    goes_with("--on", on, "rung train --on NAME", {"--at-most": at_most, "--cancel": cancel})
    limit = duration("--at-most", at_most) if at_most else 0
    project, settings = opened_project()
    overrides = [named_override(name, by, reason, policy_of(project)) for name in override or []]
    before, known = newest_plan(project), {*project.plans.glob("P-*.toml")}
    if is_provider(settings, on):
        AtProvider.refuse({"--at-most": at_most, "--again": again}, on)
        there = AtProvider(project, settings, on, as_json)
        if cancel:
            return there.cancel(plan_name)
        path = _plan_or_locked(project, settings, plan_name, overrides, as_json, None)
        with _kept_if_open(path, known):
            folder = there.job(path, overrides, by)
        return there.train(folder, detach=detach)
    if cancel and on in settings.remotes:
        raise Refusal(f"--cancel: {on} is a machine, not a provider.", "rung runs stop", where="--cancel")
    box, machine = reached(project, settings, on) if on else (None, None)
    path = _plan_or_locked(project, settings, plan_name, overrides, as_json, machine)
    if plan_name is None and before is not None and before != path and run_of(project, sha256_file(before)) is None:
        note(f"{path.stem} is the plan that rung.toml asks for. The one made last: rung train {before.stem}")
    if _goes_on(project, path, again, detach, as_json):
        return
    plan = read_plan(path)
    if box is not None:
        from training.remote.following import prepare

        with _kept_if_open(path, known):
            folder = prepare(project, settings, path, box, overrides=overrides, by=by, at_most=limit)
        note(f"{folder.name}: trains on {on}, {path.stem}. Sending what it needs.")
        return watch_run(folder, start(project, folder), detach, as_json)
    with _kept_if_open(path, known):
        gates = check_gates(project, settings, plan, overrides=overrides)
        if not all(gate.opens for gate in gates):
            show_locked(gates, as_json)
    _tell_otherwise(project, settings, plan, gates)
    folder = grant(project, settings, path, overrides=overrides, by=by or settings.project.person)
    note(f"{folder.name}: cleared by all gates, {path.stem}. Loading {settings.model.base}.")
    watch_run(folder, start(project, folder), detach, as_json)


def _goes_on(project: Project, plan_file: Path, again: bool, detach: bool, as_json: bool) -> bool:
    """Resume or show this plan's run; False if there is none. Raises Refusal while another plan's run trains."""
    from training.runs import live_run, run_of

    found = None if again else run_of(project, sha256_file(plan_file))
    if found is None:
        if (other := live_run(project)) is not None:
            raise Refusal(
                f"{other.id} is training another plan ({other.plan}); one at a time.", f"rung runs watch {other.id}"
            )
        return False
    if found.state == "finished":
        note(f"{found.id} trained this very plan. The same again: rung train --again")
        say_end(project.runs / found.id, as_json)
    else:
        go_on(project, found, detach, as_json)
    return True


@contextmanager
def _kept_if_open(path: Path, known: Collection[Path]) -> Iterator[None]:
    """Remove the plan that was made for this command alone, if the gates are locked."""
    try:
        yield
    except (Refusal, typer.Exit):
        if path not in known:
            path.unlink()
        raise


def _tell_otherwise(project: Project, settings: Settings, plan: Plan, gates: Sequence[Gate]) -> None:
    """Warn before hours of training that the verdict will need a baseline with this run's settings."""
    from evaluation.measurement_report import read_report
    from evaluation.outcomes import asked_otherwise

    name = next(str(gate.evidence["report"]) for gate in gates if gate.name == "baseline")
    _, report = read_report(project, name)
    if told := asked_otherwise(settings, report, plan.recipe.base):
        note(f"{told} Before rung evaluate: rung baseline")


def _plan_or_locked(
    project: Project,
    settings: Settings,
    name: str | None,
    overrides: list[GateOverride],
    as_json: bool,
    machine: Machine | None,
) -> Path:
    """Return the plan's file. Where none can be worked out, the gates say what is missing."""
    from rung.cli.plan.planned import work_out
    from training.gates.clearance import check_gates
    from training.plan.plans import find_plan
    from workspace.extras import installed

    if name is not None:
        return find_plan(project, name)
    try:
        return work_out(project, settings, machine=machine)[0]
    except RungError as error:  # a missing extra, too: nobody should install 1.7 GB to read that a gate is closed
        if not isinstance(error, Refusal) and installed("torch"):
            raise
        gates = check_gates(project, settings, overrides=overrides)
        if all(gate.opens for gate in gates):
            raise
        show_locked(gates, as_json)
