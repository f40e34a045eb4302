"""The sizes of a model of a family that rules/models.toml does not know: built by transformers without its memory."""

import json
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advisor.sizing.architecture import Architecture, Matrix, Part, read_architecture
from advisor.sizing.config import UnknownArchitecture, left_out, read_json
from advisor.sizing.memory import CHUNK, plain_layer
from advisor.sizing.setup import Setup, adapter_of
from chat.local.load import refuse_reader, why_not
from chat.local.offline import quiet_transformers
from workspace.errors import RungError
from workspace.extras import installed
from workspace.json_types import JsonObject

FEED_FORWARD = ("mlp", "feed_forward", "ffn", "moe", "expert")
ROUTERS = ("gate", "router")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
MOST = 8
"""Layers that such a pass goes through: the kinds of layers take turns within them."""


def find_architecture(ref: str | Path) -> Architecture:
    """Return the architecture by Rung's formulas, or counted for other families. Raises as `read_architecture`."""
    try:
        return read_architecture(ref)
    except UnknownArchitecture:
        return count_model(str(ref))


def count_model(ref: str) -> Architecture:
    """Return the architecture of a folder, a config.json or a catalogue id, with every parameter counted.

    What its layers keep for the backward pass is that of attention with their widest matrices, or what a pass without
    numbers keeps if that is more: an upper bound (docs/measured.md). Raises UnknownArchitecture if transformers is
    missing, does not know the family, or cannot build it, and where its code fails in such a pass: then with the
    parameters that were counted.
    """
    raw, where = read_json(ref)
    kind = str(raw.get("model_type"))
    if not installed("transformers"):
        told = f"{where}: {kind} has no formula here, and transformers, which could count it, is missing."
        raise UnknownArchitecture(told, "pip install 'rung[train]'", where=where, found=kind)
    try:
        whole, model = _built(raw, where)
    except RungError:
        raise
    except Exception as error:  # whatever a family's own code raises for a config that is not right
        reason, hint = why_not(error, "pip install -U transformers")
        told = f"{where}: transformers cannot build the family {kind} ({type(error).__name__}: {reason})."
        raise UnknownArchitecture(told, hint, where=where, found=kind) from error
    found = _architecture(whole.get_text_config(), model, kind, where)
    try:
        kept, growing = _kept(whole)
    except Exception as error:  # here too
        told = f"{where}: {kind} has {found.parameters:,} parameters; the memory of its layers cannot be counted"
        unknown = UnknownArchitecture(f"{told} ({type(error).__name__}: {error}).", "rung plan check", where=where)
        unknown.parameters = found.parameters
        raise unknown from error
    setup = Setup(rank=1, length=CHUNK, batch=1, dtype="fp32", device="cpu")
    beyond = max(0.0, kept - plain_layer(replace(found, experts=0), setup, adapter_of(found, setup)))
    note = (
        f"{kind} was counted by building it with transformers {version('transformers')}; the memory of its layers is "
        "an upper bound: with their CUDA kernels, layers with a state keep less"
    )
    return replace(found, notes=(*left_out(raw), note), beyond=beyond, growing=growing)


def _built(raw: JsonObject, where: str) -> tuple[Any, Any]:
    """Return the config, and the language model on torch's meta device (shapes without numbers or foreign code)."""
    transformers = quiet_transformers()
    import torch
    from transformers import CONFIG_MAPPING

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # transformers writes infinity in a form of its own
        json.dump(raw, file)
        file.flush()
        whole = CONFIG_MAPPING[raw["model_type"]].from_json_file(file.name)
    refuse_reader(transformers, whole, where)
    with torch.device("meta"):
        model = _made(whole)
    model.tie_weights()
    return whole, model


def _made(whole: Any) -> Any:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoModelForCausalLM, AutoModelForImageTextToText

    if type(whole.get_text_config()) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM.from_config(whole.get_text_config())
    from torch.nn import Identity

    model = AutoModelForImageTextToText.from_config(whole)
    text = model.get_decoder()
    for name, child in list(model.base_model.named_children()):
        if child is not text:  # what reads images: only the language model and its head are kept
            setattr(model.base_model, name, Identity())
    return model


