"""Loading a model and its tokenizer from a folder, from a hub id that the user named, or the embedded one.

A folder that somebody else made is checked before anything of it is loaded or run: sizes, and the chat template.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from chat.local.embedded import NAME, WHEEL, embedded_model
from chat.local.offline import quiet_transformers
from chat.protocols import Progress
from chat.thinking import named, switched
from workspace.errors import RungError
from workspace.extras import need, require
from workspace.files import sha256_file
from workspace.folder import folder_named
from workspace.json_types import JsonObject

EMBEDDED = "embedded"
Precision = Literal["auto", "float32", "bfloat16", "float16", "nf4"]
MERGEABLE = frozenset({"LORA", "ADALORA", "IA3"})
"""Kinds of adapter (peft's names) that are a change of the base's own weights."""
ENCODER = "an encoder, which reads a text as a whole and cannot continue one"
PLACES, PLACE = 64, 1 << 16
"""Places in each file of weights that hold a name, and their bytes."""


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer. `name` is the exact id for reports; `ends` the token ids that close an answer."""

    model: Any
    tokenizer: Any
    name: str
    ends: frozenset[int]
    longest: int
    """Most tokens of prompt and answer together."""
    learned_prompt: bool = False
    """The adapter is made of virtual tokens (prompt or prefix tuning), which only `generate` puts in."""


def find_model(ref: str, progress: Progress | None = None) -> tuple[str, bool]:
    """Return the place that `ref` is loaded from, and whether it is the hub.

    `embedded` is made first if need be; a folder must hold safetensors. Raises RungError for a folder that is not
    there or cannot be used.
    """
    if ref == EMBEDDED:
        return str(embedded_model(progress)), False
    folder = folder_named(ref)
    if folder.is_dir():
        check_folder(folder)
        return str(folder), False
    if ref.startswith((".", "/", "~")) or ref.count("/") > 1 or not ref:
        raise RungError(
            f"[model] base = {ref}: no such folder.", 'Name a model folder, a hub id, or "embedded".', where="rung.toml"
        )
    return ref, True


def load(
    ref: str,
    *,
    adapter: Path | None = None,
    precision: Precision = "auto",
    threads: int = 0,
    progress: Progress | None = None,
    enable_thinking: bool | None = None,
) -> Loaded:
    """Load weights (safetensors only, no remote code), put an adapter on them, and set them to answer.

    `auto` precision is fp32 on a CPU, and bf16 (fp16 on older GPUs) on a GPU. `threads` 0 leaves torch's own choice.
    On a CPU an adapter is merged in fp32 and then cast: it answers the same, in two thirds of the time.
    """
    need("train", "torch")  # before weights are fetched that nothing here could load
    place, hub = find_model(ref, progress)
    transformers = quiet_transformers(hub=hub)
    if threads:
        import torch

        torch.set_num_threads(threads)
    options = {"local_files_only": not hub, "trust_remote_code": False}
    merges = adapter is not None and _may_merge(adapter, precision)
    first: Precision = "float32" if merges else precision
    with loadable(ref, hub=hub):
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **options)
        try_template(tokenizer)
        if tokenizer.chat_template:
            tokenizer.chat_template = switched(str(tokenizer.chat_template), enable_thinking)
        model = writer_class(transformers, place, **options).from_pretrained(
            place, use_safetensors=True, **options, **_placement(first, transformers)
        )
    name = named(_name(ref, place, model.config), enable_thinking)
    name += "" if precision == "auto" else f" in {precision}"
    if adapter is not None:
        model, name = _with_adapter(model, adapter, name)
    learned = adapter is not None and model.active_peft_config.is_prompt_learning
    if merges:
        import torch

        model = model.merge_and_unload().to(getattr(torch, _placement(precision, transformers)["dtype"]))
    model.eval().requires_grad_(False)
    return Loaded(model, tokenizer, name, _ends(model, tokenizer), _longest(model, tokenizer), learned)


def writer_class(transformers: ModuleType, place: str, **options: bool) -> Any:
    """Return the auto class that loads a model with the head that writes text.

    Checkpoints that read images too (Mistral 3, Qwen3-VL) have a class of their own, whose language model answers.
    Raises RungError as `refuse_reader`, and ImportError or RuntimeError where the weights are in a format (GPTQ, AWQ)
    for which this machine has no kernel, or a part of the model is one of timm's, which is not installed.
    """
    config = transformers.AutoConfig.from_pretrained(place, **options)
    refuse_reader(transformers, config, place)
    kinds = transformers.models.auto.modeling_auto.MODEL_MAPPING_NAMES
    if any(str(kinds.get(getattr(part, "model_type", ""))).startswith("Timm") for part in vars(config).values()):
        transformers.utils.requires_backends(config, ["timm"])
    if packed := getattr(config, "quantization_config", None):
        transformers.quantizers.AutoHfQuantizer.from_config(packed, pre_quantized=True).validate_environment()
    return auto_class(transformers, config)


