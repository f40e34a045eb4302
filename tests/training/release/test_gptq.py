"""GPTQ by llmcompressor in its own environment: slow, for pip fetches 1.4 GB first."""

from __future__ import annotations

import json

import pytest
from released import judged, let

from training.release.current import current_release
from training.release.goldens import read_goldens
from training.release.releases import verify
from workspace.folder import Project
from workspace.settings import Settings

pytestmark = pytest.mark.slow


def test_a_run_goes_out_as_gptq_scored(project: Project, settings: Settings) -> None:
    judged(project, settings, right=30)
    folder = let(project, settings, "gptq")
    found = current_release(project)
    assert found is not None
    facts = {form.form: form for form in found[1].forms}["gptq"].facts
    assert facts["validation"]["gptq"]["n"] == 4 and facts["calibrated_on"] == 16
    config = json.loads((folder / "gptq" / "config.json").read_text())
    assert config["quantization_config"]["config_groups"]["group_0"]["weights"]["num_bits"] == 4
    assert len(read_goldens(folder).forms["gptq"]) == 4
    assert verify(folder).faults == []
