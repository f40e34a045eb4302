"""One training step on a CPU: fused against plain attention, with and without dropout in the adapter.

    python benchmarks/step.py [THREADS]

LoRA r 16 on all linear layers of the embedded model, 8 rows of 36 tokens, bf16 autocast; the kinds take turns, so that
what else the machine does falls on all alike. Prints the median of wall and CPU seconds a step, and the first losses,
which must agree where dropout does.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

KINDS = (("sdpa", 0.05), ("sdpa", 0.0), ("eager", 0.0))
ROWS, LENGTH, ANSWER, STEPS = 8, 36, 6, 8


def build(attention: str, dropout: float) -> tuple[Any, Any]:
    """The embedded model with a fresh adapter of one seed, and its optimiser."""
    import torch
    from peft import LoraConfig, get_peft_model

    from chat.local.load import find_model
    from chat.local.offline import quiet_transformers

    loader = quiet_transformers().AutoModelForCausalLM
    torch.manual_seed(0)
    base = loader.from_pretrained(find_model("embedded")[0], dtype="float32", attn_implementation=attention)
    config = LoraConfig(r=16, lora_alpha=32, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    model.train()
    return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)


def step(model: Any, optimizer: Any, ids: Any) -> float:
    """One step with the loss on the last ANSWER tokens; its loss before the step."""
    import torch

    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, logits_to_keep=ANSWER
        ).logits
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, -ANSWER:].flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return float(loss.detach())


def main() -> None:
    """Print the table."""
    import torch

    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    made = {kind: build(*kind) for kind in KINDS}
    ids = torch.randint(0, 49_000, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    seen: dict[Any, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(STEPS):
        for kind, (model, optimizer) in made.items():
            wall, cpu = time.perf_counter(), time.process_time()
            loss = step(model, optimizer, ids)
            seen[kind].append((time.perf_counter() - wall, time.process_time() - cpu, loss))
    print(f"{'attention':<10} {'dropout':>7} {'wall s':>7} {'cpu s':>7}  first losses")
    for (attention, dropout), found in seen.items():
        wall, cpu = (statistics.median(row[place] for row in found[1:]) for place in (0, 1))
        losses = ", ".join(f"{row[2]:.3f}" for row in found[:3])
        print(f"{attention:<10} {dropout:>7} {wall:>7.2f} {cpu:>7.2f}  {losses}")


if __name__ == "__main__":
    main()
