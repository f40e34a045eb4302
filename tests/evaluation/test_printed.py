"""A report as it is drawn and printed by a real browser: two pages, no table torn apart, no label over another."""

import re
import subprocess
from pathlib import Path

import pytest
from scripted import Scripted

from evaluation.arms.registry import ARMS, arms_named
from evaluation.baseline import Aim, run_baseline
from evaluation.bench import open_bench
from evaluation.tuned import run_evaluation
from rung.report.evaluation import _margins, write_page

CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.skipif(not CHROMIUM.is_file(), reason="Debian's chromium is not installed")
def test_a_verdict_with_every_arm_takes_two_pages(project, settings, model, kit, tmp_path):
    kit.freeze_by_hand(
        project,
        "v002",
        test=kit.rows_of(kit.places, " today"),
        validation=kit.rows_of(kit.places[:4], " now"),
        train=kit.rows_of(kit.places, " this week"),
    )
    (project.root / "about-data.md").write_text("- The questions were written by a teller and may be too easy.\n" * 6)
    names = [name for name in ARMS if name not in ("tuned", "tuned_rag", "bigger_model")]
    run_baseline(open_bench(project, settings, model), arms_named(names), Aim(goal=0.9))
    folder = run_evaluation(open_bench(project, settings, Scripted(lambda ask: "pin", name="t")), "R-001", "Topic.")
    printed = tmp_path / "report.pdf"
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    command += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", write_page(project, folder).resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == 2


@pytest.mark.parametrize(
    ("margin", "end", "words"),
    [
        (0.05, 0.1, ["margin 5"]),
        (0.05, 0.25, ["margin 5", "10"]),
        (0.05, 0.5, ["margin 5", "10"]),
        (0.05, 1.0, ["margin 5, 10", ""]),
        (0.1, 1.0, ["margin 10"]),
    ],
)
def test_one_label_names_both_where_two_would_touch(margin, end, words):
    assert [mark.words for mark in _margins(margin, end)] == words
