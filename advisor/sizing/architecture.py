"""Architecture of a model: matrices and vectors as transformers builds them, from its config, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from advisor.sizing.config import Config, check_config, read_json

Part = Literal["attention", "mlp", "expert", "router", "embedding", "head"]


@dataclass(frozen=True, slots=True)
class Matrix:
    """One kind of weight matrix, `count` times in the model. `name` is the module's name as PEFT takes it."""

    name: str
    n_in: int
    n_out: int
    count: int
    part: Part
    bias: bool = False
    linear: bool = True
    """A linear layer, so it can be loaded in 4 bits. Embeddings, routers and stacked experts are none."""
    ranks: int = 1
    """Multiple of the rank that PEFT's "all-linear" gives one copy; 0 if it skips the matrix."""
    also: tuple[str, ...] = ()
    """Older module names by which PEFT finds it too."""

    @property
    def weights(self) -> int:
        """Parameters of all copies, biases included."""
        return self.count * (self.n_in * self.n_out + (self.n_out if self.bias else 0))


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers that every layout is made of. `hidden` is d, `intermediate` the width of a dense feed-forward."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    experts: int
    expert_width: int
    sparse: int
    """Layers whose feed-forward is a mixture of experts; the others are dense."""

    @property
    def q(self) -> int:
        """Width of the queries."""
        return self.heads * self.head_dim

    @property
    def kv(self) -> int:
        """Width of the keys, and of the values."""
        return self.kv_heads * self.head_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture(Shape):
    """The dimensions of a model that sizing uses."""

    name: str
    family: str
    context: int
    experts_per_token: int
    layout: str
    qk_norm: str
    norms: int
    softcap: bool
    dropout: bool
    """The config itself drops activations in training (GPT-2 does by default)."""
    matrices: tuple[Matrix, ...]
    vectors: int
    prefix_width: int
    """Width of one layer's keys as PEFT's prefix tuning counts it."""
    ia3: tuple[str, ...]
    notes: tuple[str, ...] = ()
    beyond: float = 0.0
    """Bytes per token and layer that a kind of layer without a formula keeps beyond attention's, at most."""
    growing: float = 0.0
    """Bytes that `beyond` rises by for each further token of the row."""

    @property
    def parameters(self) -> int:
        """All parameters, shared ones once: what `sum(p.numel() for p in model.parameters())` gives."""
        return sum(m.weights for m in self.matrices) + self.vectors

    @property
    def gated(self) -> bool:
        """True if the feed-forward has a gate (SwiGLU, GeGLU)."""
        return self.layout in ("split", "fused")

    @property
    def active(self) -> int:
        """Parameters that one token passes through: all but the experts that are not chosen."""
        idle = sum(m.weights for m in self.matrices if m.part == "expert")
        share = self.experts_per_token / self.experts if self.experts else 1.0
        return self.parameters - round(idle * (1 - share))


def _shape(config: Config) -> Shape:
    """Read it from a checked config, where a missing number follows from the others."""
    hidden, heads = config.number("hidden_size"), config.number("num_attention_heads")
    layers = config.number("num_hidden_layers")
    experts, names = _expert_count(config), config.family["layout"]
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=config.number("intermediate_size", 4 * hidden),
        heads=heads,
        kv_heads=_kv_heads(config, heads),
        head_dim=hidden // heads if names in ONE_WIDTH else config.number("head_dim", hidden // heads),
        vocab=config.number("vocab_size"),
        tied=config.flag("tie_word_embeddings"),
        experts=experts,
        expert_width=config.number(config.family.get("expert_size", ""), 0),
        sparse=_sparse(config, layers) if experts else 0,
    )


def _kv_heads(config: Config, heads: int) -> int:
    if config.family["layout"] == "falcon":
        if config.flag("new_decoder_architecture"):
            return config.number("num_kv_heads", heads)
        return 1 if config.flag("multi_query") else heads
    return heads if config.family["layout"] == "gpt2" else config.number("num_key_value_heads", heads)


def _expert_count(config: Config) -> int:
    """Under either name: transformers writes both, whatever the family's own config class calls it."""
    if "experts" not in config.family:
        return 0
    given = [config.values[k] for k in ("num_local_experts", "num_experts") if k in config.given]
    return int(given[0]) if given else config.number(config.family["experts"])


def _sparse(config: Config, layers: int) -> int:
    step = config.number("decoder_sparse_step", 1)
    dense = config.values.get("mlp_only_layers")
    dense = dense if isinstance(dense, list) else []
    return sum(1 for i in range(layers) if i not in dense and (i + 1) % step == 0)


def matrices(shape: Shape, config: Config) -> tuple[Matrix, ...]:
    """Return every weight matrix of the model, in the order of a forward pass."""
    tokens = [Matrix("embed_tokens", shape.vocab, shape.hidden, 1, "embedding", linear=False, ranks=0)]
    if config.family["layout"] == "gpt2":
        positions = config.number("max_position_embeddings")
        tokens.append(Matrix("wpe", positions, shape.hidden, 1, "embedding", linear=False, ranks=0))
    copies, bias = 0 if shape.tied else 1, bool(config.family.get("head_bias"))
    head = Matrix("lm_head", shape.hidden, shape.vocab, copies, "head", bias, ranks=0)
    return (*tokens, *_layers(shape, config), *_experts(shape, config), head)


