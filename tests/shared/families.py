"""Tiny models with random weights of every causal family that transformers has: its own config with smaller numbers."""

import re
from pathlib import Path
from typing import Any

from chat.local.load import Loaded, auto_class

WINDOW = 32
"""Tokens of the sliding windows: prompts of the tests are longer."""
LAYERS = 4
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- families -->\n", "<!-- end -->"
SIZES = {
    r"(vision_|encoder_|decoder_)?(num_)?(hidden_)?(encoder_|decoder_)?layers|n_layers?|depth": LAYERS,
    r"hidden_size_per_layer_input|laurel_rank|rotary_dim": 8,
    r"hidden_size|d_model|n_embd|embedding_size|hidden_dim|dim_model|word_embed_proj_dim|lru_width|embedding_dim": 64,
    r"\w*adapter_((in|out)_dim|input_size)": 64,
    r"(\w*_)?(intermediate|ffn_hidden|ffn)_(size|dim)|n_inner|d_ff|dim_ff|ff_dim|intermediate_size_mlp|dff": 96,
    r"(\w*_)?(attention_)?heads|n_heads?": 4,
    r"qk_head_dim|global_head_dim": 32,
    r"(\w*_)?(head_dim|d_head)|kv_channels|dim_head|d_kv|(\w*_)?rank|\w*_d_state|(ssm_)?state_size": 16,
    r"num_(local_|routed_)?experts|n_routed_experts|moe_num_experts": 4,
    r"num_experts_per_tok(en)?|moe_k|moe_top_?k|top_k_experts": 2,
    r"(\w*_)?sliding_window(_size)?|attention_window|window_size|attention_chunk_size": WINDOW,
    r"n_groups?|num_expert_group|topk_group|(n|num)_shared_experts|first_k_dense_replace|num_kv_shared_layers": 1,
    r"max_position_embeddings|n_positions|max_seq_len|model_max_length|max_sequence_length|n_ctx": 2048,
    r"bos_token_id|decoder_start_token_id": 1,
    r"eos_token_id|pad_token_id": 2,
    r"\w*_(dim|size|width)": 16,
}
"""Replacement of a number in a config, by its name, if the number is larger: the first that fits."""
FILLED = r"(\w+_)?head_dim|(\w+_)?num_key_value_heads|n_(routed|shared)_experts|num_experts_per_tok|\w+_token_id"
"""Names that get their number where the class leaves them empty."""
ZAMBA = {"attention_hidden_size": 128, "attention_head_dim": 32}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"mamba_n_heads": 8, "attn_layer_indices": [3]},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {**ROPE, "mrope_section": [4, 2, 2]}}},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "dory": {
        "layer_types": ["sliding_attention", "mlp", "full_attention", "mlp"] * 2,
        "num_hidden_layers": 8,
        "n_input_layers": 2,
        "n_recurrent_layers": 4,
        "n_output_layers": 2,
    },
    "emu3": {"vocabulary_map": {"<image>": 5, "<|extra_200|>": 6}},
    "falcon_h1": {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_ssm": 128},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "granitemoehybrid": {"mamba_n_heads": 8, "layer_types": ["mamba"] * 3 + ["attention"]},
    "jamba": {"attn_layer_period": 4, "attn_layer_offset": 3, "use_mamba_kernels": False},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8},
    "mimo_v2_flash": {"num_attention_heads": 8},
    "nemotron_h": {"layer_types": ["mamba", "mlp", "attention", "mlp"], "mamba_num_heads": 8},
    "qwen4_exp_text": {"indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_budget": 32, "indexer_compress_ratio": 4},
    "reformer": {"is_decoder": True, "axial_pos_embds": False},
    "rwkv": {"attention_hidden_size": 64},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        **ZAMBA,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid"] * 2,
        "n_mamba_heads": 8,
        "mamba_headdim": 16,
        **ZAMBA,
    },
}
"""Numbers that hang together in a way of the family's own."""
QUICK = ("llama", "gemma3_text", "gpt_oss", "qwen3_5_text", "lfm2")
"""Those that `make check` holds: full attention, two kinds of window, two kinds of state."""


def table() -> dict[str, str]:
    """Family -> its line in docs/models.md."""
    lines = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].splitlines()[2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def config_of(name: str, vocabulary: int) -> Any:
    """The family's config with small numbers."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[name]
    return kind(**{**_smaller(kind(), vocabulary), **OWN.get(name, {})})


def tiny(name: str, words: Any) -> Loaded:
    """The family's model with fixed random weights, and the tokenizer `words`, as `load` gives a model back."""
    import torch
    import transformers

    config = config_of(name, len(words))
    torch.manual_seed(0)
    model = auto_class(transformers, config).from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(4)  # logits far apart: no two tokens tie, and early words count
    model.eval().requires_grad_(False)
    return Loaded(model, words, name, frozenset({2}), 2048)


def chain(words: Any, steps: list[tuple[str, str]]) -> Loaded:
    """A Llama whose layers add nothing and whose head leads from each token to one other: it writes what it is told."""
    import torch

    made = tiny("llama", words)
    model = made.model
    head = torch.zeros_like(model.lm_head.weight)
    torch.manual_seed(1)
    vectors = torch.nn.functional.normalize(torch.randn(head.shape), dim=-1)
    with torch.no_grad():
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(head, requires_grad=False)
        model.model.embed_tokens.weight.copy_(vectors)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        for one, other in steps:
            head[words.convert_tokens_to_ids(other)] += vectors[words.convert_tokens_to_ids(one)]
        model.lm_head.weight.copy_(head)
    return made


def _smaller(default: Any, vocabulary: int) -> dict[str, Any]:
    """The arguments that make a small config of the default one; parts for images and sound likewise."""
    from transformers import PretrainedConfig

    small: dict[str, Any] = {}
    for key, value in default.to_dict().items():
        part = vars(default).get(key)
        if isinstance(part, PretrainedConfig):
            own = OWN.get(part.model_type, {})
            small[key] = {"model_type": part.model_type, **_smaller(part, vocabulary), **own}
        elif isinstance(value, list) and len(value) == getattr(default, "num_hidden_layers", 0):
            kinds = list(dict.fromkeys(value))[:LAYERS]
            small[key] = [_number(key, one, vocabulary) for one in [*kinds, *value][:LAYERS]]
        elif value is None or type(value) is int:
            small[key] = _number(key, value, vocabulary)
    return small


def _number(key: str, value: Any, vocabulary: int) -> Any:
    if "vocab_size" in key:
        return vocabulary
    size = next((size for name, size in SIZES.items() if re.fullmatch(name, key)), None)
    if size is None or (value is None and not re.fullmatch(FILLED, key)) or isinstance(value, str):
        return value
    return size if value is None or key.endswith("_id") or value > size else value
