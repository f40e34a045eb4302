"""Release: refused forms and what is offered instead, validation scores, differences, `x` while one is made."""

from __future__ import annotations

import json
import re

import ladder
import pytest
from conftest_tui import flat, idle, on_stage, sees, settled, text_of

from rung.tui.job import JobEnded
from rung.tui.release.release_screen import making
from training.release.goldens import GOLDEN, GoldenPrompt, Goldens
from training.release.making import Loss, ReleaseOptions, demand
from training.release.releases import RELEASE
from workspace.artefact import write_artefact
from workspace.errors import Refusal


class Making:
    """A release being made, as `demand` sees it: whose run, and that nobody allows a loss."""

    ways = ReleaseOptions()

    class run:
        id = "R-001"


def loss(form, points):
    """A form that loses so many points on 300 rows."""
    figures = {"tuned": 0.857, "score": 0.857 - points, "low": points - 0.02, "high": points + 0.02}
    return Loss(form=form, metric="exact", n=300, loss=points, better=3, worse=9, limit=0.02, **figures)


def refusal(*losses):
    """The words with which the product refuses, as its command prints them."""
    with pytest.raises(Refusal) as refused:
        demand(Making(), list(losses))
    return f"{refused.value.message}\n-> {refused.value.hint}\n"


@pytest.fixture
def shipped(clinic):
    """A run that may go out."""
    ladder.ruled_on(clinic, ladder.ITEMS)
    return clinic


@pytest.mark.cold  # a fork might have ended before its job is looked at
async def test_enter_takes_the_form_that_did_not_lose_too_much(shipped, program):
    async with on_stage(program(shipped.root), 10) as (app, pilot, screen):
        words = refusal(loss("gguf q8_0", 0.0), loss("gguf q4_k_m", 0.029))
        screen.show_end(JobEnded("Release", ("release", "R-001", "--to", "gguf"), 1, "", words))
        await settled(pilot)
        assert all(figure in flat(text_of(app)) for figure in ("q4_k_m", "+2.9", "+0.9 to +4.9", "300 rows", "2.0"))
        assert screen.marked == "adapter"
        await pilot.press("j", "j")
        assert screen.marked == "gguf" and "gguf q8_0" in screen.next
        assert screen.command == "rung release R-001 --to gguf --gguf q8_0"
        await pilot.press("enter", "y")
        assert app.jobs["Release"].arguments == ("release", "R-001", "--to", "gguf", "--gguf", "q8_0")
        app.jobs["Release"].stop()
        await idle(pilot, screen)
    assert not list(shipped.releases.glob(f"*/{RELEASE}"))


def released(project, forms):
    """A release of these forms, as release.json tells it."""
    folder = project.releases / "L-001"
    folder.mkdir(parents=True)
    written = {"schema_version": 1, "created_at": "2026-11-25T16:00:19Z", "made_from": {}, "id": "L-001"}
    (folder / RELEASE).write_text(json.dumps({**written, "run": "R-001", "forms": forms, "files": {}}))
    return folder


def word_tokenizer(folder):
    """A tokenizer of whole words, saved as the trainer saves one."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["E10", "E11", "eye", "both", "[red]left[/]", "[UNK]"]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))


async def test_what_differs_is_shown_token_by_token_with_the_scores(shipped, program):
    found = {"gguf q8_0": loss("gguf q8_0", 0.0), "gguf q4_k_m": loss("gguf q4_k_m", 0.01)}
    facts = {"validation": {name: each.model_dump(mode="json") for name, each in found.items()}}
    against = "; ".join(f"{name.split()[1]}: {each.words}" for name, each in found.items())
    form = {"form": "gguf", "folder": "gguf", "bytes": 8_700_000, "against": against, "facts": facts}
    folder = released(shipped, [form])
    word_tokenizer(folder / "merged")
    asked = [[{"role": "user", "content": f"q {n}"}] for n in range(2)]
    items = [GoldenPrompt(turns=each, prompt="", prompt_ids=[], ids=[], text="E10 eye both") for each in asked]
    answers = {"gguf q8_0": ["E10 eye both"] * 2, "gguf q4_k_m": ["E10 eye both", "E10 eye [red]left[/]"]}
    goldens = Goldens(max_tokens=48, tokenizer="merged", starts=None, ends=[], items=items, forms=answers)
    write_artefact(folder / GOLDEN, goldens)
    async with on_stage(program(shipped.root), 10, size=(100, 40)) as (app, pilot, _):
        await sees(pilot, "✓ gguf 8.7 MB")
        line = next(line for line in text_of(app).split("\n") if "✓ gguf" in line)
        assert line.rstrip().endswith("84.7%")
        await pilot.press("j", "j", "v")
        await sees(pilot, "gguf q8_0: 2 of 2")
        drawn = flat(text_of(app))
        assert re.search(r"q4_k_m: 1 of 2\b", drawn) and re.search(r"\b2 q 1\b", drawn)
        assert re.search(r"\b2: .*\[E10\] \[eye\] \[both\].*\[E10\] \[eye\] \[\[red\]left\[/\]\]", drawn)
        await pilot.press("escape", "k", "v")
        await pilot.pause()
        assert app.screen.stage == "Release"


def test_how_far_a_release_is_stands_in_words_and_as_a_bar():
    def told(*heard):
        form, (words, bar) = making("gguf", heard, 58)
        return form, words.text, bar.text.partition("  ")

    assert told()[0] == "merged" and told()[2][0] == "─" * 42 and told()[2][2].startswith("0 of 2")
    heard = ["merged: making", "merged: 541.6 MB  16 of 16 equal"]
    half = "━" * 21 + "─" * 21
    assert told(*heard)[0] == "gguf" and told(*heard)[2][0] == half and told(*heard)[2][2].startswith("1 of 2")
    assert told(*heard, "gguf: converting")[1] == "gguf: converting"
    form, words, bar = told(*heard, "gguf q8_0  42 of 84  50%  about 9 s left")
    assert (form, bar) == ("gguf", (half, "  ", "42 of 84")) and "50%" not in words and "9 s" in words
