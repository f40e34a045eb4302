"""The rows of a frozen split: in memory, or over `[training] stream_over` read from the file each time."""

import glob
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from chat.local.offline import tell_nobody
from curation.example import Example
from curation.split.manifest import SplitName, load_split, split_file
from workspace.settings import Settings

GB = 10**9


def rows_of(folder: Path, split: SplitName, settings: Settings) -> Sequence[Example]:
    """Return the rows of a split whose bytes are those that were frozen; a large one stays on disk."""
    path = split_file(folder, split)
    return StreamedRows(path) if path.stat().st_size > settings.training.stream_over * GB else load_split(folder, split)


class StreamedRows(Sequence[Example]):
    """Rows that stay in their file: `datasets` streams them in order, and single ones are read where they begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begins = array("q")
        with path.open("rb") as file:
            place = 0
            for line in file:
                if line.strip():
                    self.begins.append(place)
                place += len(line)

    def __len__(self) -> int:
        return len(self.begins)

    def __iter__(self) -> Iterator[Example]:
        from datasets import load_dataset

        tell_nobody()
        lines = load_dataset("text", data_files=glob.escape(str(self.path)), split="train", streaming=True)
        return (Example.from_json(line["text"]) for line in lines if line["text"].strip())

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> list[Example]: ...
    def __getitem__(self, place: int | slice) -> Example | list[Example]:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        with self.path.open("rb") as file:
            file.seek(self.begins[place])
            return Example.from_json(file.readline())
