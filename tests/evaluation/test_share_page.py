"""A report as it is read: its first screen, on its own page and in the file of `rung share`; printed on two pages."""

import re
import subprocess
from pathlib import Path

import pytest
from bank import evaluated, ladder

from evaluation.arms.registry import ARMS
from rung.report.evaluation import values_of, write_page
from rung.report.quality import Review
from rung.report.share_page import write_share_page


def share(project):
    path = project.root / "share.html"
    return write_share_page(path, project, None, Review({}, {})), path.read_text()


def test_a_verdict_comes_first_with_task_model_date_rows_price_and_three_risks(project, settings, baseline):
    shared, page = share(project)
    assert (shared.measurement, shared.verdict, shared.advice) == (baseline[0].name, None, None)
    assert len(shared.missing) == 3
    assert "scripted-1" in page and "Every arm" in page
    (project.root / "about-data.md").write_text("Rows came from ada@bank.example.\nCodes are public.\n")
    verdict = evaluated(project, settings)[0]
    (project.root / "answers.toml").write_text('task = "classification"\nprompting = "insufficient"\n')
    shared, page = share(project)
    assert (shared.measurement, shared.verdict) == (verdict.name, "ship")
    values = values_of(project, verdict)
    fold = values["fold"]
    assert dict(fold.facts).keys() >= {"task", "model", "scores", "measured", "price"}
    assert len(fold.examples) == 3 and fold.columns == ["prompt", "tuned"]
    assert all(set(row) >= {"question", "expected", "outputs"} for row in fold.examples)
    assert len(fold.risks) == 3 and all(text[0].isupper() and text.endswith(".") for text in fold.risks)
    first = page[: page.index('id="measurement"')]
    assert "SHIP" in first and dict(fold.facts)["task"] in first
    assert "margin 5, 10" in page, "one label names both where two would touch"
    assert all(row["question"] in first for row in fold.examples)
    assert "ada@bank" not in page and "ada@bank" not in write_page(project, verdict).read_text()
    others = [text for _, text in values["other_threats"]]
    assert sorted([*others, *fold.risks]) == sorted(text for _, text in values["threats"]), "each once"
    assert "<script" not in page and not re.search(r"src=|url\(|<link", page), "nothing is loaded"


def test_examples_show_a_gain_and_a_loss_where_there_are_some(project, settings, kit, baseline):
    def wrong_in_town(ask):
        right = kit.perfect(ask)
        return right if "town" not in ask.turns[-1]["content"] else "pin" if right == "card" else "card"

    folder, _ = evaluated(project, settings, wrong_in_town, "R-002")
    examples = values_of(project, folder)["fold"].examples
    gains = [row["outputs"][-1][1] - row["outputs"][0][1] for row in examples]
    assert gains[0] > 0 > gains[1]


CHROMIUM = Path("/usr/bin/chromium")


@pytest.mark.skipif(not CHROMIUM.is_file(), reason="Debian's chromium is not installed")
def test_a_verdict_with_every_arm_takes_two_pages(project, settings, model, kit, tmp_path):
    kit.freeze_test(project, "v002", kit.rows_of(kit.PLACES, " today"))
    (project.root / "about-data.md").write_text("- The questions were written by a teller and may be too easy.\n" * 6)
    names = [name for name in ARMS if name not in ("tuned", "tuned_rag", "bigger_model")]
    ladder(project, settings, model, *names, goal=0.9)
    folder, _ = evaluated(project, settings, lambda ask: "pin")
    printed = tmp_path / "report.pdf"
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    command += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", write_page(project, folder).resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == 2
