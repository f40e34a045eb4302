"""The arms of a baseline by name, in the order of the ladder."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from evaluation.arms import classifiers, own, prompted
from evaluation.arms.arm_material import ArmMaterial, Variant
from workspace.errors import RungError, did_you_mean


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of answering that is measured. `needs` says what it needs where it has no variant."""

    name: str
    prompted: bool
    needs: str
    variants: Callable[[ArmMaterial], list[Variant]]


CASCADE = "cascade"
ASKING_NOTHING = (*classifiers.CLASSIFIERS, CASCADE)
"""Arms for which no model is asked."""
EXAMPLES = "rows that may be shown as examples: reviewed, and free of leaks from the test set"
PROPOSALS = (
    "train and validation rows, the extra rung[optimise], and a model that can rewrite a prompt (a hosted [model], or "
    "[bigger_model])"
)
ARMS = {
    arm.name: arm
    for arm in (
        Arm("base", True, "", prompted.base),
        Arm("prompt", True, "", prompted.prompt_versions),
        Arm("few_shot", True, EXAMPLES, prompted.few_shot),
        Arm("many_shot", True, EXAMPLES, prompted.many_shot),
        Arm("retrieved", True, EXAMPLES, prompted.retrieved),
        Arm("rag", True, "documents: .md, .txt, .html, .docx or .pdf files in documents/", prompted.rag),
        Arm("combined", True, "rows that may be shown as examples, or documents/", prompted.combined),
        Arm(prompted.OPTIMISED, True, PROPOSALS, prompted.optimised),
        Arm(prompted.BIGGER_MODEL, True, "another model: [bigger_model] base in rung.toml", prompted.bigger_model),
        Arm(classifiers.CLASSICAL, False, classifiers.NEEDS, classifiers.classical),
        Arm(classifiers.ENCODER, False, classifiers.NEEDS_ENCODER, classifiers.encoder),
        Arm(
            CASCADE,
            False,
            "a classifier that reaches [evaluation] precision on validation rows, and a prompted arm",
            lambda material: [],
        ),
    )
}
ARM_NAMES = {
    "base": "base",
    "prompt": "prompt",
    "few_shot": "few-shot",
    "many_shot": "many-shot",
    "retrieved": "retrieved few-shot",
    "rag": "rag",
    "combined": "prompt, few-shot, rag",
    "optimised": "optimised prompt",
    "bigger_model": "bigger model",
    "classical": "classifier",
    "encoder": "encoder",
    CASCADE: "cascade",
    "tuned": "tuned",
    "tuned_rag": "tuned, rag",
}
"""The words for the arms, as screens, reports and messages print them."""


CALLED = {classifiers.CLASSICAL: "classifier"}
"""Arms that a person may name by another name than the one in files."""


def arms_named(names: Sequence[str]) -> list[Arm]:
    """Return the arms in the ladder's order, `prompt` before those that build on it. RungError for an unknown name."""
    known = [CALLED.get(name, name) for name in ARMS]
    mine = list(dict.fromkeys(name for name in names if name.startswith(own.OWN)))
    unknown = [name for name in names if name not in {*ARMS, *known, *mine}]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise RungError(
            f'No arm is called "{unknown[0]}".{hint} Known: {", ".join([*known, f"{own.OWN}NAME"])}.',
            expected=", ".join(known),
            found=unknown[0],
        )
    ours = [arm for name, arm in ARMS.items() if name in names or CALLED.get(name) in names]
    return [*ours, *(Arm(name, False, "", own.variants) for name in mine)]


def on_the_ladder(arms: Iterable[str]) -> list[str]:
    """Return names of arms, each once, in the order of the ladder; systems of the user's own last."""
    order = {name: place for place, name in enumerate(ARM_NAMES)}
    return sorted(dict.fromkeys(arms), key=lambda name: order.get(name, len(order)))


def arm_option(arm: str) -> str:
    """Return the name of an arm in `--arms`, for a command shown to a person."""
    return CALLED.get(arm, arm)


def arm_name(arm: str) -> str:
    """Return the word for an arm; an unknown one as it is."""
    return ARM_NAMES.get(arm, arm)
