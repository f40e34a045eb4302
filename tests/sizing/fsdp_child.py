"""Three steps of a small Llama on each of two processes, under FSDP or whole; prints what one process holds, as JSON.

Started by test_counts.py through torchrun; argv: `fsdp` or `whole`.
"""

import json
import sys

import torch
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM

BYTES = 4
CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 64,
}


def local(tensor: torch.Tensor) -> int:
    """Bytes of a tensor, or of this process's share of it."""
    share = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return share.numel() * BYTES


def main() -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG))
    if sys.argv[1] == "fsdp":
        mesh = torch.distributed.init_device_mesh("cpu", (2,))
        for layer in model.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    rows = torch.randint(0, 512, (4, 32), generator=torch.Generator().manual_seed(1))
    mine = rows[rank::2] if sys.argv[1] == "fsdp" else rows
    losses, gradients = [], 0
    for _ in range(3):
        loss = model(input_ids=mine, labels=mine).loss
        loss.backward()
        mean = loss.detach().clone()
        if sys.argv[1] == "fsdp":
            torch.distributed.all_reduce(mean)
            mean /= 2
        losses.append(float(mean))
        gradients = sum(local(p.grad) for p in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
    states = [v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v) and v.numel() > 1]
    held = {
        "weights": sum(map(local, model.parameters())),
        "gradients": gradients,
        "optimizer": sum(map(local, states)),
    }
    if rank == 0:
        sys.stdout.write(json.dumps({"losses": losses, **held}) + "\n")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