def vectors(shape: Shape, config: Config) -> int:
    """Parameters that are no matrix and no bias of one: norms, attention sinks."""
    family = config.family
    width = shape.hidden * (2 if family.get("norm_bias") else 1)
    each = norms(config) * width + (shape.heads if family.get("sinks") else 0)
    each += {"head": 2 * shape.head_dim, "full": shape.q + shape.kv}.get(family.get("qk_norm", ""), 0)
    return each * shape.layers + (width if family.get("final_norm", True) else 0)


def norms(config: Config) -> int:
    """Return norms of the width of the residual stream in one layer."""
    if config.family["layout"] != "falcon":
        return int(config.family.get("norms", 2))
    if not config.flag("parallel_attn"):
        return 2
    return config.number("num_ln_in_parallel_attn", 2 if config.flag("new_decoder_architecture") else 1)


SEPARATE = ("q_proj", "k_proj", "v_proj")
LAYOUTS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], str]] = {
    "split": (SEPARATE, "o_proj", ("gate_proj", "up_proj"), "down_proj"),
    "plain": (SEPARATE, "o_proj", ("c_fc",), "c_proj"),
    "phi": (SEPARATE, "dense", ("fc1",), "fc2"),
    "fused": (("qkv_proj",), "o_proj", ("gate_up_proj",), "down_proj"),
    "gpt2": (("c_attn",), "attn.c_proj", ("c_fc",), "mlp.c_proj"),
    "falcon": (("query_key_value",), "dense", ("dense_h_to_4h",), "dense_4h_to_h"),
    "neox": (("query_key_value",), "dense", ("dense_h_to_4h",), "dense_4h_to_h"),
}
"""Names of the matrices by layout: into attention (queries, keys and values apart or in one) and out, up and down."""


ONE_WIDTH = ("gpt2", "falcon", "neox")
"""Layouts whose heads share the hidden width: other widths in a config are not read by the model either."""


def _layers(shape: Shape, config: Config) -> list[Matrix]:
    """Return the matrices of attention and of the dense feed-forward."""
    names, out, ups, down = LAYOUTS[config.family["layout"]]
    qkv, o, mlp = (config.flag(config.family.get(key, False)) for key in ("qkv_bias", "o_bias", "mlp_bias"))
    widths = (shape.q, shape.kv, shape.kv) if names == SEPARATE else (shape.q + 2 * shape.kv,)
    body = [
        Matrix(name, shape.hidden, width, shape.layers, "attention", qkv)
        for name, width in zip(names, widths, strict=True)
    ]
    body.append(Matrix(out, shape.q, shape.hidden, shape.layers, "attention", o))
    if dense := shape.layers - shape.sparse:
        # PEFT turns these names into the stacked experts' where there are some, and then passes the dense layers over.
        ranks = 0 if shape.sparse and config.family.get("peft_experts") else 1
        wide = shape.intermediate * (2 if ups == ("gate_up_proj",) else 1)
        body += [Matrix(name, shape.hidden, wide, dense, "mlp", mlp, ranks=ranks) for name in ups]
        body.append(Matrix(down, shape.intermediate, shape.hidden, dense, "mlp", mlp, ranks=ranks))
    return body


def _experts(shape: Shape, config: Config) -> list[Matrix]:
    """Routers and experts. transformers 5 stacks the experts' weights in two tensors, which are no linear layers.

    PEFT adapts them where it knows the family's former module names (`peft_experts`): the fused gate and up at twice
    the rank.
    """
    if not shape.sparse:
        return []
    bias, d, width = bool(config.family.get("expert_bias")), shape.hidden, shape.expert_width
    gate, up, down = config.family.get("peft_experts", ("", "", ""))
    one = 1 if gate else 0
    copies = shape.sparse * shape.experts
    found = [
        Matrix("gate", d, shape.experts, shape.sparse, "router", bias, False, one),
        Matrix("experts.gate_up_proj", d, 2 * width, copies, "expert", bias, False, 2 * one, (gate, up)),
        Matrix("experts.down_proj", width, d, copies, "expert", bias, False, one, (down,)),
    ]
    if shared := config.number(config.family.get("shared_expert_size", ""), 0):
        sizes = (
            ("gate_proj", d, shared),
            ("up_proj", d, shared),
            ("down_proj", shared, d),
            ("shared_expert_gate", d, 1),
        )
        found += [Matrix(name, n_in, n_out, shape.sparse, "mlp") for name, n_in, n_out in sizes]
    return found


def read_architecture(ref: str | Path) -> Architecture:
    """Return the architecture of a model folder, a config.json, or a catalogue id. Errors as `config.read_json`."""
    return architecture_of(*read_json(str(ref)))


def architecture_of(raw: dict[str, object], name: str = "config") -> Architecture:
    """Return the architecture of a decoded config.json. Errors as `config.check_config`."""
    config = check_config(raw, name)
    shape = _shape(config)
    values = config.values
    return Architecture(
        **asdict(shape),
        name=config.name,
        family=config.family["id"],
        context=config.number("max_position_embeddings"),
        experts_per_token=config.number("num_experts_per_tok") if shape.experts else 0,
        layout=config.family["layout"],
        qk_norm=config.family.get("qk_norm", ""),
        norms=norms(config),
        softcap=bool(values.get("final_logit_softcapping")),
        dropout=any(values.get(key) for key in ("attn_pdrop", "resid_pdrop", "attention_dropout", "hidden_dropout")),
        matrices=matrices(shape, config),
        vectors=vectors(shape, config),
        prefix_width=shape.kv if "num_key_value_heads" in values else shape.hidden,
        ia3=tuple(config.family.get("ia3", ())),
        notes=config.notes,
    )
