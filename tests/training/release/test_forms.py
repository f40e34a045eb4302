"""Forms of a release: the loss of a changed one is paired, and its files for Ollama, vLLM and TGI are right."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bank import changed
from scripted import Scripted

from chat.protocols import Ask
from curation.split.manifest import load_split
from curation.store import open_store
from evaluation.measurement_report import read_outcomes
from evaluation.verdict.compare import compare
from training.plan.plans import read_plan
from training.release.gguf import context_of
from training.release.making import TUNED, Loss, Making, ReleaseOptions, Scoring, as_facts, demand
from training.release.releases import RELEASE, Release, ReleasedForm, take_place
from training.release.releasing import CARDS
from training.release.serving_files import (
    TRIALS,
    compare_tokens,
    make_ollama,
    make_tgi,
    make_vllm,
    modelfile,
    take_apart,
    vllm_rank,
)
from training.runs import find_run, read_run, write_run
from training.templates import templates
from workspace.artefact import write_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings


def knows(project: Project, right: int) -> Scripted:
    """A model that answers the first `right` validation rows as expected."""
    rows = load_split(project.datasets / "v001", "validation")
    known = {row.question: row.answer or "" for row in rows[:right]}

    def say(ask: Ask) -> str:
        return known.get(str(ask.turns[-1]["content"]), "none")

    return Scripted(say, name=f"knows {right}")


@pytest.fixture
def making(project: Project, settings: Settings, tmp_path: Path) -> Making:
    made = Making(project, settings, find_run(project, "R-001"), tmp_path / "work")
    made.outcomes[TUNED] = Scoring(made).measure(TUNED, knows(project, 4))
    return made


def test_the_loss_is_paired_a_gain_is_none_and_the_environment_softens_no_limit(
    project: Project, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNG_RELEASE__LOSS_LIMIT", "1")
    making = replace(making, settings=load_settings(project.settings_file))
    loss = Scoring(making).score("gguf q8_0", knows(project, 3))
    assert making.settings.release.loss_limit == 1 and loss.limit == 0.02 and loss.over
    assert (loss.n, loss.tuned, loss.score, loss.loss) == (4, 1.0, 0.75, 0.25) and (loss.better, loss.worse) == (0, 1)
    own = compare([1.0] * 4, [1.0, 1.0, 1.0, 0.0])
    assert (loss.low, loss.high) == (-own.high, -own.low)
    kept = read_outcomes(making.work / "validation" / "gguf-q8_0.jsonl")
    assert [o.score for o in kept] == [1, 1, 1, 0] and all(o.split == "validation" for o in kept)
    assert not list(making.work.glob(".*"))
    assert "+25.0 points" in loss.words and "4 rows" in loss.words
    making.outcomes[TUNED] = Scoring(making).measure(TUNED, knows(project, 2))
    gain = Scoring(making).score("gptq", knows(project, 3))
    assert not gain.over and gain.loss == -0.25
    assert Loss.model_validate(gain.model_dump(mode="json")) == gain


def test_rows_of_one_customer_are_not_independent(project: Project, making: Making, settings: Settings) -> None:
    alone = Scoring(making).score("gguf q8_0", knows(project, 2))
    grouped = changed(settings, "dataset", group_by="customer")
    together = Scoring(replace(making, settings=grouped)).score("gguf q8_0", knows(project, 2))
    own = compare([1.0] * 4, [1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "c"])
    assert together.loss == alone.loss == 0.5 and (together.low, together.high) == (-own.high, -own.low)
    assert (together.low, together.high) != (alone.low, alone.high)


def test_over_the_limit_is_refused_and_the_form_that_holds_is_named(project: Project, making: Making) -> None:
    scoring = Scoring(making)
    losses = [scoring.score("gguf q8_0", knows(project, 4)), scoring.score("gguf q4_k_m", knows(project, 3))]
    assert losses[0].loss == 0.0 and str(losses[0].loss) == "0.0" and "+0.0 points" in losses[0].short
    with pytest.raises(Refusal, match=r"q4_k_m.*\+25\.0 .*2\.0.* q8_0.*\+0\.0") as refused:
        demand(making, losses)
    assert refused.value.hint.split()[-2:] == ["--gguf", "q8_0"]


def test_a_named_person_may_let_it_through_on_the_card_and_in_the_log(
    project: Project, making: Making, settings: Settings
) -> None:
    signed = replace(making, ways=ReleaseOptions("priya", "phones", may_lose=True))
    (loss,) = demand(signed, [Scoring(signed).score("gptq", knows(project, 2))])
    assert loss.allowed is not None and loss.allowed.by == "priya" and loss.over
    form = ReleasedForm(form="gptq", folder="gptq", bytes=1, facts={"validation": as_facts([loss])})
    release = Release(id="L-001", forms=[form], files={})
    text = templates(CARDS).get_template("forms.md.j2").render(release=release, losses=list(as_facts([loss]).values()))
    assert 'priya: "phones"' in text and "| gptq | 100.0% | 50.0% | 50.0 (" in text
    write_artefact(project.releases / ".L-001" / RELEASE, release)
    take_place(project, settings, project.releases / ".L-001", release)
    with open_store(project, settings) as store:
        (event,) = store.events(kind="override", ref="L-001")
    wanted = {"gate": "loss", "form": "gptq", "reason": "phones"}
    assert event.actor == "priya" and wanted.items() <= event.detail.items()


LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
ROLES_TURNED = (
    "{% for m in messages %}{% if loop.first %}FIRST {% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny))


@pytest.mark.parametrize("template", [None, LLAMA3, ZEPHYR], ids=["own", "llama3", "zephyr"])
@pytest.mark.parametrize("system", ["", "House line."])
def test_a_modelfile_gives_the_tokens_of_training(tokenizer: Any, template: str | None, system: str) -> None:
    tokenizer.chat_template = template or tokenizer.chat_template
    pieces = take_apart(tokenizer)
    text = modelfile(pieces, "../gguf/model-q8_0.gguf", system or pieces.default, 256)
    compare_tokens(pieces, system or pieces.default, tokenizer, TRIALS)
    lines = text.splitlines()
    assert lines[0].split() == ["FROM", "../gguf/model-q8_0.gguf"]
    assert [line.split()[2] for line in lines if line.startswith("PARAMETER num_ctx ")] == ["256"]
    assert (system or pieces.default) in text
    assert template or '"<|im_end|>"' in {line.split()[-1] for line in lines if line.startswith("PARAMETER stop ")}
    literals = re.findall(r'\{\{ ("(?:[^"\\]|\\.)*") \}\}', text.split('TEMPLATE """')[1].split('"""')[0])
    around = [part for pair in pieces.around.values() for part in pair]
    assert list(map(json.loads, literals)) == [part for part in (pieces.start, *around, pieces.opens) if part]


def test_pieces_that_are_not_the_template_and_a_template_that_does_more_are_refused(tokenizer: Any) -> None:
    pieces = take_apart(tokenizer)
    before, after = pieces.around["user"]
    other = replace(pieces, around={**pieces.around, "user": (before.replace("\n", " "), after)})
    with pytest.raises(Refusal):
        compare_tokens(other, "House line.", tokenizer, TRIALS)
    tokenizer.chat_template = ROLES_TURNED
    with pytest.raises(Refusal):
        compare_tokens(take_apart(tokenizer), "", tokenizer, TRIALS)


def test_ollama_goes_out_over_the_smallest_gguf(
    project: Project, settings: Settings, tiny: Path, golden_folder: Path, tmp_path: Path
) -> None:
    """The run's merged model and its GGUF files stand for themselves: only their names and tokenizer are read."""
    work = tmp_path / "work"
    shutil.copytree(tiny, work / "merged")
    shutil.copyfile(golden_folder / "golden.json", work / "golden.json")
    (work / "gguf").mkdir()
    (work / "gguf" / "model-q8_0.gguf").write_bytes(b"larger")
    (work / "gguf" / "model-q4_k_m.gguf").write_bytes(b"less")
    form = make_ollama(Making(project, settings, find_run(project, "R-001"), work), work / "ollama")
    assert " 5 " in form.facts["template"] and form.facts["gguf"] == "model-q4_k_m.gguf"
    assert (work / "ollama" / "Modelfile").read_text().startswith("FROM ../gguf/model-q4_k_m.gguf\n")