def _kept(whole: Any) -> tuple[float, float]:
    """Bytes per token and layer that a pass saves for the backward pass in 32 bits, weights frozen; and how many more
    for each further token of the row. Where the family's code looks at numbers, the pass has zeros, and shorter rows.
    """
    try:
        lengths = CHUNK, 2 * CHUNK
        short, long = (_passed(whole, "meta", length) for length in lengths)
    except (NotImplementedError, RuntimeError, ValueError):  # what torch raises for a number that is not there
        lengths = CHUNK // 4, CHUNK // 2
        short, long = (_passed(whole, "cpu", length) for length in lengths)
    growing = max(0.0, long - short) / (lengths[1] - lengths[0])
    return max(short, long) + growing * (CHUNK - lengths[1]), growing


def _shapes() -> Any:
    """Return a mode of torch for tensors without numbers: attention keeps what torch's fused kernel keeps on a CPU, and
    what is asked of numbers is not so.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention
    from torch.overrides import TorchFunctionMode

    def fused(context: Any, query: Any, key: Any, value: Any, mask: Any) -> Any:
        out, sums = torch.empty_like(query), torch.empty(query.shape[:-1])
        added = [] if mask is None else [torch.empty(mask.shape) if mask.dtype == torch.bool else mask]
        context.save_for_backward(query, key, value, out, sums, *added)
        return out

    kernel = type("Fused", (torch.autograd.Function,), {"forward": staticmethod(fused)})

    def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, **more: Any) -> Any:
        learnt = attn_mask is not None and attn_mask.requires_grad
        if dropout_p or learnt or query.shape[-1] != value.shape[-1]:  # not for the fused kernel
            return scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, **more)
        return kernel.apply(query, key, value, attn_mask)  # type: ignore[attr-defined]

    def call(_mode: Any, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.Tensor.__bool__:
            return False
        called = attention if function is scaled_dot_product_attention else function
        return called(*args, **(kwargs or {}))

    return type("Shapes", (TorchFunctionMode,), {"__torch_function__": call})()


def _zeros() -> Any:
    """Return a mode of torch in which products with the weights, all zero, are not computed."""
    import torch
    from torch.overrides import TorchFunctionMode

    def call(_mode: Any, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        linear = function is torch.nn.functional.linear
        product = linear or function in (torch.matmul, torch.Tensor.matmul)
        if product and args[1].ndim == 2 and not args[1].requires_grad:
            return args[0][..., :1].expand(*args[0].shape[:-1], args[1].shape[0 if linear else 1]).clone()
        return function(*args, **(kwargs or {}))

    return type("Zeros", (TorchFunctionMode,), {"__torch_function__": call})()


def _passed(whole: Any, device: str, length: int) -> float:
    """Bytes per token and layer of one pass: on the device `meta` without numbers, else with zeros. Stacked experts are
    passed over: they have a formula.
    """
    import torch
    from torch.autograd.graph import saved_tensors_hooks
    from torch.distributions import Distribution

    held: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    with torch.device("meta"):
        text = _made(whole).base_model.get_decoder()
    layers = whole.get_text_config().num_hidden_layers
    for module in list(text.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == layers:
                setattr(module, name, child[:MOST])
    for path, module in text.named_modules():
        if path.endswith("experts") and any(weight.ndim == 3 for weight in module.parameters(recurse=False)):
            module.forward = lambda hidden, *_, **__: hidden
    words = text.get_input_embeddings().weight
    mode = _shapes() if device == "meta" else _zeros()
    with torch.device(device), mode, saved_tensors_hooks(keep, lambda tensor: tensor), ExitStack() as stack:
        Distribution.set_default_validate_args(False)  # they look at numbers
        stack.callback(Distribution.set_default_validate_args, __debug__)
        given = {
            name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape).requires_grad_(tensor is words)
            for name, tensor in (*text.named_parameters(), *text.named_buffers())
        }
        rows = {"input_ids": torch.zeros(1, length, dtype=torch.long), "use_cache": False}
        torch.func.functional_call(text, given, kwargs=rows)
    weights = {tensor.untyped_storage()._cdata for tensor in given.values()}
    kept = sum(storage.nbytes() for place, storage in held.items() if place not in weights)
    return float(kept / length / min(MOST, layers))


def _architecture(config: Any, model: Any, kind: str, where: str) -> Architecture:
    matrices, vectors = _matrices(model)
    hidden, heads = config.hidden_size, _largest(config, "num_attention_heads", 1)
    head_dim = _largest(config, "head_dim", 0) or hidden // heads
    mixing = max((m.n_out for m in matrices if m.part == "attention"), default=hidden)
    dense = max((m.n_out for m in matrices if m.part == "mlp"), default=0)
    expert = max((max(m.n_in, m.n_out) for m in matrices if m.part == "expert"), default=0)
    kv_heads = min(heads, _largest(config, "num_key_value_heads", heads))
    return Architecture(
        name=where,
        family=kind,
        layers=config.num_hidden_layers,
        hidden=hidden,
        intermediate=dense,
        heads=max(heads, -(-mixing // head_dim)),
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=config.vocab_size,
        context=_largest(config, "max_position_embeddings", 0),
        tied=not any(m.part == "head" and m.count for m in matrices),
        sparse=0,
        experts=max(_largest(config, name, 0) for name in EXPERTS) if expert else 0,
        experts_per_token=_largest(config, "num_experts_per_tok", 1) if expert else 0,
        expert_width=expert,
        layout="split",
        qk_norm="head",
        norms=4,
        softcap=bool(getattr(config, "final_logit_softcapping", None)),
        dropout=bool(getattr(config, "attention_dropout", 0)),
        matrices=matrices,
        vectors=vectors,
        prefix_width=kv_heads * head_dim,
        ia3=(),
    )


def _largest(config: Any, name: str, default: int) -> int:
    """Return a number of the config; the largest if it has one a layer, as a list or (Gemma 4) as configs."""
    found: list[Any] = []
    for each in getattr(config, "per_layer_config", None) or [config]:
        value = getattr(each, name, None)
        found += value if isinstance(value, list | tuple) else [value]
    return max((int(value) for value in found if value), default=default)


def _matrices(model: Any) -> tuple[tuple[Matrix, ...], int]:
    """Return every matrix, equal ones together, and the number of all other parameters; shared ones count once."""
    from torch import nn

    output = model.get_output_embeddings()
    modules = {path: module for path, module in model.named_modules() if path}
    weights = dict(model.named_parameters())
    adapted = _adapted(model)
    found: Counter[Matrix] = Counter()
    vectors = 0
    for path, weight in weights.items():
        owner, _, own = path.rpartition(".")
        module, stacked = modules[owner], weight.ndim == 3 and "experts" in path
        linear = isinstance(module, nn.Linear)
        if not (stacked or (weight.ndim == 2 and (linear or isinstance(module, nn.Embedding) or path in adapted))):
            belongs = linear and own == "bias" and f"{owner}.weight" in weights  # not that of a shared head (CTRL)
            vectors += 0 if belongs else weight.numel()
            continue
        n_in, n_out = (weight.shape[-1], weight.shape[-2]) if linear else weight.shape[-2:]
        count = weight.shape[0] if stacked else 1
        name = ".".join(path.split(".")[-2:]) if stacked else owner.rpartition(".")[2]
        part = (
            "head" if module is output else "embedding" if isinstance(module, nn.Embedding) else _part(owner, stacked)
        )
        ranks = adapted.get(path, 0) // (count * (n_in + n_out))
        bias = linear and module.bias is not None
        found[Matrix(name, n_in, n_out, count, part, bias, linear, ranks)] += 1
    return tuple(replace(matrix, count=matrix.count * times) for matrix, times in found.items()), vectors


def _adapted(model: Any) -> dict[str, int]:
    """Return the parameters that PEFT's "all-linear" gives each weight at rank 1, by its path; wraps the model.

    PEFT refuses some state-space families: then what it would give other linear layers.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer
    from torch import nn

    output, names = model.get_output_embeddings(), dict(model.named_modules())
    plain = {f"{path}.weight": m.in_features + m.out_features for path, m in names.items() if isinstance(m, nn.Linear)}
    plain = {path: each for path, each in plain.items() if names[path.removesuffix(".weight")] is not output}
    try:
        wrapped = get_peft_model(model, LoraConfig(r=1, target_modules="all-linear", task_type="CAUSAL_LM"))
    except ValueError:
        return plain
    found: dict[str, int] = {}
    for path, module in wrapped.named_modules():
        if isinstance(module, LoraLayer):
            own = getattr(module, "parameter_name", "weight")
            base = path.removeprefix("base_model.model.").replace(".base_layer", "")
            pairs = (*module.lora_A.values(), *module.lora_B.values())
            found[f"{base}.{own}"] = sum(weight.numel() for pair in pairs for weight in pair.parameters())
    return found


def _part(owner: str, stacked: bool) -> Part:
    if owner.rpartition(".")[2] in ROUTERS:
        return "router"
    if stacked or ".experts." in owner:
        return "expert"
    return "mlp" if any(word in owner for word in FEED_FORWARD) else "attention"
