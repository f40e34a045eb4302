"""Counts against transformers and PEFT; memory that a real pass keeps is never more than the estimate."""

import json

import pytest
from families import config_of, tiny
from later import peft, torch, transformers

from advisor.sizing.architecture import architecture_of, read_architecture
from advisor.sizing.memory import memory_of
from advisor.sizing.setup import Setup, adapter_of
from training.run.counted_model import find_architecture
from workspace.errors import RungError
from workspace.shipped_rules import rule_file

APART = {"num_attention_heads": 8, "num_key_value_heads": 2, "num_experts": 6, "num_local_experts": 6}
APART |= {"moe_intermediate_size": 40, "shared_expert_intermediate_size": 72}
"""With these no two sizes of the small configs are the same, so that none is taken for another."""
TIED = {"tie_word_embeddings": True}
VARIANTS = {
    "llama, as many keys as heads": ("llama", {"num_key_value_heads": 8, "head_dim": 8}),
    "llama, tied with biases": ("llama", {**TIED, "attention_bias": True, "mlp_bias": True}),
    "qwen2.5, tied": ("qwen2", TIED),
    "qwen2_moe, one layer dense": ("qwen2_moe", {"mlp_only_layers": [1]}),
    "qwen3_moe, half dense": ("qwen3_moe", {"decoder_sparse_step": 2}),
    "phi4 mini, tied": ("phi3", {**TIED, "partial_rotary_factor": 0.75}),
    "gpt2 with numbers it does not read": ("gpt2", {"num_key_value_heads": 2, "head_dim": 7}),
    "falcon 40b": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon rw": ("falcon", {"multi_query": False, "parallel_attn": False, "bias": True, "alibi": True}),
}
EVERY = {**{each["id"]: (each["id"], {}) for each in rule_file("models.toml")["family"]}, **VARIANTS}


def built(config):
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


def shaped(name):
    """A family's small config with sizes that are apart, and the architecture that is read from it."""
    family, changes = EVERY[name]
    small = config_of(family, 331)
    known = {key: value for key, value in APART.items() if hasattr(small, key)}
    config = type(small).from_dict({**small.to_dict(), **known, **changes})
    return config, architecture_of(json.loads(config.to_json_string()))


LORA = {"r": 4, "target_modules": "all-linear"}


def trained(model, kind="LoraConfig", **options):
    model = peft.get_peft_model(model, getattr(peft, kind)(task_type="CAUSAL_LM", **options))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", EVERY)
def test_parameters_and_all_linear_adapters_are_exact(name):
    config, architecture = shaped(name)
    model = built(config)
    assert architecture.parameters == sum(p.numel() for p in model.parameters())
    assert adapter_of(architecture, Setup(rank=4)).parameters == trained(model, **LORA)


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
    try:
        expected = trained(built(model.config), **LORA)
    except ValueError:
        assert name in REFUSED
    else:
        assert adapter_of(found, Setup(rank=4)).parameters == expected


def test_a_config_that_cannot_be_built_is_a_sentence(tmp_path):
    own = {"model_type": "house_model", "auto_map": {"AutoConfig": "own.Config"}}
    for config in ({"model_type": "lfm2", "hidden_size": "wide"}, own):
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(RungError, match=config["model_type"]):
            find_architecture(tmp_path)


FEW = ["llama", "gpt2", "qwen2_moe"]
MORE = [pytest.param(name, marks=pytest.mark.slow) for name in ("qwen3", "gemma3_text", "phi3", "falcon")]


@pytest.mark.parametrize("name", [*FEW, *MORE])
@pytest.mark.parametrize("method", ["prefix", "prompt", "ia3", "dora", "adalora"])
def test_other_methods_are_exact(name, method):
    config, architecture = shaped(name)
    modules = list(architecture.ia3)
    forward = [name for name in modules if name.split(".")[-1] in ("down_proj", "c_proj", "dense_4h_to_h")]
    kind, options = {
        "prefix": ("PrefixTuningConfig", {"num_virtual_tokens": 5}),
        "prompt": ("PromptTuningConfig", {"num_virtual_tokens": 5}),
        "ia3": ("IA3Config", {"target_modules": modules, "feedforward_modules": forward}),
        "dora": ("LoraConfig", {**LORA, "use_dora": True}),
        "adalora": ("AdaLoraConfig", {"init_r": 6, "target_r": 4, "total_step": 9, "target_modules": "all-linear"}),
    }[method]
    asked = adapter_of(architecture, Setup(method=method, rank=4, virtual_tokens=5)).parameters
    assert asked == trained(built(config), kind, **options)


@pytest.mark.parametrize(
    "targets", [["q_proj", "v_proj"], ["gate_proj", "up_proj", "down_proj"], ["o_proj", "lm_head"]]
)
@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma2"])
def test_named_targets_are_exact(name, targets):
    config, architecture = shaped(name)
    if architecture.tied and "lm_head" in targets:
        targets = ["o_proj"]
    expected = trained(built(config), r=8, target_modules=targets)
    assert adapter_of(architecture, Setup(rank=8, targets=targets)).parameters == expected


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
    config = transformers.Mistral3Config(text_config={"tie_word_embeddings": False}, tie_word_embeddings=True)
    (tmp_path / "config.json").write_text(config.to_json_string())
    assert read_architecture(tmp_path).tied


STATES = ("falcon_h1", "qwen3_next", "bamba", "nemotron_h", "granitemoehybrid", "mamba2", "kimi_linear", "lfm2")
LENGTHS = {"dbrx": 300, "jetmoe": 300, "qwen4_exp_text": 300, "xglm": 1024}
"""Lengths of rows for code that looks at its numbers, and for code that keeps all products of queries and keys."""
KEEPING = ["qwen3_5_text", *LENGTHS, *(pytest.param(name, marks=pytest.mark.slow) for name in STATES)]


@pytest.mark.parametrize("family", KEEPING)
def test_layers_with_a_state_keep_no_more_than_the_estimate(family, tmp_path):
    model = tiny(family, range(331)).model
    (tmp_path / "config.json").write_text(model.config.to_json_string())
    found = find_architecture(tmp_path)
    targets = [f"{name}_proj" for name in ("q", "v", "kv", "in", "gate", "up", "down")] + ["in_proj_qkv", "Wqkv"]
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    weights = {weight.untyped_storage()._cdata for weight in model.parameters()}
    held = {}

    def keep(tensor):
        held[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    length = LENGTHS.get(family, 96)
    ids = torch.arange(2 * length).reshape(2, length) % 331
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(input_ids=ids, labels=ids, use_cache=False)
    kept = sum(storage.nbytes() for place, storage in held.items() if place not in weights)
    setup = Setup(method="lora", rank=4, batch=2, length=length, checkpointing=False, dtype="fp32", device="cpu")
    estimate = memory_of(found, setup)
    assert kept < estimate.expected - sum(estimate.parts[part] for part in ("weights", "adapter", "optimizer"))
