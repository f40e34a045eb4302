"""Memory fit: this machine, whether a recipe fits it, and which methods fit if the plan does not. Without torch."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from advisor.sizing.architecture import Architecture
from advisor.sizing.cards import find_card
from advisor.sizing.memory import memory_of
from advisor.sizing.setup import Setup
from chat.local.load import find_model
from training.plan.objective import is_run
from training.plan.plans import Plan
from training.plan.recipe import PAIRED, QUANTISED, REINFORCED, Recipe, objections
from training.run.counted_model import find_architecture
from workspace.artefact import revised
from workspace.errors import RungError

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Machine:
    """`ram_gib` is all that this process may use (a container's limit counts); `cards` are (name, GiB)."""

    ram_gib: float
    cards: tuple[tuple[str, float], ...] = ()

    @property
    def where(self) -> str:
        """Return where the memory is, in words."""
        return "on the GPU" if self.cards else "in this machine"

    @property
    def memory_gib(self) -> float:
        """Memory of one GPU where there is one, else the machine's."""
        return self.cards[0][1] if self.cards else self.ram_gib


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(_ram() / GIB, _cards())


def with_cards(card: str, count: int = 1) -> Machine:
    """Return a machine with these GPUs, for a plan elsewhere. Raises InputError if `card` is no name and no size."""
    found = find_card(card)
    return Machine(_ram() / GIB, ((found.name, found.memory_gib),) * count)


def _ram() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return total


def _cards() -> tuple[tuple[str, float], ...]:
    """NVIDIA's own listing; none where its tool is missing or silent, or where the user hid all GPUs."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return ()
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = [line.rsplit(",", 1) for line in found.splitlines() if "," in line]
    return tuple((name.strip(), float(mib) / 1024) for name, mib in lines)


WHOLE = ("all-linear", "default", "")
ENDING = 4
"""Tokens that a template may put behind an answer and that are trained with it."""


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """Estimated peak in GiB, what this machine has, and the share of it that a run may plan with."""

    low: float
    expected: float
    high: float
    has: float
    where: str
    usable: float

    @property
    def fits(self) -> bool:
        """True if the high estimate is below the usable memory."""
        return self.high <= self.usable * self.has


def architecture_of(base: str) -> Architecture | None:
    """Return the base model's architecture; None if it is unknown (a hub id that the catalogue does not hold)."""
    place, hub = find_model(base)
    try:
        return find_architecture(base if hub else place)
    except RungError:
        return None


def unknown_because(base: str) -> str:
    """Return the reason why `architecture_of` found none."""
    place, hub = find_model(base)
    try:
        find_architecture(base if hub else place)
    except RungError as unknown:
        return unknown.message
    return ""


def fit_of(recipe: Recipe, machine: Machine | None = None, *, usable: float, answer: int = 0) -> MemoryFit | None:
    """Return the estimate for a recipe on a machine (default: this one); None if the architecture is unknown.

    `usable` is the policy's share of the memory, `answer` the longest answer of the rows in tokens, 0 where unknown.
    """
    architecture = architecture_of(recipe.base)
    if architecture is None:
        return None
    here = machine or this_machine()
    found = memory_of(architecture, setup_of(recipe, on_card=bool(here.cards), answer=answer))
    gib = (1 if here.cards else recipe.processes) / GIB  # each process holds the model; on cards each has its own
    return MemoryFit(found.low * gib, found.expected * gib, found.high * gib, here.memory_gib, here.where, usable)


ABOVE = 1.15
"""Allowed memory of a run, as a multiple of the peak of the dry steps, whose first holds the longest rows."""


def measured_fit(plan: Plan, usable: float) -> MemoryFit | None:
    """Return the peak that `rung plan check` measured, against this machine; None if it was not run."""
    peak, here = plan.forecast.measured_gib, this_machine()
    if peak is None:
        return None
    held = peak * (1 if here.cards else plan.recipe.processes)
    return MemoryFit(held, held, ABOVE * held, here.memory_gib, here.where, usable)


def setup_of(recipe: Recipe, *, on_card: bool, answer: int = 0) -> Setup:
    """Return the recipe in the estimator's words. Under supervised tuning the head runs at the answer's tokens only.

    Objectives with two answers, a reference or a second pass count as the estimator's DPO: the nearest that it knows.
    """
    two = recipe.objective in (*PAIRED, *REINFORCED)
    loss = "answer" if answer and recipe.objective == "sft" and not recipe.packing else "chunked"
    if recipe.objective in REINFORCED:
        loss = "full"
    return Setup(
        method=recipe.method,
        rank=max(1, recipe.rank),
        targets="all-linear" if recipe.targets in WHOLE else recipe.targets.split(","),
        virtual_tokens=max(1, recipe.virtual_tokens),
        objective="dpo" if two else "sft",
        reference=_reference(recipe),
        batch=recipe.batch,
        length=recipe.max_length + recipe.answer_tokens,
        checkpointing=recipe.checkpointing,
        dtype="bf16" if on_card else "fp32",
        mixed=on_card and recipe.method == "full",
        autocast=on_card,
        padded=not recipe.packing,
        loss=loss,
        answer=answer + ENDING if answer else 0,
        attention="eager" if recipe.attention == "eager" else "sdpa",
        dropout=recipe.dropout,
        device="cuda" if on_card else "cpu",
    )


def _reference(recipe: Recipe) -> str:
    """Full fine-tuning keeps a frozen copy to compare with; an adapter is switched off; a reward model needs none."""
    if is_run(recipe.reward):
        return "model"  # the reward model stands beside
    if recipe.objective == "reward" or (recipe.objective in REINFORCED and not recipe.beta):
        return "none"
    if recipe.objective == "sft":
        return "shared" if recipe.method != "full" else "none"
    return "model" if recipe.method == "full" else "shared"


LESS = ("lora", "qlora")
"""Methods in the order of their memory, below full fine-tuning."""
RANK = 16
"""Rank of the estimate where the plan has none: full fine-tuning."""


def methods_instead(plan: Plan, usable: float, machine: Machine | None = None) -> dict[str, MemoryFit]:
    """Methods that need less memory than the plan's own and fit the machine (default: this one), each with the memory
    that the plan would need, the one nearest to what was planned first. `usable` is the policy's share of the memory.
    Empty if the base is unknown or nothing fits.
    """
    recipe, here = plan.recipe, machine or this_machine()
    later = LESS[LESS.index(recipe.method) + 1 :] if recipe.method in LESS else LESS if recipe.method == "full" else ()
    found = {}
    for method in later:
        if method in QUANTISED and not here.cards:
            continue  # four bits need a card
        other = revised(recipe, method=method, rank=recipe.rank or RANK)
        if objections(other.model_dump()):
            continue
        try:
            fit = fit_of(other, here, answer=plan.data.answer, usable=usable)
        except RungError:
            continue
        if fit is not None and fit.fits:
            found[method] = fit
    return found
