"""A check of files holds a sample of rows, never all of them."""

import json
import random
import subprocess
import sys
from collections import Counter

from checked import row, text

from curation.checks import subjects as rows_held
from curation.checks.base import Subject
from curation.checks.run import check_project
from curation.example import Example
from curation.store import NewRow, open_store
from rung.report.quality import write_quality_page
from rung.start import start_project
from rung.text import checks_text
from workspace.settings import load_settings

MEMORY = """
import re, sys
from pathlib import Path
from curation.checks import subjects
from curation.checks.run import check_files
subjects.SAMPLE = 1000
found = check_files([Path(sys.argv[1])])
print(found.read, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_texts_are_not_held_when_a_file_is_checked(tmp_path):
    """3 times the rows, of 8 KB each: what grows is a fingerprint a row, far below the text."""
    peaks = []
    for count in (1_000, 3_000):
        rng = random.Random(count)
        path = tmp_path / f"{count}.jsonl"
        with path.open("w") as file:
            for i in range(count):
                file.write(json.dumps({**row(f"{text(rng, 30)} {i}", f"the answer is {i}"), "note": "x" * 8000}) + "\n")
        out = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, out.stdout.split())
        assert rows == count
        peaks.append(peak)
    text_kb = (path.stat().st_size - (tmp_path / "1000.jsonl").stat().st_size) / 1024
    assert peaks[1] - peaks[0] < 0.5 * text_kb, (peaks, text_kb)


def test_a_sample_of_long_rows_is_smaller_and_every_row_is_as_likely(monkeypatch):
    monkeypatch.setattr(rows_held, "SAMPLE", 40)
    monkeypatch.setattr(rows_held, "SAMPLE_BYTES", 250)
    monkeypatch.setattr(rows_held, "FEWEST_HELD", 5)
    one = Example(row("q", "a"))
    drawn = Counter()
    for seed in range(400):
        sampler = rows_held.Sampler(seed)
        for line in range(100):
            sampler.add(Subject(one, "f", line), 10)
        lines = [subject.line for subject in sampler.rows()]
        assert lines == sorted(set(lines)) and 5 <= len(lines) <= 25 and sampler.seen == 100
        drawn.update(lines)
    expected = drawn.total() / 100
    assert all(abs(drawn[line] - expected) < 5 * expected**0.5 for line in range(100))


def test_the_check_of_a_project_says_how_many_rows_it_judged(tmp_path, monkeypatch):
    """Long rows, fewer than SAMPLE of them, are sampled too, and the terminal is told."""
    monkeypatch.setattr(rows_held, "SAMPLE_BYTES", 40_000)
    monkeypatch.setattr(rows_held, "FEWEST_HELD", 5)
    project = start_project(tmp_path / "p").project
    settings = load_settings(project.settings_file)
    rng, counts = random.Random(4), []
    with open_store(project, settings) as store:
        for size in (30, 60):
            rows = [Example(row(text(rng, 40), text(rng, 100))) for _ in range(size)]
            store.add([NewRow(each, line=n) for n, each in enumerate(rows, 1)], role="pool")
            found = check_project(store, project, settings)
            counts.append((found.kept, found.sampled))
    assert counts[0] == (30, None)
    assert counts[1][0] == 90 and counts[1][1] is not None and 5 <= counts[1][1] < 90
    page = tmp_path / "page.html"
    write_quality_page(page, found)
    for told in (*checks_text.lines(found, "rung data check", True),), page.read_text().splitlines():
        assert f"{counts[1][1]} rows" in " ".join(told)
