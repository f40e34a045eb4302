"""The runs that are measured: small models made from a config, by method, batch and length."""

from __future__ import annotations

from typing import Any

SMALL = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6}
SMALL |= {"num_key_value_heads": 2, "vocab_size": 8192, "max_position_embeddings": 2048}
LARGE = {"hidden_size": 640, "intermediate_size": 1728, "num_hidden_layers": 10, "num_attention_heads": 10}
LARGE |= {"num_key_value_heads": 5, "vocab_size": 32000, "max_position_embeddings": 2048}
EXPERTS = {**SMALL, "num_local_experts": 4}
GPT2 = {"n_embd": 384, "n_layer": 6, "n_head": 6, "vocab_size": 8192, "n_positions": 1024}
MOE = "mixtral"
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def run(
    name: str, config: dict[str, Any], setup: dict[str, Any], loop: str = "dropped", model: str = "llama"
) -> dict[str, Any]:
    """One run. `loop`: `dropped` or `held` says whether the loop keeps the model's output; `trl` is SFTTrainer."""
    setup = {"device": "cpu", "dtype": "fp32", "autocast": False, "checkpointing": False, **setup}
    return {"name": name, "model_type": model, "config": config, "setup": setup, "loop": loop}


def two(method: str, batch: int, length: int, **more: Any) -> dict[str, Any]:
    return {"method": method, "batch": batch, "length": length, **more}


RUNS = [
    run("llama S full", SMALL, two("full", 4, 256)),
    run("llama S full, held", SMALL, two("full", 4, 256), "held"),
    run("llama S full, recomputed", SMALL, two("full", 4, 256, checkpointing=True)),
    run("llama S full, short", SMALL, two("full", 8, 32)),
    run("llama S full bf16", SMALL, two("full", 4, 256, dtype="bf16")),
    run("llama S full, tied", {**SMALL, "tie_word_embeddings": True}, two("full", 2, 128)),
    run("llama S full, 2 passes a step", SMALL, two("full", 2, 256, accumulation=2)),
    run("llama S lora", SMALL, two("lora", 4, 256)),
    run("llama S lora, long", SMALL, two("lora", 1, 1024)),
    run("llama S lora, dropout", SMALL, two("lora", 4, 256, dropout=0.05)),
    run("llama S lora, recomputed", SMALL, two("lora", 4, 256, checkpointing=True)),
    run("llama S lora qv r64", SMALL, two("lora", 4, 256, rank=64, targets="qv")),
    run("llama S lora mlp, held", SMALL, two("lora", 4, 256, targets="mlp"), "held"),
    run("llama S lora bf16", SMALL, two("lora", 4, 256, dtype="bf16")),
    run("llama S lora, padded", SMALL, two("lora", 4, 256, padded=True)),
    run("llama S dora", SMALL, two("dora", 4, 256)),
    run("llama S ia3", SMALL, two("ia3", 4, 256)),
    run("llama S prefix", SMALL, two("prefix", 4, 256)),
    run("llama S prompt", SMALL, two("prompt", 4, 256)),
    run("llama S qlora", SMALL, two("qlora", 4, 256)),
    run("llama S qlora, recomputed", SMALL, two("qlora", 4, 256, checkpointing=True)),
    run("llama S dpo lora", SMALL, two("lora", 2, 128, objective="dpo", reference="shared")),
    run("llama S dpo full with copy", SMALL, two("full", 2, 128, objective="dpo", reference="model")),
    run("llama S lora, trl", SMALL, two("lora", 4, 256, checkpointing=True, loss="chunked"), "trl"),
    run("llama S full, trl", SMALL, two("full", 4, 256, loss="chunked"), "trl"),
    run("llama L full", LARGE, two("full", 2, 128)),
    run("llama L full, recomputed, held", LARGE, two("full", 2, 256, checkpointing=True), "held"),
    run("llama L lora", LARGE, two("lora", 2, 256)),
    run("llama L lora, recomputed", LARGE, two("lora", 2, 256, checkpointing=True)),
    run("llama L qlora", LARGE, two("qlora", 2, 256)),
    run("llama L lora, trl", LARGE, two("lora", 2, 256, loss="chunked"), "trl"),
    run("qwen3 S full", {**SMALL, "head_dim": 64}, two("full", 4, 256), model="qwen3"),
    run("qwen3 L lora, held", {**LARGE, "head_dim": 64}, two("lora", 2, 256), "held", "qwen3"),
    run("qwen2 S lora", SMALL, two("lora", 4, 256), model="qwen2"),
    run("gemma3 S full", {**SMALL, "head_dim": 64}, two("full", 4, 256), model="gemma3_text"),
    run("gemma3 L lora", {**LARGE, "head_dim": 64}, two("lora", 2, 256), model="gemma3_text"),
    run("phi3 S lora", SMALL, two("lora", 4, 256), model="phi3"),
    run("olmo2 S full, recomputed", SMALL, two("full", 4, 256, checkpointing=True), model="olmo2"),
    run("gpt2 S full", GPT2, two("full", 4, 256), model="gpt2"),
    run("mixtral S lora", EXPERTS, two("lora", 4, 256), model=MOE),
    run("mixtral S lora, recomputed", EXPERTS, two("lora", 4, 256, checkpointing=True), model=MOE),
    run("mixtral S lora attention", EXPERTS, two("lora", 4, 256, targets="attention"), model=MOE),
]  # fmt: skip


FITTED = ("llama S lora, trl", "llama S full, trl", "mixtral S lora attention")
"""Runs that a constant was read off; every other run was used for none."""
