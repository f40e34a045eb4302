"""A model folder from elsewhere: no pickle is read, none of its code is run, nothing is asked on the terminal."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOADERS = {
    "embedder": "from chat.local.embed import open_embedder; open_embedder(folder)",
    "model": "from chat.local.load import load; load(str(folder))",
    "tokenizer": "from training.run.base_model import load_tokenizer; load_tokenizer(str(folder))",
}


def loaded(loader: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Load it in a process whose terminal says yes to all that it is asked."""
    code = f"from pathlib import Path\nfrom workspace.errors import RungError\nfolder = Path({str(folder)!r})\n"
    code += f"try: {LOADERS[loader]}\nexcept RungError as error: print('refused', error.where)\nelse: print('loaded')"
    command = [sys.executable, "-P", "-X", "fork", "-c", code]
    return subprocess.run(command, input="y\n" * 9, capture_output=True, text=True)


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("loader", ["embedder", "model"])
def test_pickled_weights_are_not_read(loader: str, tiny: Path, tmp_path: Path) -> None:
    folder, mark = Path(shutil.copytree(tiny, tmp_path / "m")), tmp_path / "ran"
    assert loaded(loader, folder).stdout == "loaded\n"
    for file in folder.glob("*.safetensors"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(mark)))
    done = loaded(loader, folder)
    assert done.stdout.startswith("refused") and not mark.exists(), done.stderr


@pytest.mark.parametrize("loader", LOADERS)
def test_code_of_a_folder_is_not_run(loader: str, tiny: Path, tmp_path: Path) -> None:
    folder, mark = Path(shutil.copytree(tiny, tmp_path / "m")), tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Evil: pass\n")
    auto = {name: "evil.Evil" for name in ("AutoConfig", "AutoModel", "AutoModelForCausalLM")}
    for name, more in (("config.json", {"auto_map": auto, "model_type": "evil"}),
                       ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Evil", None]},
                                                  "tokenizer_class": "Evil"})):  # fmt: skip
        file = folder / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    done = loaded(loader, folder)
    assert not mark.exists() and "custom code" not in done.stdout, "not run, and not offered"
    assert done.stdout.startswith("refused"), done


def test_an_embedder_of_an_absurd_size_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "m"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 1 << 20, "vocab_size": 1 << 30}))
    assert loaded("embedder", folder).stdout.startswith("refused")
