"""GPU benchmarks: peaks and speed of real training steps on this card, compared with `rung estimate` and plain TRL.

    make gpu                                  every case and the tests below, written to docs/measured-gpu.md
    python -m benchmarks.gpu --only 0.6B      cases whose name holds 0.6B
    python -m benchmarks.gpu --tiny --page F  the same cases with tiny models, on a CPU too: does the script run?

Each case is a fresh process with random weights, made on the spot from a config: speed and memory do not depend on
their values. One takes the embedded model, 135 million real ones. A case that the machine lacks a package for is a line
that says so. Then the tests that behave otherwise on a card run there: resume after kill -9, sharding, AWQ, GPTQ, and
`rung release check` on a server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[1]
PAGE = TOP / "docs" / "measured-gpu.md"
GIB = 1 << 30
LLAMA_8B = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "max_position_embeddings": 131072, "tie_word_embeddings": False}  # fmt: skip
QWEN_06B = {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 40960,
            "tie_word_embeddings": True}  # fmt: skip
SHAPES = {"8B": ("llama", LLAMA_8B, 128256), "0.6B": ("qwen3", QWEN_06B, 151936)}
TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 2048}  # fmt: skip
TESTS = ("resume or killed or awq or gptq or served", ["tests/training"])
STEPS = 6
"""Optimiser steps of a case; the first is left out of its speed."""


@dataclass(frozen=True)
class Case:
    """One training run: `recipe` is what differs from the usual one; `optim` is transformers' name, under plain TRL."""

    name: str
    shape: str
    recipe: dict[str, Any] = field(default_factory=dict)
    optim: str = ""
    needs: str = ""


QLORA: dict[str, Any] = {"method": "qlora", "quantisation": "nf4", "checkpointing": True}
FLASH = {"attention": "flash_attention_2"}
FULL: dict[str, Any] = {"method": "full", "rank": 0, "alpha": 0, "learning_rate": 1e-5}
CASES = (
    Case("8B qlora, nf4, recomputed", "8B", {**QLORA, "batch": 1, "max_length": 2048}),
    Case("8B qlora, nf4, FlashAttention", "8B", {**QLORA, **FLASH}, needs="flash_attn"),
    Case("8B qlora, nf4, packed", "8B", {**QLORA, **FLASH, "packing": True}, needs="flash_attn"),
    Case("8B lora, bf16, recomputed", "8B", {"checkpointing": True, "batch": 1, "max_length": 2048}),
    Case("embedded qlora, nf4, recomputed", "embedded", QLORA),
    Case("0.6B lora, bf16", "0.6B"),
    Case("0.6B lora, bf16, recomputed", "0.6B", {"checkpointing": True}),
    Case("0.6B full, fp32 masters", "0.6B", FULL),
    Case("0.6B full, fp32 masters, recomputed", "0.6B", {**FULL, "checkpointing": True}),
    Case("0.6B lora, plain TRL", "0.6B", optim="adamw_torch_fused"),
    Case("0.6B lora, plain TRL, 8-bit AdamW", "0.6B", optim="adamw_8bit", needs="bitsandbytes"),
    Case("0.6B lora, plain TRL, paged 8-bit AdamW", "0.6B", optim="paged_adamw_8bit", needs="bitsandbytes"),
    Case("8B qlora, plain TRL, paged 8-bit AdamW", "8B", {**QLORA, "batch": 1, "max_length": 2048}, "paged_adamw_8bit"),
)  # fmt: skip


def base_folder(shape: str, work: Path, *, tiny: bool) -> Path:
    """A model folder of this shape with random weights (bf16) and the embedded model's tokenizer, made once; for
    `embedded` that model itself.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from chat.local.embedded import embedded_model
    from training.run.base_model import load_tokenizer

    if shape == "embedded":
        return embedded_model()
    folder = work / shape
    if (folder / "config.json").is_file():
        return folder
    kind, config, vocabulary = SHAPES[shape]
    words = load_tokenizer(str(embedded_model()))
    if tiny:
        config, vocabulary = {**TINY, "tie_word_embeddings": config["tie_word_embeddings"]}, len(words)
    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config, vocab_size=vocabulary, **tokens))
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(str(folder))
    words.save_pretrained(str(folder))
    return folder


def measure(case: Case, base: Path, work: Path, *, tiny: bool) -> dict[str, Any]:
    """Peak bytes on the card, seconds a step and tokens a second of one case, in this process."""
    import torch

    from advisor.sizing.architecture import read_architecture
    from advisor.sizing.memory import memory_of
    from curation.example import Example, chat_row
    from training.plan.memory_fit import setup_of
    from training.plan.recipe import Recipe

    card = torch.cuda.is_available()
    given = {"method": "lora", "rank": 16, "alpha": 32, "learning_rate": 1e-4, "batch": 4, "max_length": 512}
    given |= {"epochs": 1, "steps": STEPS, "evals": 1, "precision": "bf16" if card else "fp32", **case.recipe}
    given |= {"batch": 1, "max_length": 96} if tiny else {}
    recipe = Recipe.model_validate({"base": str(base), **given})
    # rows as long as the recipe takes: a word of the tokenizer each, the template's words left room
    text = " ".join(["word"] * (recipe.max_length - 48))
    rows = [Example(chat_row(f"{n} {text}", "An answer of a few words.")) for n in range(recipe.batch * STEPS)]
    trainer = rungs_own(recipe, rows, work) if not case.optim else plain_trl(recipe, case.optim, rows, work)
    times: list[float] = []
    trainer.add_callback(step_clock(times))
    if card:
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    spans = [after - before for before, after in pairwise(times[1:])]
    seconds = sum(spans) / len(spans)
    peak = torch.cuda.max_memory_allocated() if card else None
    setup = setup_of(recipe, on_card=card, answer=0 if case.optim else 10)
    said = memory_of(read_architecture(base), replace(setup, optimizer=case.optim if "8bit" in case.optim else "adamw"))
    tokens = recipe.rows_a_step * recipe.max_length
    return {"peak": peak, "step": seconds, "tokens": tokens / seconds, "low": said.low, "high": said.high,
            "expected": said.expected}  # fmt: skip


def step_clock(times: list[float]) -> Any:
    """A callback that appends the time at the end of each optimiser step."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.perf_counter())

    times.append(time.perf_counter())
    return Clock()


