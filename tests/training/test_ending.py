"""How a run that could not go on says why."""

from __future__ import annotations

from pathlib import Path

from training.plan.plans import DataFacts, Forecast, Plan, write_plan
from training.plan.recipe import Recipe
from training.run.failures import sentence
from workspace.artefact import now

TORCH = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.99 GiB of which 1.39 GiB is "
    "free. Including non-PyTorch memory, this process has 22.60 GiB memory in use. Of the allocated memory 21.90 GiB "
    "is allocated by PyTorch, and 312.50 MiB is reserved by PyTorch but unallocated."
)
"""As torch 2.8 words it."""


def test_a_full_card_is_told_with_what_was_needed_and_what_there_is(tmp_path: Path) -> None:
    told = sentence(RuntimeError(TORCH), tmp_path)
    assert told == "out of memory: 25.1 GiB needed, the card has 23.99. What fits: rung estimate --fit 24GB"
    small = sentence(RuntimeError(TORCH.replace("2.50 GiB", "512.00 MiB")), tmp_path)
    assert small.startswith("out of memory: 23.1 GiB needed")


def test_what_others_hold_of_the_card_is_not_what_the_run_needed(tmp_path: Path) -> None:
    others = TORCH.replace("Including", "Process 4711 has 3.00 GiB memory in use. Including")
    assert sentence(RuntimeError(others), tmp_path).startswith("out of memory: 25.1 GiB needed")
    nameless = TORCH.replace("Including non-PyTorch memory, this process", "Process 4711")
    assert sentence(RuntimeError(nameless), tmp_path).startswith("out of memory: 24.4 GiB needed")


def test_the_plan_that_was_wrong_is_named(tmp_path: Path) -> None:
    data = DataFacts(train=10, validation=2, longest=30, median=20, answer=4, tokens=200)
    recipe = Recipe(base="embedded", method="lora", learning_rate=1e-4, batch=1, epochs=1, steps=4, max_length=256)
    plan = Plan(
        id="P-001",
        dataset="v001",
        decision="fine_tune",
        recipe=recipe,
        data=data,
        forecast=Forecast(expected=22.4),
        created_at=now(),
        made_from={},
    )
    write_plan(tmp_path / "plan.toml", plan)
    assert "the card has 23.99; the plan said 22.4." in sentence(RuntimeError(TORCH), tmp_path)


def test_memory_without_figures_is_told_as_it_came(tmp_path: Path) -> None:
    assert sentence(MemoryError(), tmp_path) == "out of memory (no message)"
    assert sentence(RuntimeError("DefaultCPUAllocator: out of memory"), tmp_path).startswith("out of memory (Default")
