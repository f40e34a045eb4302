"""Layers of a base model are told as they are put into place."""

import pytest

from training.run import session as loading


@pytest.fixture
def base(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 12, "num_attention_heads": 4}
    LlamaForCausalLM(LlamaConfig(vocab_size=64, max_position_embeddings=32, **shape)).save_pretrained(tmp_path)
    return tmp_path


def loaded(base):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base, local_files_only=True)


def test_each_layer_is_told_and_all_of_them_at_the_end(base, monkeypatch):
    monkeypatch.setattr(loading, "EVERY", 0.0)
    told = []
    with loading.told_by_layer(lambda done, of: told.append((done, of))):
        model = loaded(base)
    assert len(model.model.layers) == 12
    assert told == [*((done, 12) for done in range(12)), (12, 12)]
    told.clear()
    loaded(base)
    assert told == []


def test_lines_come_no_faster_than_a_person_reads_them(base):
    told = []
    with loading.told_by_layer(lambda done, of: told.append((done, of))):
        loaded(base)
    assert told[0] == (0, 12)
    assert told[-1] == (12, 12)
    assert len(told) < 6
