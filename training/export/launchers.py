"""More than one device: launcher configurations for the exported TRL script, and a Slurm file."""

from __future__ import annotations

import json

from training.export.bundle import Bundle, Table
from training.export.values import yaml
from workspace.errors import Refusal


def launch_files(bundle: Bundle) -> dict[str, str]:
    """`launch/...` for the plan's number of cards (at least two), by name.

    Raises Refusal where the rows of a step cannot be shared equally.
    """
    cards = max(2, bundle.cards)
    if bundle.effective_batch % cards:
        raise Refusal(
            f"{bundle.effective_batch} rows a step cannot be shared by {cards} cards.",
            f"Set [training] batch to a multiple of {cards}, or name another number: --cards",
        )
    found = {"accelerate-ddp.yaml": yaml(_accelerate(cards, "MULTI_GPU"), _head("DDP: every card holds the model"))}
    head = _head("FSDP: weights, gradients and optimiser shared")
    found["accelerate-fsdp.yaml"] = yaml({**_accelerate(cards, "FSDP"), "fsdp_config": _fsdp(bundle)}, head)
    found["deepspeed.json"] = json.dumps(deepspeed(bundle, cards), indent=1) + "\n"
    zero = {**_accelerate(cards, "DEEPSPEED"), "deepspeed_config": {"deepspeed_config_file": "launch/deepspeed.json"}}
    zero.pop("mixed_precision")
    found["accelerate-deepspeed.yaml"] = yaml(zero, _head("DeepSpeed ZeRO, see deepspeed.json"))
    found["slurm.sh"] = _slurm(bundle, cards)
    return {f"launch/{name}": text for name, text in found.items()}


def _head(what: str) -> str:
    return f"{what}.\nRun: accelerate launch --config_file launch/THIS_FILE train.py --processes N"


def _accelerate(cards: int, kind: str) -> Table:
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": kind,
        "mixed_precision": "bf16",
        "num_machines": 1,
        "machine_rank": 0,
        "num_processes": cards,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
    }


def _fsdp(bundle: Bundle) -> Table:
    return {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_reshard_after_forward": True,
        "fsdp_state_dict_type": "FULL_STATE_DICT",
        "fsdp_cpu_ram_efficient_loading": True,
        "fsdp_offload_params": False,
        "fsdp_activation_checkpointing": bundle.recipe.checkpointing,
    }


def deepspeed(bundle: Bundle, cards: int) -> Table:
    """ZeRO-2 where the base is in 4 bits (ZeRO-3 cannot shard those), else ZeRO-3. Sizes are the script's own."""
    share = bundle.effective_batch // cards
    batch = next(n for n in range(min(share, bundle.recipe.batch), 0, -1) if share % n == 0)
    stage = 2 if bundle.recipe.quantisation == "nf4" else 3
    zero: Table = {"stage": stage, "overlap_comm": True, "contiguous_gradients": True}
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_batch_size": bundle.effective_batch,
        "train_micro_batch_size_per_gpu": batch,
        "gradient_accumulation_steps": share // batch,
        "gradient_clipping": bundle.recipe.grad_norm,
        "bf16": {"enabled": True},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
    }


def _slurm(bundle: Bundle, cards: int) -> str:
    hours = 24
    known = bundle.plan.forecast.seconds
    note = f"# measured forecast of the plan: {known:.0f} s on its machine" if known else "# the plan knows no time yet"
    return f"""#!/bin/bash
#SBATCH --job-name=rung-{bundle.plan.id}
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={cards}
#SBATCH --cpus-per-task={4 * cards}
#SBATCH --time={hours:02d}:00:00
#SBATCH --output=%x-%j.log
{note}
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
srun torchrun --standalone --nproc_per_node {cards} train.py --processes {cards}
"""
