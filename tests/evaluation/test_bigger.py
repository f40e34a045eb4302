"""The arm `bigger_model` with two real models of two sizes, here and on a server that runs the larger one. Slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from in_shell import rung
from llamas import make_llama


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two Llamas with fixed random weights and the embedded model's tokenizer, the second nine times as wide in all."""
    folders = [tmp_path_factory.mktemp("sizes") / name for name in ("small", "large")]
    counts = [
        make_llama(folder, seed=width, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
                   num_attention_heads=4, initializer_range=0.3)
        for folder, width, layers in zip(folders, (32, 256), (1, 6), strict=True)
    ]  # fmt: skip
    assert counts[1] > 9 * counts[0]
    return folders[0], folders[1]


def measured(project: Any, small: Path, bigger: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """`rung baseline` with these two models: the arms of its report, and each arm's outputs on the test."""
    project.settings_file.write_text(
        f'[model]\nbase = "{small}"\nmax_tokens = 6\n[evaluation]\nclosed_set = "off"\n[bigger_model]\n{bigger}\n'
    )
    done = rung("baseline", "--arms", "base,prompt,bigger_model", "--json", cwd=project.root, RUNG_API_KEY="none")
    assert done.returncode == 0, done.stderr
    folder = project.root / json.loads(done.stdout)["folder"]
    outputs: dict[str, list[str]] = {}
    for row in map(json.loads, (folder / "outputs.jsonl").read_text().splitlines()):
        if row["split"] == "test":
            outputs.setdefault(row["arm"], []).append(row["output"])
    return json.loads((folder / "report.json").read_text()), outputs


@pytest.mark.slow
def test_a_larger_model_answers_its_own_arm_here_and_on_a_server(
    project: Any, sizes: tuple[Path, Path], loopback: Any
) -> None:
    from chat.open import open_local
    from chat.protocols import Ask
    from workspace.settings import ModelSettings

    small, large = sizes
    engine = open_local(ModelSettings(base=str(large), max_tokens=6))

    def serve(_handler: Any, request: Any) -> tuple[int, Any]:
        body = request[3]
        reply = engine.answer([Ask(tuple(body["messages"]), body["max_tokens"])])[0]
        choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": "length"}
        usage = {"prompt_tokens": reply.input_tokens, "completion_tokens": reply.output_tokens, "total_tokens": 0}
        return 200, {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
                     "choices": [choice], "usage": usage}  # fmt: skip

    report, here = measured(project, small, f'base = "{large}"\nprovider = "local"')
    arms = {arm["arm"]: arm for arm in report["arms"]}
    assert "large" in arms["bigger_model"]["settings"]["model"] and "small" in report["model"]
    assert report["chosen"] in ("base", "prompt") and len(here["bigger_model"]) == 36
    assert here["bigger_model"] != here["prompt"] and len(set(here["bigger_model"])) > 6

    loopback.say(serve)
    named = f'base = "large"\nprovider = "openai"\nbase_url = "{loopback.url}/v1"'
    report, served = measured(project, small, named)
    arm = next(arm for arm in report["arms"] if arm["arm"] == "bigger_model")
    assert arm["settings"]["model"].startswith("large (127.0.0.1") and arm["n"] == 36
    assert served["bigger_model"] == here["bigger_model"] and served["prompt"] == here["prompt"]
    assert {request[3]["model"] for request in loopback.requests} == {"large"}
