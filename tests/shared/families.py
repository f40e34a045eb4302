"""Tiny models with random weights, one of each architecture, from config alone, with the embedded model's tokenizer."""

from __future__ import annotations

from typing import Any

from chat.local.load import Loaded

WINDOW = 32
"""Tokens of the sliding windows: prompts of the tests are longer."""
LAYERS = 4
_SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "tie_word_embeddings": True,
}
_SLIDING = ["sliding_attention", "full_attention"] * (LAYERS // 2)
_LINEAR = ["linear_attention", "linear_attention", "linear_attention", "full_attention"]
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_GATED = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 16, "mamba_n_groups": 1, "mamba_expand": 2}
_WINDOWED = {"sliding_window": WINDOW, "layer_types": _SLIDING}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": {**_EXPERTS, "norm_topk_prob": True},
    "gemma3_text": {**_WINDOWED},
    "gemma3n_text": {
        **_WINDOWED,
        "intermediate_size": [96] * LAYERS,
        "vocab_size_per_layer_input": 64,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 8,
        "num_kv_shared_layers": 0,
        "activation_sparsity_pattern": [0.0] * LAYERS,
    },
    "gemma4_text": {**_WINDOWED, "hidden_size_per_layer_input": 0, "global_head_dim": 32},
    "gpt_oss": {**_WINDOWED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "olmo2": {},
    "olmo3": {**_WINDOWED},
    "mistral": {"sliding_window": WINDOW},
    "exaone4": {**_WINDOWED},
    "cohere2": {**_WINDOWED},
    "phi3": {},
    "granite": {},
    "smollm3": {},
    "glm4": {},
    "glm4_moe": {
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
    },
    "ministral3": {},
    "mistral3": {"text": "mistral", "vision": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}},
    "qwen3_vl": {
        "text": "qwen3_vl_text",
        "vision": {"hidden_size": 32, "intermediate_size": 48, "depth": 1, "num_heads": 2, "out_hidden_size": 64},
    },
    "qwen3_5_text": {**_GATED, "layer_types": _LINEAR},
    "qwen3_next": {**_GATED, **_EXPERTS, "layer_types": _LINEAR, "shared_expert_intermediate_size": 32},
    "lfm2": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2), "block_multiple_of": 16},
    "granitemoehybrid": {
        **_MAMBA,
        "layer_types": ["mamba", "mamba", "mamba", "attention"],
        "num_local_experts": 0,
        "num_experts_per_tok": 0,
        "shared_intermediate_size": 96,
    },
    "bamba": {**_MAMBA, "attn_layer_indices": [3]},
    "jamba": {
        "mamba_d_state": 16,
        "attn_layer_period": 4,
        "attn_layer_offset": 3,
        "num_experts": 2,
        "use_mamba_kernels": False,
    },
    "falcon_h1": {**_MAMBA, "mamba_d_ssm": 128},
    "nemotron_h": {
        "layer_types": ["mamba", "mlp", "attention", "mlp"],
        "mamba_num_heads": 8,
        "mamba_head_dim": 16,
        "ssm_state_size": 16,
        "n_groups": 1,
    },
    "mamba2": {"num_heads": 8, "head_dim": 16, "state_size": 16, "n_groups": 1},
    "llama4_text": {
        "attention_chunk_size": WINDOW,
        "num_local_experts": 2,
        "intermediate_size_mlp": 96,
        "interleave_moe_layer_step": 2,
    },
    "deepseek_v3": {
        "moe_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 16,
        "v_head_dim": 16,
        "num_key_value_heads": 4,
        "first_k_dense_replace": 1,
    },
}
"""What each family's config says beside the shape that all share; of one that reads images, the two parts."""
QUICK = ("llama", "gemma3_text", "gpt_oss", "qwen3_5_text", "lfm2")
"""Those that `make check` holds: full attention, two kinds of window, two kinds of state."""


def tiny(name: str, words: Any) -> Loaded:
    """The family's model with fixed random weights, and the tokenizer `words`, as `load` gives a model back."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    own, loader = FAMILIES[name], AutoModelForCausalLM
    shape = {**_SHAPE, "vocab_size": len(words)}
    if "text" in own:
        loader = AutoModelForImageTextToText
        text = AutoConfig.for_model(own["text"], **shape)
        if getattr(text, "rope_parameters", None) and "mrope_section" in text.rope_parameters:
            text.rope_parameters["mrope_section"] = [4, 2, 2]
        ends = {key: shape[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings")}
        config = AutoConfig.for_model(name, text_config=text.to_dict(), vision_config=own["vision"], **ends)
    else:
        config = AutoConfig.for_model(name, **{**shape, **own})
    torch.manual_seed(0)
    model = loader.from_config(config)
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
