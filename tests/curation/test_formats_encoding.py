"""A table that a spreadsheet saved in another encoding: what is wrong is said once, with the command that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.rows import Columns, Reject, read_rows
from curation.rows.rejects import malformed_error
from workspace.errors import RungError

NAMED = Columns(question="Frage", answer="Antwort")
ICONV = 'iconv -f WINDOWS-1252 -t UTF-8 "{}" > utf8.csv'


def saved(folder: Path, text: str) -> Path:
    path = folder / "tickets.csv"
    path.write_bytes(text.encode("cp1252"))
    return path


def test_a_header_that_is_not_utf8_is_told_as_such(tmp_path: Path) -> None:
    path = saved(tmp_path, "Frage;Antwort;Kürzel\nwo;da;x\n")
    with pytest.raises(RungError) as caught:
        list(read_rows(path))
    assert "line 1: the header is not UTF-8" in caught.value.message and "\udcfc" not in caught.value.message
    assert ICONV.format(path) in caught.value.hint


def test_cells_that_are_not_utf8_are_no_rows_to_do_without(tmp_path: Path) -> None:
    path = saved(tmp_path, "Frage;Antwort\nfür wen;mich\nwo;draußen\n")
    rejects = [row for row in read_rows(path, columns=NAMED) if isinstance(row, Reject)]
    assert len(rejects) == 2 and ICONV.format(path) in malformed_error(rejects).hint


def test_one_bad_line_among_others_may_be_left_out(tmp_path: Path) -> None:
    path = saved(tmp_path, "Frage;Antwort\nfür wen;mich\nwo;\n")
    rejects = [row for row in read_rows(path, columns=NAMED) if isinstance(row, Reject)]
    assert len(rejects) == 2 and "--rejects" in malformed_error(rejects).hint