def rungs_own(recipe: Any, rows: list[Any], work: Path) -> Any:
    """The trainer of `rung train`, by the code that it runs."""
    from evaluation.metrics.item_metrics import item_metric
    from training.run.base_model import load_base, load_tokenizer, prepare
    from training.run.building import build
    from training.run.inputs import answers
    from training.run.validation_answers import ValidationAnswers

    tokenizer = load_tokenizer(recipe.base)
    items = answers(tokenizer, rows, None, recipe.max_length, work)
    sampler = ValidationAnswers(tokenizer, rows[:2], recipe, item_metric("exact_match", work))
    model = prepare(load_base(recipe), recipe)
    trainer = build(model, sampler, (items, items), precision=recipe.precision, folder=work / "checkpoints")
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    return trainer


def plain_trl(recipe: Any, optim: str, rows: list[Any], work: Path) -> Any:
    """Run a plain TRL script with the same rows and adapter."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from training.run.base_model import load_base, load_tokenizer, prepare

    card = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(work / "trl"), max_steps=STEPS, per_device_train_batch_size=recipe.batch, optim=optim,
        max_length=recipe.max_length, gradient_checkpointing=recipe.checkpointing, bf16=card, use_cpu=not card,
        report_to="none", save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    return SFTTrainer(
        model=prepare(load_base(recipe), recipe),
        args=arguments,
        train_dataset=Dataset.from_list([{"messages": row.row["messages"]} for row in rows]),
        processing_class=load_tokenizer(recipe.base),
        peft_config=LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )


def in_a_child(case: Case, base: Path, *, tiny: bool) -> dict[str, Any]:
    """Return the case's output from its own process; `why` if it could not run."""
    from importlib.util import find_spec

    if case.needs and find_spec(case.needs) is None:
        return {"why": f"not run: {case.needs} is not installed"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--case", case.name, "--base", str(base), *["--tiny"] * tiny]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        return {"why": f"failed: {(done.stderr.strip().splitlines() or ['no word'])[-1][:160]}"}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def machine() -> str:
    """The card by name, driver's memory and torch; `a CPU` where there is none."""
    import torch
    import transformers

    where = "a CPU, with tiny models"
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
        where = " and ".join(f"{card.name} ({card.total_memory / GIB:.0f} GiB)" for card in cards)
    return f"{where}, torch {torch.__version__}, transformers {transformers.__version__}, {date.today()}"


def line(case: Case, seen: dict[str, Any]) -> str:
    if "why" in seen:
        return f"| {case.name} | {seen['why']} | | | |"
    gib = {key: "-" if seen[key] is None else f"{seen[key] / GIB:.2f}" for key in ("peak", "expected", "low", "high")}
    between = f"{gib['expected']} ({gib['low']} to {gib['high']})"
    return f"| {case.name} | {gib['peak']} | {between} | {seen['step']:.2f} | {seen['tokens']:,.0f} |"


def tests_there() -> str:
    """The closing line of the tests that behave otherwise on a card."""
    names, folders = TESTS
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-k", names, *folders]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=3600)
    failed = [text for text in done.stdout.splitlines() if text.startswith("FAILED")]
    return "\n".join([f"`pytest -k '{names}'`: {done.stdout.strip().splitlines()[-1]}", *failed])


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--tiny", action="store_true", help="tiny models, no tests, a CPU will do")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        case = next(case for case in CASES if case.name == options.case)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(case, options.base, Path(folder), tiny=options.tiny)))
        return
    import torch

    if not options.tiny and not torch.cuda.is_available():
        sys.exit("No GPU here (torch.cuda.is_available() is false). --tiny --page FILE tries the script on a CPU.")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for case in (case for case in CASES if options.only in case.name):
            seen = in_a_child(case, base_folder(case.shape, Path(folder), tiny=options.tiny), tiny=options.tiny)
            lines.append(line(case, seen))
            print(lines[-1], flush=True)
    head = ["| run | peak GiB | estimated GiB | s a step | tokens/s |", "|---|---|---|---|---|"]
    text = [f"Run on {machine()}.", "", "# Measured on a GPU", "", "`make gpu` writes this page.", "", *head, *lines]
    if not options.tiny:
        text += ["", tests_there()]
    options.page.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