def auto_class(transformers: ModuleType, config: Any) -> Any:
    """Return the auto class for this config: that of the whole for one that reads images too, unless its language model
    alone could be loaded again by itself (Llama 3.2 Vision's could not).
    """
    kind, causal = type(config), transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    reads = kind in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    if kind not in causal or (reads and causal[kind].config_class not in causal):
        return transformers.AutoModelForImageTextToText
    return transformers.AutoModelForCausalLM


def refuse_reader(transformers: ModuleType, config: Any, name: str) -> None:
    """Raise RungError for a model that does not continue a text: one of encoder and decoder, whose encoder the class
    that writes would leave out, an encoder that fills in blanks, or a family without a class that writes.
    """
    kind = type(config)
    looks_back = getattr(config, "is_decoder", False) or getattr(config, "causal", False)
    if config.is_encoder_decoder:
        raise refused(name, f"an encoder with a decoder ({config.model_type}); Rung's models only continue a text")
    if kind in transformers.MODEL_FOR_MASKED_LM_MAPPING and not looks_back:
        raise refused(name, ENCODER)
    causal, images = transformers.MODEL_FOR_CAUSAL_LM_MAPPING, transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    if kind not in causal and kind not in images:
        raise refused(name, f"transformers has no class of the family {config.model_type} that continues a text")


def refused(name: str, told: str) -> RungError:
    """Return the refusal of a model that cannot continue a text."""
    return RungError(f"{name}: {told}.", "Name a model that writes.", where=name)


def check_folder(folder: Path) -> None:
    """Raise RungError unless it is a model folder of safetensors with a config.json that they can fill: nothing is
    allocated for any other.
    """
    if not (folder / "config.json").is_file():
        raise RungError(f"{folder}: not a model folder (config.json is missing).", where=str(folder))
    weights = list(folder.glob("*.safetensors"))
    if not weights:
        raise RungError(
            f"{folder}: holds no safetensors weights; other formats can run code and are never read.",
            "Convert it: AutoModelForCausalLM.from_pretrained(...).save_pretrained(FOLDER)",
            where=str(folder),
            expected="*.safetensors",
        )
    held = PER_BYTE * sum(file.stat().st_size for file in weights)
    config = _config(folder / "config.json")
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        width, words, layers = (_whole(part.get(key)) for key in ("hidden_size", "vocab_size", "num_hidden_layers"))
        for key, least in (("vocab_size", width * words), ("num_hidden_layers", width * layers)):
            if least > held or layers > MOST_LAYERS:
                raise RungError(
                    f"{folder}: config.json and the weights do not belong together: {key} = {part[key]} needs more "
                    f"than the {held // PER_BYTE:,} bytes of weights hold.",
                    "Get the folder from its source again.",
                    where=str(folder / "config.json"),
                )


def _placement(precision: Precision, transformers: ModuleType) -> dict[str, Any]:
    """Return the `from_pretrained` arguments for type and device."""
    import torch

    gpu = torch.cuda.is_available()
    half = "bfloat16" if gpu and torch.cuda.is_bf16_supported() else "float16"
    kind = (half if gpu else "float32") if precision in ("auto", "nf4") else precision
    place: dict[str, Any] = {"dtype": kind}
    if gpu:
        place["device_map"] = {"": 0}
    if precision == "nf4":
        require("train", "bitsandbytes")
        place["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=kind
        )
    return place


def _may_merge(adapter: Path, precision: Precision) -> bool:
    """True if the adapter can be merged into the base here: not into 4-bit weights, and not if it adds tokens."""
    import torch

    if precision == "nf4" or torch.cuda.is_available():
        return False
    try:
        kind = str(json.loads((adapter / "adapter_config.json").read_bytes()).get("peft_type", ""))
    except (OSError, ValueError, AttributeError):
        return False
    return kind in MERGEABLE


@contextlib.contextmanager
def loadable(ref: str, *, hub: bool) -> Iterator[None]:
    """Inside, transformers loads `ref`; whatever it raises where it cannot becomes a RungError with the way on."""
    try:
        yield
    except RungError:
        raise
    except Exception as error:  # a family's own code fails in its own way
        way = 'Check the id and the network, name a model folder, or use "embedded".'
        reason, hint = why_not(error, way if hub else "Check the folder; Rung runs no code from model folders.")
        raise RungError(f"The model {ref} could not be loaded: {reason}", hint, where=ref) from error


