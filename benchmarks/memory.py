"""Measured peaks of real small training runs against `rung estimate`, the source's table and LLaMA-Factory's rule.

    python benchmarks/memory.py                    all runs, a Markdown table on stdout (about 20 CPU minutes)
    python benchmarks/memory.py --only qwen3 -n 1  runs whose name holds `qwen3`, resident memory once
    python benchmarks/memory.py --prefix "nice -n 19" --out results.json

Each figure comes from a fresh process. `tensors` is the maximum of live tensor bytes from torch's profiler, from an
empty process to the end of the second optimiser step. `resident` is the peak of RssAnon above its value after the
imports, in a fork of a process that has done nothing but import, with MALLOC_ARENA_MAX=1 and small mmap and trim
thresholds, median of n. Which constants were read off which runs stands in docs/memory.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MIB = 1 << 20
SMALL = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6}
SMALL |= {"num_key_value_heads": 2, "vocab_size": 8192, "max_position_embeddings": 2048}
LARGE = {"hidden_size": 640, "intermediate_size": 1728, "num_hidden_layers": 10, "num_attention_heads": 10}
LARGE |= {"num_key_value_heads": 5, "vocab_size": 32000, "max_position_embeddings": 2048}
EXPERTS = {**SMALL, "num_local_experts": 4}
GPT2 = {"n_embd": 384, "n_layer": 6, "n_head": 6, "vocab_size": 8192, "n_positions": 1024}
MOE = "mixtral"
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def run(name: str, config: dict[str, Any], setup: dict[str, Any], loop: str = "dropped", model: str = "llama") -> dict:
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


# --- the child ---------------------------------------------------------------------------------------------------


def child(spec: dict[str, Any], what: str) -> None:
    import torch

    torch.set_num_threads(1)
    if what == "tensors":
        print(json.dumps({"peak": tensors(Session(spec))}))
        return
    Session({**spec, "loop": "trl"})  # imports everything, so that every fork starts from the same state
    for line in sys.stdin:
        print(json.dumps({"peak": forked(json.loads(line))}), flush=True)


def forked(spec: dict[str, Any]) -> int | None:
    """The resident peak of one run in a fork of this process, which has done nothing but import."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(into, str(resident(Session(spec))).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return int(text) if text else None


