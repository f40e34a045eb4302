"""The base model as a recipe wants it loaded, and the adapter that is put on it."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chat.local.load import find_model, loadable, try_template, writer_class
from chat.local.offline import quiet_transformers
from chat.local.prompt import encode, render, render_whole
from chat.protocols import Turn
from chat.thinking import switched
from training.plan.recipe import Recipe
from training.run.packing import register
from training.run.processes import world
from workspace.errors import RungError

PACKED = ("gptq", "awq", "compressed-tensors")
REVERSIBLE = ("reformer",)
"""Families whose layers compute their own gradients, and none where only an adapter inside them learns."""


class PlanTokenizer:
    """`chat.protocols.Tokenizer` without a model: what a plan needs to count tokens."""

    def __init__(self, base: str, enable_thinking: bool | None = None) -> None:
        place, hub = find_model(base)
        with loadable(base, hub=hub):
            config, _ = quiet_transformers(hub=hub).PretrainedConfig.get_config_dict(place, local_files_only=not hub)
            packed = (config.get("quantization_config") or {}).get("quant_method")
        if packed in PACKED:
            told = f"{base}: weights in the format {packed} can be asked, and no adapter trains on them."
            raise RungError(told, "Name the model that it was made from; QLoRA packs that one.", where=base)
        if (kind := config.get("model_type")) in REVERSIBLE:
            told = f"{base}: {kind} can be asked, not trained: its reversible layers give adapters no gradient."
            raise RungError(told, "Name a model of another family.", where=base)
        self.tokenizer = load_tokenizer(base, enable_thinking)

    def count(self, text: str) -> int:
        """Return tokens of a plain text, without special ones."""
        return len(encode(self.tokenizer, text))

    def render(self, turns: Sequence[Turn]) -> str:
        """Return the chat template's text for these turns, open for the assistant."""
        return render(self.tokenizer, turns)

    def render_whole(self, turns: Sequence[Turn], tools: Any = None) -> str:
        """Return the chat template's text for finished turns. Raises RungError if it leaves out a call of the last."""
        return render_whole(self.tokenizer, turns, tools)


def load_tokenizer(base: str, enable_thinking: bool | None = None) -> Any:
    """Return the base model's tokenizer with a padding token (else its end token), thinking switched. `answer_ends`
    holds the ids that end an answer: Gemma's turns end by another id than the end token.

    Raises RungError if it cannot be loaded, or its model cannot write.
    """
    place, hub = find_model(base)
    transformers = quiet_transformers(hub=hub)
    safe = {"local_files_only": not hub, "trust_remote_code": False}
    with loadable(base, hub=hub):
        writer_class(transformers, place, **safe)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **safe)
    try_template(tokenizer)
    if tokenizer.chat_template:
        tokenizer.chat_template = switched(str(tokenizer.chat_template), enable_thinking)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.answer_ends = {tokenizer.eos_token_id}
    with loadable(base, hub=hub), contextlib.suppress(OSError):  # a model without settings for `generate`
        ends = transformers.GenerationConfig.from_pretrained(place, local_files_only=not hub).eos_token_id
        tokenizer.answer_ends |= {ends} if isinstance(ends, int) else set(ends or ())
    return tokenizer


def load_base(recipe: Recipe) -> Any:
    """Return the base in fp32, or in 4 bit (nf4, double quantisation) for QLoRA. Never runs its own code.

    A reward model has a score head instead of the vocabulary's, random but for the seed.
    """
    import torch

    place, hub = find_model(recipe.base)
    transformers = quiet_transformers(hub=hub)
    # bf16 weights on a GPU where the base is frozen; fp32 elsewhere, with autocast where it is quicker
    frozen = torch.cuda.is_available() and recipe.method != "full"
    dtype = torch.bfloat16 if frozen else torch.float32
    options: dict[str, Any] = {"attn_implementation": recipe.attention, "dtype": dtype}
    if recipe.quantisation == "nf4":
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
        )
    if torch.cuda.is_available():
        options["device_map"] = {"": world().local}
    if recipe.packing:
        register()
    safe = {"local_files_only": not hub, "trust_remote_code": False}
    kind = writer_class(transformers, place, **safe)
    if recipe.objective == "reward":
        transformers.set_seed(recipe.seed)
        kind, options["num_labels"] = transformers.AutoModelForSequenceClassification, 1
    model = kind.from_pretrained(place, **safe, use_safetensors=True, **options)
    if recipe.objective == "reward" and model.config.pad_token_id is None:
        model.config.pad_token_id = load_tokenizer(recipe.base).pad_token_id
    return model


BF16 = ("amx_bf16", "avx512_bf16", "bf16")
"""Names in /proc/cpuinfo of instructions that compute in bf16; without them bf16 is 18 times slower."""


def choose_precision(recipe: Recipe) -> tuple[str, str]:
    """`bf16` (autocast) or `fp32`, and the reason in words. Where the recipe leaves it open this machine decides."""
    import torch

    if recipe.precision != "auto":
        return recipe.precision, "as the plan says"
    if torch.cuda.is_available():
        return ("bf16", "a GPU") if torch.cuda.is_bf16_supported() else ("fp32", "this GPU has no bf16")
    if recipe.quantisation != "none":
        return "fp32", "a 4-bit base on a CPU"
    try:
        known = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        known = set()
    return ("bf16", "this CPU has bf16") if known & {*BF16} else ("fp32", "this CPU has no bf16")


def prepare(model: Any, recipe: Recipe) -> Any:
    """Make a 4-bit base trainable under an adapter: norms in fp32, input gradients on."""
    if recipe.quantisation == "none":
        return model
    from peft import prepare_model_for_kbit_training

    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=recipe.checkpointing)


def set_threads(recipe: Recipe) -> int:
    """Use as many threads as the recipe says, else as the environment or the machine offers; returns the number."""
    import torch

    offered = max(1, len(os.sched_getaffinity(0)) // recipe.processes)
    wanted = recipe.threads or int(os.environ.get("OMP_NUM_THREADS", "0")) or offered
    torch.set_num_threads(wanted)
    return wanted


def save(trainer: Any, tokenizer: Any, folder: Path) -> None:
    """Save the adapter (or the whole model) with the tokenizer, as safetensors."""
    trainer.model.save_pretrained(str(folder), safe_serialization=True)
    tokenizer.save_pretrained(str(folder))
