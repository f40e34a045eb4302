"""The arms of a baseline by name, in the order of the ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.arms import (
    base,
    bigger_model,
    classical,
    combined,
    few_shot,
    many_shot,
    optimised,
    prompt,
    rag,
    retrieved,
)
from evaluation.arms.material import Material, Variant
from workspace.errors import RungError, did_you_mean


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of answering that is measured. `needs` says what it needs where it has no variant."""

    name: str
    prompted: bool
    needs: str
    variants: Callable[[Material], list[Variant]]

    @property
    def elsewhere(self) -> bool:
        """Whether it asks another model than the base."""
        return self.name == bigger_model.NAME


ARMS = {
    module.NAME: Arm(module.NAME, module is not classical, module.NEEDS, module.variants)
    for module in (base, prompt, few_shot, many_shot, retrieved, rag, combined, optimised, bigger_model, classical)
}


def arms_named(names: Sequence[str]) -> list[Arm]:
    """The arms in the order of the ladder, `prompt` always first among those that build on it.

    Raises RungError for an unknown name.
    """
    unknown = [name for name in names if name not in ARMS]
    if unknown:
        hint = did_you_mean(unknown[0], ARMS)
        raise RungError(
            f'No arm is called "{unknown[0]}".{hint} Known: {", ".join(ARMS)}.',
            expected=", ".join(ARMS),
            found=unknown[0],
        )
    return [arm for name, arm in ARMS.items() if name in names]
