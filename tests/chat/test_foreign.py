"""Model folders from elsewhere: absurd sizes, and chat templates that never end, are refused before they are loaded."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chat.local.load import load, try_template
from chat.local.model import LocalModel
from workspace.errors import RungError

CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
          "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000}  # fmt: skip
ENDLESS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a number": "{% set far = messages|length * 10**9 %}{{ 10**far }}",
    "memory": '{{ messages[0].content * 10**10 }}',
    "text": "{% for i in range(99999) %}{{ messages[0].content }} and so on{% endfor %}",
}  # fmt: skip
REACHING = ("{{ ().__class__.__base__.__subclasses__() }}", "{{ messages.__init__.__globals__ }}",
            "{{ messages.append(1) }}", "{% include '/etc/passwd' %}")  # fmt: skip


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Any:
    """`folder(template)`: the tiny model under another chat template."""

    def make(template: str) -> str:
        made = shutil.copytree(tiny, tmp_path / "model")
        (made / "chat_template.jinja").write_text(template)
        return str(made)

    return make


@pytest.mark.parametrize("name", ENDLESS)
def test_a_chat_template_that_does_not_end_is_refused(name: str, folder: Any) -> None:
    with pytest.raises(RungError) as refused:
        load(folder(ENDLESS[name]))
    assert refused.value.where == "chat_template"


def test_what_a_terminal_speaks_is_not_asked_of_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    try_template(SimpleNamespace(chat_template="{% for m in messages %}«{{ m.content }}»{% endfor %}"))
    with pytest.raises(RungError):
        try_template(SimpleNamespace(chat_template="«" + next(iter(ENDLESS.values()))))


def test_a_chat_template_reaches_nothing(folder: Any) -> None:
    model = LocalModel(load(folder(REACHING[0]), threads=1))
    for template in REACHING:
        model.loaded.tokenizer.chat_template = template
        with pytest.raises(RungError) as refused:
            model.render([{"role": "user", "content": "a"}])
        assert refused.value.where == "chat_template"


@pytest.mark.parametrize(
    "changed",
    [{"hidden_size": 10**9}, {"vocab_size": 10**12}, {"num_hidden_layers": 10**6},
     {"text_config": {"hidden_size": 10**7, "vocab_size": 10**7}}],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_a_config_that_the_weights_cannot_fill_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **changed}))
    (tmp_path / "model.safetensors").write_bytes(bytes(200_000))
    with pytest.raises(RungError) as refused:
        load(str(tmp_path))
    assert refused.value.where == str(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ""),
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, "*.safetensors"),
        ({"config.json": b"{}", "model.gguf": b"GGUF\x03"}, "*.safetensors"),
        ({"config.json": b"{}", "model.safetensors": b"x"}, ""),
        *(
            ({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": header + bytes(200_000)}, "")
            for header in (b"\xff" * 8, (1 << 40).to_bytes(8, "little"), b"\x02" + bytes(7) + b"[]")
        ),
    ],
    ids=range(7),
)
def test_a_folder_that_is_no_model_is_told_with_its_place(
    files: dict[str, bytes], expected: str, tmp_path: Path
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(RungError) as refused:
        load(str(tmp_path))
    assert (refused.value.where, refused.value.expected) == (str(tmp_path), expected)
