"""Small Llamas with random weights and the embedded model's tokenizer, saved as any model is."""

from pathlib import Path

import pytest
from once import once


def make_llama(folder: Path, seed: int = 0) -> None:
    """Save one of two narrow layers with fixed weights into `folder`: quick to train."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from chat.local.embedded import embedded_model

    tokenizer = AutoTokenizer.from_pretrained(str(embedded_model()))
    torch.manual_seed(seed)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape |= {"num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": len(tokenizer)}
    config = LlamaConfig(**shape, bos_token_id=1, eos_token_id=2, pad_token_id=2, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "tiny", lambda folder: make_llama(folder / "tiny-llama")) / "tiny-llama"


def lora(base: Path, folder: Path) -> None:
    """A LoRA adapter that changes what `base` says, as peft saves it, with the pickle that trainers leave."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(str(base)), config)
    model.save_pretrained(str(folder))
    (folder / "training_args.bin").write_bytes(b"\x80\x04.")
