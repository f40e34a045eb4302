"""GGUF by llama.cpp's own converter: slow, for pip installs it first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training.release.gguf import make_gguf


@pytest.mark.slow
def test_a_merged_model_becomes_gguf_of_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    """`tiny` stands in the place of the merged model."""
    from gguf import GGUFReader
    from safetensors.numpy import load_file

    (tmp_path / "merged").symlink_to(tiny)
    making: Any = SimpleNamespace(work=tmp_path)
    form = make_gguf(making, tmp_path / "gguf")
    assert set(form.facts["bytes"]) == {"f32", "q8_0"}
    found = {t.name: t for t in GGUFReader(tmp_path / "gguf" / "model-f32.gguf").tensors}
    weights = load_file(tiny / "model.safetensors")["model.embed_tokens.weight"]
    assert (found["token_embd.weight"].data.reshape(weights.shape) == weights).all()
    small, whole = form.facts["bytes"]["q8_0"], form.facts["bytes"]["f32"]
    assert small < whole / 2
