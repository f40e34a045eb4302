"""A dataset of the Hugging Face Hub, one split of one pinned revision, as a file that the reader takes."""

from __future__ import annotations

import re
from pathlib import Path

from chat.local.offline import tell_nobody
from workspace.errors import RungError
from workspace.extras import require

SCHEME = re.compile(r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+)(/(?P<subset>[\w.-]+))?")


def write_split(address: Path, split: str, revision: str, out: Path) -> str:
    """Write a split to `out` as Parquet; return its full name, with the commit that `revision` (main) is now.

    Raises RungError if the Hub cannot be reached, has no such dataset, revision, subset or split.
    """
    shown = str(address).replace("hf:/", "hf://", 1)
    found = SCHEME.fullmatch(str(address))
    if found is None:
        raise RungError(f"{shown}: not the address of a dataset.", "hf://owner/name", where=shown)
    tell_nobody()
    datasets, hub = require("hub", "datasets"), require("hub", "huggingface_hub")
    name, subset = found["name"], found["subset"]
    datasets.disable_progress_bars()
    try:
        commit = str(hub.HfApi().dataset_info(name, revision=revision or None).sha)
        splits = datasets.get_dataset_split_names(name, subset, revision=commit)
        if len(splits) > 1 and not split and "train" not in splits:
            raise RungError(f"{shown}: which split?", "--split with one of: " + ", ".join(splits), where=shown)
        chosen = split or ("train" if "train" in splits else splits[0])
        if chosen not in splits:
            raise RungError(f'{shown}: no split "{chosen}".', "--split with one of: " + ", ".join(splits),
                            where=shown, found=chosen)  # fmt: skip
        datasets.load_dataset(name, subset, split=chosen, revision=commit).to_parquet(str(out))
    except RungError:
        raise
    except Exception as error:  # hub, datasets and their HTTP client each raise what they like
        raise _told(shown, error) from error
    return f"hf://{name}{f'/{subset}' if subset else ''}@{commit} {chosen}"


def _told(address: str, error: Exception) -> RungError:
    kind, said = type(error).__name__, str(error).strip().split("\n")[0]
    if kind in ("RepositoryNotFoundError", "RevisionNotFoundError", "DatasetNotFoundError"):
        return RungError(f"{address}: the Hub has no such dataset or revision, or it needs `hf auth login`.",
                         "check owner, name and --revision", where=address)  # fmt: skip
    if isinstance(error, ValueError):
        return RungError(f"{address}: {said}", "hf://owner/name/SUBSET", where=address)
    return RungError(f"{address}: the Hub cannot be reached ({kind}: {said}).",
                     "download its files elsewhere, then rung data import FILE", where=address)  # fmt: skip
