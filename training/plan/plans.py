"""The plan: every value of a run with the reason for it, as `plans/P-001.toml`."""

import contextlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import tomli_w
from pydantic import Field, ValidationError

from training.plan.recipe import Because, Recipe
from workspace.artefact import Artefact, ArtefactPart, revised
from workspace.errors import InputError, Problem, Refusal, RungError, did_you_mean
from workspace.files import write_bytes
from workspace.folder import Project, next_id, oldest_first


class DataFacts(ArtefactPart):
    """Counts of the frozen rows. `left_out` lists train lines over `max_length` tokens."""

    train: int
    validation: int
    longest: int
    median: int
    answer: int
    tokens: int
    left_out: list[int] = []


class Forecast(ArtefactPart):
    """Memory in GiB, time in seconds, money in US dollars; what is not known is absent, and `because` says why.

    `seconds_low`, `seconds_high` and `measured_gib` (a peak above the imports) come from a dry run only.
    """

    low: float | None = None
    expected: float | None = None
    high: float | None = None
    has: float | None = None
    where: str = ""
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    measured_gib: float | None = None
    cost_usd: float | None = None
    because: str = ""


class Plan(Artefact):
    """`plans/P-001.toml`. The gates compare its sha256, and `made_from` ties it to one decision and one manifest.

    `recipe` holds the values, `because` a reason for each, `notes` what a reader should know before paying.
    """

    id: str
    dataset: str
    decision: str
    base_fingerprint: str = ""
    recipe: Recipe
    because: dict[str, Because] = Field(default_factory=dict)
    data: DataFacts
    forecast: Forecast = Forecast()
    notes: list[str] = []

    def essence(self) -> tuple[object, ...]:
        """Return the identity of a plan: the values, the rows, the base and what was decided.

        Not the id, the time, the forecast or the wording of a reason: advice or rules that are written again and say
        the same are no reason for another plan.
        """
        manifests = {name: digest for name, digest in self.made_from.items() if name.endswith("manifest.json")}
        return self.recipe, self.dataset, self.decision, self.base_fingerprint, manifests


def with_id(project: Project, plan: Plan) -> Plan:
    """Return the plan with the id of the newest one that is the same, else the next free one."""
    same = (old.id for _, old in readable_plans(project) if old.essence() == plan.essence())
    return revised(plan, id=next(same, "") or next_id(project.plans, "P"))


def read_plan(path: Path) -> Plan:
    """Read and check a plan. Raises InputError with every unknown key and wrong value, with "did you mean"."""
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RungError(f"{path}: cannot be read as a plan ({error}).", "rung plan", where=str(path)) from error
    try:
        return Plan.model_validate(table)
    except ValidationError as error:
        problems = [_problem(path, tuple(map(str, d["loc"])), d["type"], d["msg"]) for d in error.errors()]
        raise InputError(problems, "rung plan") from error


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan as TOML, atomically; absent values are left out."""
    write_bytes(path, tomli_w.dumps(plan.model_dump(mode="json", exclude_none=True)).encode())


def read_plans(project: Project) -> list[tuple[Path, Plan]]:
    """Return all plans of a project, the oldest first, but those of an objective that Rung no longer trains."""
    paths = oldest_first(project.plans.glob("P-*.toml"))
    return [(path, read_plan(path)) for path in paths if b'\nobjective = "kto"\n' not in path.read_bytes()]


def readable_plans(project: Project) -> Iterator[tuple[Path, Plan]]:
    """Yield the readable plans, newest first. An earlier version's plan may name what Rung no longer trains."""
    for path in reversed(oldest_first(project.plans.glob("P-*.toml"))):
        with contextlib.suppress(RungError):
            yield path, read_plan(path)


def newest_plan(project: Project) -> Path | None:
    """Return the file of the plan that was made last."""
    return next(iter(reversed(oldest_first(project.plans.glob("P-*.toml")))), None)


def find_plan(project: Project, name: str) -> Path:
    """Return the file of `P-001`, of `plans/P-001.toml`, or of a plan elsewhere. Raises RungError for none."""
    for path in (project.plans / f"{name}.toml", project.root / name, Path(name)):
        if path.is_file():
            return path
    known = [path.stem for path in oldest_first(project.plans.glob("P-*.toml"))]
    raise RungError(f"No plan {name} in plans/.{did_you_mean(name, known)}", "rung plan")


def keep_plan(project: Project, plan: Plan) -> tuple[Path, Plan]:
    """Write a plan, or return the one that is there as first written. Raises Refusal if another plan took its id."""
    path = project.plans / f"{plan.id}.toml"
    if not path.is_file():
        write_plan(path, plan)
        return path, plan
    old = read_plan(path)
    if old.essence() != plan.essence():
        raise Refusal(f"{plan.id} was written by another command meanwhile.", "rung plan")
    return path, old


def _problem(path: Path, place: tuple[str, ...], kind: str, message: str) -> Problem:
    name = ".".join(place)
    if kind == "extra_forbidden":
        known = list(Recipe.model_fields) if place[0] == "recipe" else list(Plan.model_fields)
        return Problem(f'unknown key "{name}".{did_you_mean(place[-1], known)}', where=path.name)
    return Problem(f'"{name}": {message}.', where=path.name)
