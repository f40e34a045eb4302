"""The Ray engine: rows are read and hashed by the nodes of a Ray cluster, pairs are judged here.

Hashing is where the time goes; what comes back is 4 bytes a shingle. The files must be reachable under the same path
on every node. The outcome is that of the local engine, row for row.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curation.chunks import Block, Chunk, chunks_of_files, gather, hash_chunk
from curation.prints import Collector
from curation.rowfiles import RowFiles
from workspace.errors import RungError
from workspace.extras import require


def collect_with_ray(files: RowFiles, collector: Collector) -> None:
    """Hash all rows on the cluster that `RAY_ADDRESS` names, or on one that is started here.

    Raises RungError where Ray is not installed, or a file is not one of plain JSON lines.
    """
    chunks = chunks_of_files(files)
    if chunks is None:
        raise RungError("The Ray engine reads plain files of JSON lines (.jsonl).", "rung data convert IN -o OUT.jsonl")
    ray = require("ray", "ray")
    data = require("ray", "ray.data")
    if not ray.is_initialized():
        ray.init(logging_level="ERROR", log_to_driver=False)
    data.DataContext.get_current().enable_progress_bars = False
    data.DataContext.get_current().execution_options.preserve_order = True
    gather(files, collector, _blocks(data, chunks))


def _blocks(data: Any, chunks: Sequence[Chunk]) -> Iterator[Block]:
    """The blocks of the chunks, in their order, as they come in."""
    items = [{"place": place, "path": str(c.path), "chunk": pickle.dumps(c)} for place, c in enumerate(chunks)]
    dataset = data.from_items(items, override_num_blocks=max(1, len(items))).map_batches(hash_batch, batch_size=1)
    waiting: dict[int, Block] = {}
    following = 0
    for row in dataset.iter_rows():
        waiting[int(row["place"])] = block_of(row["block"])
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def hash_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """What a node does: hash the chunks of a batch; of a file that it does not see, the name."""
    chunks = [pickle.loads(chunk) for chunk in batch["chunk"]]  # nosec B301  the head of this job wrote it
    done = [hash_chunk(chunk) if Path(chunk.path).is_file() else str(chunk.path) for chunk in chunks]
    return {"place": batch["place"], "block": np.array([pickle.dumps(each) for each in done], dtype=object)}


def block_of(data: bytes) -> Block:
    """What a node sent. Raises RungError where it does not see the file."""
    found: Block | str = pickle.loads(data)  # nosec B301  our own workers wrote it
    if isinstance(found, str):
        raise RungError(
            f"{found}: not there on a node of the Ray cluster.",
            "put it on storage that every node sees under the same path, or --engine local",
            where=found,
        )
    return found
