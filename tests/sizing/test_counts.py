"""Counts against transformers and PEFT on torch's meta device."""

from __future__ import annotations

import json

import pytest
from families import tiny
from later import peft, torch, transformers

from advisor.sizing.architecture import architecture_of, read_architecture
from advisor.sizing.setup import Setup, adapter_of
from training.run.counted_model import find_architecture
from workspace.errors import RungError
from workspace.shipped_rules import rule_file

BASE = {
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "vocab_size": 331,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GQA = {**BASE, "num_key_value_heads": 2}
WIDE = {**GQA, "head_dim": 16}
NO_INNER = {key: value for key, value in BASE.items() if key != "intermediate_size"}
GPT2 = {
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 8,
    "vocab_size": 331,
    "n_positions": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
TIED = {"tie_word_embeddings": True}
EXPERTS = {"num_experts": 6, "moe_intermediate_size": 40}
EVERY = {
    "llama 2": ("LlamaConfig", BASE),
    "llama 3": ("LlamaConfig", GQA),
    "llama, tied with biases": ("LlamaConfig", {**WIDE, **TIED, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", GQA),
    "ministral": ("MinistralConfig", {**GQA, "head_dim": 8, "layer_types": ["full_attention"] * 3}),
    "ministral3": ("Ministral3Config", {**WIDE, "rope_parameters": ROPE}),
    "mixtral": ("MixtralConfig", {**GQA, "num_local_experts": 4}),
    "qwen2": ("Qwen2Config", GQA),
    "qwen2.5, tied": ("Qwen2Config", {**GQA, **TIED}),
    "qwen2_moe": ("Qwen2MoeConfig", {**GQA, **EXPERTS, "shared_expert_intermediate_size": 72, "mlp_only_layers": [1]}),
    "qwen3": ("Qwen3Config", WIDE),
    "qwen3_moe": ("Qwen3MoeConfig", {**WIDE, **EXPERTS}),
    "qwen3_moe, half dense": ("Qwen3MoeConfig", {**WIDE, **EXPERTS, "decoder_sparse_step": 2}),
    "gemma": ("GemmaConfig", WIDE),
    "gemma2": ("Gemma2Config", WIDE),
    "gemma3": ("Gemma3TextConfig", WIDE),
    "phi": ("PhiConfig", BASE),
    "phi3": ("Phi3Config", GQA),
    "phi4": ("Phi3Config", {**GQA, "hidden_size": 80, "num_attention_heads": 10, "num_key_value_heads": 5}),
    "phi4 mini, tied": ("Phi3Config", {**GQA, **TIED, "rope_parameters": {**ROPE, "partial_rotary_factor": 0.75}}),
    "smollm3": ("SmolLM3Config", GQA),
    "olmo": ("OlmoConfig", GQA),
    "olmo2": ("Olmo2Config", GQA),
    "olmo3": ("Olmo3Config", GQA),
    "granite": ("GraniteConfig", GQA),
    "starcoder2": ("Starcoder2Config", GQA),
    "gpt_oss": ("GptOssConfig", {**WIDE, "num_local_experts": 4, "rope_parameters": ROPE}),
    "gpt2": ("GPT2Config", GPT2),
    "gpt2 with numbers it does not read": ("GPT2Config", {**GPT2, "num_key_value_heads": 2, "head_dim": 7}),
    "falcon 7b": ("FalconConfig", NO_INNER),
    "falcon 40b": ("FalconConfig", {**NO_INNER, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon rw": (
        "FalconConfig",
        {**NO_INNER, "multi_query": False, "parallel_attn": False, "bias": True, "alibi": True},
    ),
    "gpt_neox": ("GPTNeoXConfig", BASE),
}


def built(config):
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


def config_of(name):
    kind, values = EVERY[name]
    return getattr(transformers, kind)(**values)


def trained(model, adapter_config):
    model = peft.get_peft_model(model, adapter_config)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", EVERY)
def test_parameters_and_all_linear_adapters_are_exact(name):
    config = config_of(name)
    architecture = architecture_of(json.loads(config.to_json_string()))
    model = built(config)
    assert architecture.parameters == sum(p.numel() for p in model.parameters())
    lora = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    assert adapter_of(architecture, Setup(rank=4)).parameters == trained(model, lora)


UNKNOWN = ("lfm2", "qwen3_5_text", "gemma4_text", "deepseek_v3", "mamba2", "llama4_text")
"""Families for which rules/models.toml has no formula; tests/training counts all."""
REFUSED = {"mamba2", "jamba"}
"""PEFT refuses "all-linear" for these: their state-space layers read a weight beside its module."""


@pytest.mark.parametrize("name", [*UNKNOWN, pytest.param("jamba", marks=pytest.mark.slow)])
def test_a_family_without_a_formula_is_counted_by_building_it(name, tmp_path):
    model = tiny(name, range(331)).model
    (tmp_path / "config.json").write_text(model.config.to_json_string())
    found = find_architecture(tmp_path)
    assert found.parameters == sum(p.numel() for p in model.parameters()) and found.notes
    lora = peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    try:
        expected = trained(built(model.config), lora)
    except ValueError:
        assert name in REFUSED
    else:
        assert adapter_of(found, Setup(rank=4)).parameters == expected


def test_a_config_that_cannot_be_built_is_a_sentence(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "lfm2", "hidden_size": "wide"}')
    with pytest.raises(RungError, match="lfm2"):
        find_architecture(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "house_model", "auto_map": {"AutoConfig": "own.Config"}}')
    with pytest.raises(RungError, match="house_model"):
        find_architecture(tmp_path)


FEW = ["llama 3", "gpt2", "qwen2_moe"]
MORE = [pytest.param(name, marks=pytest.mark.slow) for name in ("qwen3", "gemma3", "phi3", "falcon 7b")]


@pytest.mark.parametrize("name", [*FEW, *MORE])
@pytest.mark.parametrize("method", ["prefix", "prompt", "ia3", "dora", "adalora"])
def test_other_methods_are_exact(name, method):
    config = config_of(name)
    architecture = architecture_of(json.loads(config.to_json_string()))
    targets = list(architecture.ia3)
    made = {
        "prefix": lambda: peft.PrefixTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"),
        "prompt": lambda: peft.PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"),
        "ia3": lambda: peft.IA3Config(
            target_modules=targets,
            feedforward_modules=[t for t in targets if t.split(".")[-1] in ("down_proj", "c_proj", "dense_4h_to_h")],
            task_type="CAUSAL_LM",
        ),
        "dora": lambda: peft.LoraConfig(r=4, use_dora=True, target_modules="all-linear", task_type="CAUSAL_LM"),
        "adalora": lambda: peft.AdaLoraConfig(
            init_r=6, target_r=4, total_step=100, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    }[method]()
    asked = adapter_of(architecture, Setup(method=method, rank=4, virtual_tokens=5)).parameters
    assert asked == trained(built(config), made)


@pytest.mark.parametrize(
    "targets", [["q_proj", "v_proj"], ["gate_proj", "up_proj", "down_proj"], ["o_proj", "lm_head"]]
)
@pytest.mark.parametrize("name", ["llama 3", "qwen3", "gemma2"])
def test_named_targets_are_exact(name, targets):
    config = config_of(name)
    architecture = architecture_of(json.loads(config.to_json_string()))
    if architecture.tied and "lm_head" in targets:
        targets = ["o_proj"]
    lora = peft.LoraConfig(r=8, target_modules=targets, task_type="CAUSAL_LM")
    assert adapter_of(architecture, Setup(rank=8, targets=targets)).parameters == trained(built(config), lora)


CATALOGUE = rule_file("models.toml")["model"]


@pytest.mark.slow
@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e["id"])
def test_catalogue_counts_are_exact_at_full_size(entry):
    values = {key: value for key, value in entry["config"].items() if key != "model_type"}
    kind = entry["config"]["model_type"]
    config = transformers.CONFIG_MAPPING[kind](**values, pad_token_id=0)
    count = find_architecture(entry["id"]).parameters
    assert count == sum(p.numel() for p in built(config).parameters()) == entry.get("parameters", count)


def test_nested_config_as_the_hub_ships_it(tmp_path):
    inner = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "model_type": "gemma3_text"}
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "gemma3", "text_config": inner, "vision_config": {"hidden_size": 1152}})
    )
    architecture = read_architecture(tmp_path)
    assert architecture.parameters == read_architecture("Gemma-3-4B").parameters
    assert "vision" in architecture.notes[0]


def test_the_whole_models_word_on_shared_embeddings_counts_before_its_text_parts(tmp_path):
    config = transformers.Mistral3Config(text_config={**BASE, "tie_word_embeddings": False}, tie_word_embeddings=True)
    (tmp_path / "config.json").write_text(config.to_json_string())
    assert read_architecture(tmp_path).tied