@pytest.mark.parametrize(
    ("method", "has_adapter", "files", "told"),
    [("lora", True, 2, ""), ("lora", False, 1, "--to adapter"), ("dora", True, 1, "dora")],
)
def test_an_adapter_is_served_on_its_base_where_it_is_there_and_servers_can_load_it(
    project: Project, settings: Settings, tmp_path: Path, method: str, has_adapter: bool, files: int, told: str
) -> None:
    run = write_run(project.runs / "R-001", read_run(project.runs / "R-001"), method=method)
    making = Making(project, settings, run, tmp_path / "work")
    if has_adapter:
        (making.work / "adapter").mkdir(parents=True)
    for make, name in ((make_vllm, "vllm"), (make_tgi, "tgi")):
        form = make(making, making.work / name)
        assert told in form.facts.get("adapter", "") and bool(form.facts.get("adapter")) == bool(told)
        assert len(list((making.work / name).glob("serve*.sh"))) == files


def test_a_script_finds_its_paths_and_base_from_any_folder(shipped: Path, tmp_path: Path) -> None:
    """`vllm` and TGI's launcher stand for themselves: they look for the folders that they are given."""
    (tmp_path / "my models" / "base").mkdir(parents=True)
    for name in ("vllm", "text-generation-launcher"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(
            '#!/bin/sh\nfor w; do case "$w" in */*) cd "${w#rung=}" && pwd || exit 9; cd "$OLDPWD"; esac; done\n'
        )
        tool.chmod(0o755)
    own = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    for script in sorted(shipped.glob("*/serve*.sh")):
        done = subprocess.run(
            [script], cwd=tmp_path, env={**own, "BASE": "my models/base"}, capture_output=True, text=True
        )
        whole = [shipped / "merged"]
        assert done.returncode == 0, done.stderr
        assert [Path(line) for line in done.stdout.split("\n") if line] == (
            [tmp_path / "my models" / "base", shipped / "adapter"] if "lora" in script.name else whole
        )
        if "lora" in script.name:
            done = subprocess.run([script], cwd=tmp_path, env=own, capture_output=True, text=True)
            assert done.returncode and "BASE" in done.stderr


@pytest.mark.parametrize(
    ("rank", "told"), [(1, 8), (8, 8), (9, 16), (24, 32), (48, 64), (257, 320), (512, 512), (513, None)]
)
def test_vllm_is_told_a_rank_that_it_takes(rank: int, told: int | None) -> None:
    assert vllm_rank(rank) == told


def test_the_context_is_the_models_or_what_the_rows_need(project: Project, settings: Settings, tiny: Path) -> None:
    making = Making(project, settings, find_run(project, "R-001"), project.root / "work")
    shutil.copytree(tiny, making.work / "merged")
    trained = read_plan(project.runs / "R-001" / "plan.toml").recipe.max_length
    config = making.work / "merged" / "config.json"
    rest = {name: told for name, told in json.loads(config.read_text()).items() if name != "max_position_embeddings"}

    def context(positions: int | None, **values: int) -> int:
        named = {"max_position_embeddings": positions} if positions else {}
        config.write_text(json.dumps({**rest, **named}))
        return context_of(replace(making, settings=changed(settings, "model", **values)))

    assert trained < 256 and context(256) == 256 and context(131_072) == context(None) == 4096
    assert 256 > context(32) >= max(trained, 48 + 32)
    assert 9000 < context(131_072, max_tokens=9000) < 9100