def why_not(error: Exception, otherwise: str) -> tuple[str, str]:
    """Return the first line of what a library raised, and the way on: the package that it misses, else this one."""
    text = str(error).strip() or type(error).__name__
    missing = re.search(r"`(pip install [^`]+)`", text)
    return text.splitlines()[0], missing[1] if missing else otherwise


def adapter_weights(adapter: Path) -> Path:
    """Return the weights of an adapter. Raises RungError if they are not safetensors: peft would read others too."""
    weights = adapter / "adapter_model.safetensors"
    if not weights.is_file():
        raise RungError(f"{adapter}: not an adapter folder ({weights.name} is missing).", where=str(adapter))
    return weights


def _with_adapter(model: Any, adapter: Path, name: str) -> tuple[Any, str]:
    """Put a peft adapter on the model; refuses pickled weights."""
    peft = require("train", "peft")
    weights = adapter_weights(adapter)
    try:
        tuned = peft.PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RungError(f"{adapter}: does not fit {name}: {reason}", where=str(adapter)) from error
    if tuned.active_peft_config.is_prompt_learning:  # virtual tokens, whose shape peft has compared
        return tuned, f"{name} + adapter {sha256_file(weights)[:8]}"
    found = tuned.load_adapter(str(adapter), tuned.active_adapter, local_files_only=True)
    if strangers := [*found.unexpected_keys, *found.missing_keys]:  # peft passes over them, and the base would answer
        raise RungError(
            f"{adapter}: {len(strangers)} tensors have no counterpart in {name}, {strangers[0]} for one: "
            "it was trained from another model.",
            where=str(weights),
        )
    return tuned, f"{name} + adapter {sha256_file(weights)[:8]}"


def _name(ref: str, place: str, config: Any) -> str:
    """Return the embedded model's name and wheel, a hub id with its commit, or a folder with a hash of its content."""
    if ref == EMBEDDED:
        return f"{NAME} ({WHEEL})"
    if not Path(place).is_dir():
        return f"{ref}@{(getattr(config, '_commit_hash', None) or 'unknown')[:12]}"
    return f"{Path(place).resolve().name} ({_held(Path(place))[:8]})"


def fingerprint(folder: Path) -> str:
    """Hex SHA-256 of config.json and of every safetensors file's name, size and header, not of gigabytes of weights."""
    digest = sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(f"{file.name} {file.stat().st_size}".encode())
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            digest.update(stream.read(min(size, 1 << 24)))
    return digest.hexdigest()


def _held(folder: Path) -> str:
    """Hex SHA-256 of all that tells one folder's answers from another's of the same shape: small files whole, and of
    the weights `PLACES` places, as a training moves all of them. Answers are kept by it.
    """
    digest = sha256(fingerprint(folder).encode())
    for file in sorted(path for path in folder.iterdir() if path.suffix in (".json", ".jinja")):
        digest.update(file.name.encode() + file.read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        with file.open("rb") as stream:
            for place in range(PLACES):
                stream.seek(size * place // PLACES)
                digest.update(stream.read(PLACE))
    return digest.hexdigest()


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = getattr(model.generation_config, "eos_token_id", None)
    ends = set(configured) if isinstance(configured, list) else {configured}
    return frozenset(int(end) for end in ends | {tokenizer.eos_token_id} if end is not None)


def _longest(model: Any, tokenizer: Any) -> int:
    config = model.config.get_text_config()
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    return min((int(limit) for limit in limits if limit and limit > 0), default=1 << 20)  # XLNet's is -1


TRIAL_SECONDS = 60.0
"""Seconds of the wall for the trial of a template, of which it may use two of the processor."""
PER_BYTE = 2
"""The most weights that one byte holds: four bits each."""
MOST_LAYERS = 1_000


def _config(path: Path) -> JsonObject:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def try_template(tokenizer: Any) -> None:
    """Raises RungError if the tokenizer's chat template does not come to an end on a short talk."""
    template = getattr(tokenizer, "chat_template", None)
    for text in template.values() if isinstance(template, dict) else [template]:
        if isinstance(text, str) and not _template_ends(text):
            raise RungError(
                "The model's chat template does not end: four short messages took it more than 2 seconds, "
                "1 GiB or a million characters.",
                "Get the model from its source again, or put another chat_template.jinja into its folder.",
                where="chat_template",
            )


@cache
def _template_ends(template: str) -> bool:
    if os.name != "posix":
        return True
    command = [sys.executable, "-P", "-m", "chat.local.trial"]
    try:
        done = subprocess.run(command, input=template.encode(errors="replace"), timeout=TRIAL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
