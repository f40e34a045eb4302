"""Run as a script by the Python of llmcompressor's environment: it imports nothing of Rung.

`compress ALGORITHM MODEL OUT ROWS`: 4-bit weights, 16-bit activations, calibrated on ROWS (JSON: lists of token ids).
`answer MODEL ASKS OUT`: greedy answers. ASKS: JSON list of {ids, max_tokens}; OUT: JSON list of {ids, ended}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GROUPS = (128, 64, 32, 16)
"""Weights that share a scale, as many as divide every layer's width."""


SAFE = {"local_files_only": True, "trust_remote_code": False}


def compress(algorithm: str, model: str, out: str, rows: str) -> None:
    """Quantise the linear layers but the head, and save."""
    import torch
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from datasets import Dataset
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="float32", **SAFE, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(model, **SAFE)
    ids = json.loads(Path(rows).read_text())
    samples = Dataset.from_list([{"input_ids": row, "attention_mask": [1] * len(row)} for row in ids])
    linear = [m for name, m in loaded.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"]
    group = next(g for g in GROUPS if all(m.in_features % g == 0 for m in linear))
    weights = QuantizationArgs(num_bits=4, type="int", symmetric=True, strategy="group", group_size=group)
    scheme = {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}
    longest = max(len(row) for row in ids)
    oneshot(
        model=loaded,
        dataset=samples,
        recipe=_modifiers(algorithm, config_groups=scheme, ignore=["lm_head"]),
        max_seq_length=longest,
        num_calibration_samples=len(ids),
        batch_size=1,
    )
    loaded.save_pretrained(out, save_compressed=True)
    tokenizer.save_pretrained(out)
    Path(out, "group.json").write_text(json.dumps({"group": group, "rows": len(ids)}))


def _modifiers(algorithm: str, **quantised: Any) -> list[Any]:
    """AWQ scales the weights first, and plain rounding then makes them 4 bits."""
    if algorithm == "gptq":
        from llmcompressor.modifiers.gptq import GPTQModifier

        return [GPTQModifier(**quantised)]
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier

    return [AWQModifier(), QuantizationModifier(**quantised)]


def answer(model: str, asks: str, out: str) -> None:
    """Greedy, one at a time."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model, **SAFE, use_safetensors=True).eval()
    ends = loaded.generation_config.eos_token_id
    ends = {ends} if isinstance(ends, int) else set(ends or [])
    found = []
    with torch.no_grad():
        for ask in json.loads(Path(asks).read_text()):
            given = torch.tensor([ask["ids"]])
            options = {
                "attention_mask": torch.ones_like(given),
                "max_new_tokens": ask["max_tokens"],
                "do_sample": False,
            }
            written = loaded.generate(input_ids=given, pad_token_id=ask["pad"], **options)[0][given.shape[1] :].tolist()
            found.append({"ids": written, "ended": bool(ends & set(written))})
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    (compress if sys.argv[1] == "compress" else answer)(*sys.argv[2:])