def tensors(session: Session) -> int:
    """Maximum of live tensor bytes, from the profiler's allocation events in the order of time."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        session.go()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def resident(session: Session) -> int:
    """Peak of RssAnon above its value now, sampled every millisecond."""
    start, peak, done = rss_anon(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, rss_anon())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    session.go()
    done.set()
    watcher.join()
    return peak - start


def rss_anon() -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) * 1024


class Session:
    """Builds the model and takes two steps. Everything is imported before anything is measured."""

    def __init__(self, spec: dict[str, Any]) -> None:
        import bitsandbytes  # noqa: F401
        import peft
        import torch
        import transformers

        self.torch, self.peft, self.transformers = torch, peft, transformers
        if spec["loop"] == "trl":
            import datasets  # noqa: F401
            import trl

            self.trl = trl
        self.spec, self.setup = spec, spec["setup"]
        kind = {"gemma3_text": "Gemma3Text", "gpt2": "GPT2", "olmo2": "Olmo2"}.get(spec["model_type"])
        kind = kind or spec["model_type"].capitalize()
        self.config = getattr(transformers, f"{kind}Config")(**spec["config"], **TOKENS)
        self.config.use_cache = False
        warm = torch.nn.Linear(8, 8)
        warm(torch.zeros(1, 8)).sum().backward()

    def go(self) -> None:
        self.torch.manual_seed(0)
        if self.spec["loop"] == "trl":
            self.trl_steps()
        else:
            self.steps()

    def model(self) -> Any:
        torch, setup = self.torch, self.setup
        torch.set_default_dtype(torch.bfloat16 if setup["dtype"] == "bf16" else torch.float32)
        if setup["method"] == "qlora":
            model = self.quantised()
        else:
            model = self.transformers.AutoModelForCausalLM.from_config(self.config)
        torch.set_default_dtype(torch.float32)
        return model

    def quantised(self) -> Any:
        """Linear layers in NF4 with double quantisation, made layer by layer so that the build is not the peak."""
        import bitsandbytes as bnb

        with self.torch.device("meta"):
            model = self.transformers.AutoModelForCausalLM.from_config(self.config)
        for parent in list(model.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, self.torch.nn.Linear) and name != "lm_head":
                    new = bnb.nn.Linear4bit(
                        layer.in_features,
                        layer.out_features,
                        bias=False,
                        compute_dtype=self.torch.float32,
                        quant_type="nf4",
                        compress_statistics=True,
                    )
                    setattr(parent, name, new.to("cpu"))
                elif not list(layer.children()) and list(layer.parameters(recurse=False)):
                    layer.to_empty(device="cpu")
                    for weight in layer.parameters():
                        self.torch.nn.init.normal_(weight, std=0.02)
        model.model.rotary_emb = type(model.model.rotary_emb)(self.config)
        model.is_loaded_in_4bit = True
        return model

    def adapted(self, model: Any) -> Any:
        peft, setup = self.peft, self.setup
        method = setup["method"]
        if method == "full":
            return model
        model.requires_grad_(False)
        tokens = {"num_virtual_tokens": setup.get("virtual_tokens", 20), "task_type": "CAUSAL_LM"}
        made = {
            "ia3": lambda: peft.IA3Config(task_type="CAUSAL_LM"),
            "prefix": lambda: peft.PrefixTuningConfig(**tokens),
            "prompt": lambda: peft.PromptTuningConfig(**tokens),
        }.get(method, self.low_rank)()
        return peft.get_peft_model(model, made)

    def low_rank(self) -> Any:
        setup = self.setup
        groups = {"qv": ["q_proj", "v_proj"], "mlp": ["gate_proj", "up_proj", "down_proj"]}
        groups["attention"] = ["q_proj", "k_proj", "v_proj", "o_proj"]
        target = setup.get("targets", "all-linear")
        return self.peft.LoraConfig(
            r=setup.get("rank", 16),
            lora_alpha=32,
            target_modules=groups.get(target, target),
            lora_dropout=setup.get("dropout", 0.0),
            use_dora=setup["method"] == "dora",
            task_type="CAUSAL_LM",
        )

    def ready(self) -> Any:
        model = self.adapted(self.model())
        if self.setup["checkpointing"]:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            if self.setup["method"] != "full":
                model.enable_input_require_grads()
        return model.train()

    def steps(self) -> None:
        torch, setup = self.torch, self.setup
        model = self.ready()
        dpo = setup.get("objective") == "dpo"
        other = self.model().requires_grad_(False) if dpo and setup["reference"] == "model" else None
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
        for _ in range(2):
            for _ in range(setup.get("accumulation", 1)):
                rows = setup["batch"] * (2 if dpo else 1)
                ids = torch.randint(3, self.config.vocab_size, (rows, setup["length"]))
                mask = torch.ones_like(ids)
                if setup.get("padded"):
                    mask[0, -7:] = 0
                if dpo:
                    self.dpo(model, other, ids).backward()
                    continue
                out = model(input_ids=ids, labels=ids, **({"attention_mask": mask} if setup.get("padded") else {}))
                loss = out.loss
                if self.spec["loop"] == "dropped":
                    del out
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def dpo(self, model: Any, other: Any, ids: Any) -> Any:
        """The loss of Rafailov 2023 over chosen and rejected rows in one forward pass, as TRL batches them."""
        torch = self.torch

        def scores(which: Any) -> Any:
            logits = which(input_ids=ids).logits[:, :-1]
            return logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1).sum(-1)

        with torch.no_grad():
            if other is not None:
                reference = scores(other)
            else:
                with model.disable_adapter():
                    reference = scores(model)
        gain = scores(model) - reference
        chosen, rejected = gain.chunk(2)
        return -torch.nn.functional.logsigmoid(0.1 * (chosen - rejected)).mean()

    def trl_steps(self) -> None:
        import tempfile

        from datasets import Dataset
        from tokenizers import Tokenizer, models

        setup = self.setup
        words = {str(i): i for i in range(self.config.vocab_size)}
        inner = Tokenizer(models.WordLevel(words, unk_token="0"))
        tokenizer = self.transformers.PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token="0", eos_token="2", unk_token="0"
        )
        ids = self.torch.randint(3, self.config.vocab_size, (2 * setup["batch"], setup["length"])).tolist()
        with tempfile.TemporaryDirectory() as folder:
            arguments = self.trl.SFTConfig(
                output_dir=folder,
                max_steps=2,
                per_device_train_batch_size=setup["batch"],
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=setup["checkpointing"],
                max_length=setup["length"],
                report_to="none",
                save_strategy="no",
                disable_tqdm=True,
            )
            trainer = self.trl.SFTTrainer(
                model=self.model(),
                args=arguments,
                train_dataset=Dataset.from_dict({"input_ids": ids}),
                processing_class=tokenizer,
                peft_config=None if setup["method"] == "full" else self.low_rank(),
            )
            trainer.train()


# --- the parent --------------------------------------------------------------------------------------------------


def start(spec: dict[str, Any], what: str, prefix: list[str]) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_OFFLINE": "1",
    }
    command = [*prefix, sys.executable, "-W", "ignore", __file__, "--child", json.dumps(spec), "--what", what]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def live_tensors(spec: dict[str, Any], prefix: list[str]) -> int | None:
    """Bytes from a fresh child; None where it failed (its error is shown)."""
    done = start(spec, "tensors", prefix)
    text, errors = done.communicate()
    if done.returncode:
        print(f"{spec['name']}: {errors.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return int(json.loads(text.strip().splitlines()[-1])["peak"])


class Residents:
    """A process that has imported everything and forks once for each run."""

    def __init__(self, prefix: list[str]) -> None:
        self.process = start(RUNS[0], "resident", prefix)

    def measure(self, spec: dict[str, Any], times: int) -> float | None:
        sound = []
        for _ in range(times):
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps(spec) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            while line and not line.startswith('{"peak"'):
                line = self.process.stdout.readline()
            if line and (peak := json.loads(line)["peak"]):
                sound.append(peak)
        return statistics.median(sound) if sound else None


def rated(result: dict[str, Any]) -> dict[str, Any]:
    """A measured run with what each rule says of it, in MiB."""
    from advisor.sizing import Setup, architecture_of, estimate, load_table

    spec = result["spec"]
    architecture = architecture_of({"model_type": spec["model_type"], **spec["config"]}, spec["name"])
    setup = Setup(**spec["setup"])
    found = estimate(architecture, setup)
    rule = next(entry for entry in load_table("memory")["rule"] if entry["id"] == "llama-factory")
    key = setup.method if setup.method in ("full", "qlora") else "lora"
    source = {"full": 160, "lora": 20, "qlora": 8}[key] / 7
    # LLaMA-Factory's factors are for 16-bit weights: 32-bit full runs take its mixed rule, other 32-bit runs twice its.
    wide = setup.dtype == "fp32" and key != "qlora"
    factor = rule["full_mixed" if key == "full" and wide else key] * (2 if key == "lora" and wide else 1)
    size = architecture.parameters / MIB
    return {
        "name": spec["name"],
        "expected": found.memory.expected / MIB,
        "low": found.memory.low / MIB,
        "high": found.memory.high / MIB,
        "tensors": result["tensors"] / MIB if result["tensors"] else None,
        "resident": result["resident"] / MIB if result["resident"] else None,
        "llama_factory": size * factor,
        "source": size * source,
        "accelerate": accelerates_own(architecture.parameters, setup.dtype) / MIB,
    }


def accelerates_own(parameters: int, dtype: str) -> int:
    """What `accelerate estimate-memory` prints as training memory: by its own function, which takes 32-bit bytes."""
    from accelerate.commands.estimate import estimate_training_usage

    known = estimate_training_usage(parameters * 4, {"fp32": "float32", "bf16": "bfloat16"}.get(dtype, "float16"))
    return max(known.values())


def table(results: list[dict[str, Any]]) -> str:
    head = ["run", "tensors", "resident", "expected", "error", "error resident", "high"]
    head += ["source's table", "LLaMA-Factory", "accelerate"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    rows = [rated(result) for result in results]
    for r in rows:
        cells = [r["name"], number(r["tensors"]), number(r["resident"]), number(r["expected"])]
        cells += [error(r["expected"], r["tensors"]), error(r["expected"], r["resident"]), number(r["high"])]
        cells += [error(r[key], r["tensors"]) for key in ("source", "llama_factory", "accelerate")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *summary(rows)])


def summary(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    unused = [r for r in rows if r["name"] not in FITTED]
    for key, bound, what in (
        ("tensors", 0.10, rows),
        ("resident", 0.15, rows),
        ("tensors", 0.10, unused),
        ("resident", 0.15, unused),
    ):
        sound = [r for r in what if r[key]]
        errors = sorted(abs(r["expected"] / r[key] - 1) for r in sound)
        within = sum(e <= bound for e in errors)
        above = [r["name"] for r in sound if r[key] > r["high"]]
        if errors:
            lines.append(
                f"{key}{', not used for fitting' * (what is unused)}: {within} of {len(errors)} within {bound:.0%}; "
                f"median error {statistics.median(errors):.1%}, "
                f"largest {errors[-1]:.1%}; above high: {', '.join(above) or 'none'}"
            )
    names = {"source": "the source's table", "llama_factory": "LLaMA-Factory's rule"}
    names["accelerate"] = "accelerate estimate-memory (four times the weights, whatever the method)"
    for key, name in names.items():
        errors = sorted(abs(r[key] / r["tensors"] - 1) for r in rows if r["tensors"])
        if errors:
            within = sum(e <= 0.10 for e in errors)
            lines.append(f"{name}: {within} of {len(errors)} within 10%; median error {statistics.median(errors):.0%}")
    return lines


def number(value: float | None) -> str:
    return f"{value:,.0f}" if value else "-"


def error(said: float, measured: float | None) -> str:
    return f"{said / measured - 1:+.1%}" if measured else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("-n", type=int, default=3, help="how often resident memory is measured; 0: not")
    parser.add_argument("--no-tensors", action="store_true", help="leave the profiler's runs out")
    parser.add_argument("--prefix", default="", help="put before each child's command")
    parser.add_argument("--out", type=Path, help="keep (and go on from) the measurements in this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--what", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child), options.what)
        return
    kept = json.loads(options.out.read_text()) if options.out and options.out.exists() else []
    prefix = shlex.split(options.prefix)
    residents = Residents(prefix) if options.n else None
    for spec in (spec for spec in RUNS if options.only in spec["name"]):
        result = next((result for result in kept if result["spec"] == spec), None)
        if result is None:
            result = {"spec": spec, "tensors": None, "resident": None}
            kept.append(result)
        if not result["tensors"] and not options.no_tensors:
            result["tensors"] = live_tensors(spec, prefix)
        if not result["resident"] and residents:
            result["resident"] = residents.measure(spec, options.n)
        print(f"{spec['name']}: done", file=sys.stderr)
        if options.out:
            options.out.write_text(json.dumps(kept, indent=1))
    print(table([result for result in kept if options.only in result["spec"]["name"]]))


if __name__ == "__main__":
    main()
