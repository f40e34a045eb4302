"""Forms that need what this environment has not: refused in plain words before anything is made."""

from __future__ import annotations

from collections.abc import Sequence

from training.release.record import FormName
from workspace.errors import Refusal

NOT_HERE: dict[FormName, str] = {
    "gptq": "llmcompressor needs an environment of its own (transformers below 5.18)",
    "awq": "llmcompressor calibrates it on a GPU, in an environment of its own",
}


def refuse_what_cannot_be_made(forms: Sequence[FormName]) -> None:
    """Raise Refusal that names each form that cannot be made here, and why."""
    said = [f"{form} is not made here: {NOT_HERE[form]}." for form in forms if form in NOT_HERE]
    if said:
        raise Refusal("\n".join(said), "rung release --to gguf")
