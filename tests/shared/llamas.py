"""Small Llamas with random weights and the embedded model's tokenizer, saved as any model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from once import once


def make_llama(folder: Path, *, seed: int = 0, **shape: Any) -> int:
    """Save one with fixed weights of this shape (`LlamaConfig`'s names) into `folder`; returns its parameters."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from chat.local.embedded import embedded_model

    tokenizer = AutoTokenizer.from_pretrained(str(embedded_model()))
    torch.manual_seed(seed)
    shape = {"num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, **shape}
    config = LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape)
    model = LlamaForCausalLM(config)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return int(model.num_parameters())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two narrow layers with fixed random weights and the embedded model's tokenizer: quick to train."""
    wide = {"hidden_size": 64, "intermediate_size": 128, "max_position_embeddings": 256}

    def make(folder: Path) -> None:
        make_llama(folder / "tiny-llama", num_hidden_layers=2, num_attention_heads=4, **wide)

    return once(tmp_path_factory, "tiny", make) / "tiny-llama"


def lora(base: Path, folder: Path, **more: Any) -> None:
    """A LoRA adapter that changes what `base` says, as peft saves it, with the pickle that trainers leave."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM", **more)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(str(base)), config)
    model.save_pretrained(str(folder))
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")
