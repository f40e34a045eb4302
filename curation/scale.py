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
        waiting[int(row["place"])] = pickle.loads(row["block"])  # nosec B301  our own workers wrote it
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def hash_batch(batch: dict[str, Any]) -> dict[str, Any]:
    """What a node does: hash the chunks of a batch."""
    chunks = [pickle.loads(chunk) for chunk in batch["chunk"]]  # nosec B301  the head of this job wrote it
    for chunk in chunks:
        if not Path(chunk.path).is_file():
            raise FileNotFoundError(f"{chunk.path}: not there on this node; put it on storage that all nodes share.")
    blocks = np.array([pickle.dumps(hash_chunk(chunk)) for chunk in chunks], dtype=object)
    return {"place": batch["place"], "block": blocks}
