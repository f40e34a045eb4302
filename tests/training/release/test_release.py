"""Releases: who may release what, that each form is equal to the run, and that a changed file is found elsewhere."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import pytest
from bank import changed
from hosted_replies import completion
from released import judged, let
from vouched import edit, in_log, rewrite

from curation.example import Example, chat_row
from curation.split.manifest import load_split
from evaluation.arms.arm_material import ArmMaterial, PromptVersion
from evaluation.arms.prompted import static
from evaluation.looks import note_look
from evaluation.measurement_report import Report, read_report
from evaluation.outcomes import ServedRun
from evaluation.verdict.rule import Acceptance, Verdict
from rung.doctor import examine
from rung.status.facts import read_facts
from rung.status.stages import status_of
from training.release.released_prompt import ReleasedPrompt, make_prompt, parts_of
from training.release.releases import current_release, verify
from training.release.releasing import release_untuned, wanted_forms
from training.remote.adoption import adopt_folder
from training.runs import read_run, write_run
from workspace.artefact import now, read_artefact
from workspace.errors import InputError, Refusal, RungError
from workspace.files import sha256_file, write_text
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings, load_settings


def test_forms_bring_what_they_are_made_from() -> None:
    assert wanted_forms("ollama,adapter") == ["adapter", "merged", "gguf", "ollama"]
    with pytest.raises(InputError, match='"merged"'):
        wanted_forms("mergd")


def test_without_a_verdict_nothing_is_released_and_keep_the_prompt_releases_the_prompt(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused run is told at the level of its verdict: two runs are planned for the test set."""
    text = project.settings_file.read_text()
    project.settings_file.write_text(text.replace("[evaluation]\n", "[evaluation]\nruns = 2\n"))
    with pytest.raises(Refusal) as refused:
        let(project, "adapter")
    assert refused.value.hint.split()[1:] == ["evaluate", "R-001"]
    judged(project, right=0, otherwise="none")
    with pytest.raises(Refusal) as refused:
        let(project, "adapter", by="sam", reason="I want to")
    assert refused.value.hint.split()[1:] == ["release", "--to", "prompt"] and "97.5%" in refused.value.message
    assert "97.5%" in status_of(read_facts(project)).stage("Verdict").reason
    assert verify(release_untuned(project, load_settings(project.settings_file), by="sam")).faults == []
    assert capsys.readouterr().out == "", "only commands print"


def test_a_judgement_needs_a_name_and_a_reason_and_an_override_of_the_loss_signs_none(project: Project) -> None:
    evaluation = judged(project, right=9)
    with pytest.raises(Refusal):
        let(project, "adapter")
    card = (let(project, "adapter", by="priya", reason="injuries") / "README.md").read_text()
    assert "priya" in card and "injuries" in card
    words = {"by": "priya", "reason": "runs on the phone", "may_lose": True}
    with pytest.raises(Refusal, match="loss") as refused:
        let(project, "adapter", **words)
    assert "--accept-judgement" in refused.value.hint
    rewrite(evaluation / "verdict.json", Verdict, accepted=Acceptance(by="mo", reason="injuries", at=now()))
    card = (let(project, "adapter", **words) / "README.md").read_text()
    assert "mo: “injuries”" in card and "priya: “" not in card


def test_a_run_that_a_server_was_asked_for_goes_out_and_its_card_says_so(project: Project, settings: Settings) -> None:
    """The arms and the run were asked of a server by names; the release is made of the run's own weights."""
    there = {"provider": "openai", "base": "tiny", "base_url": "http://gpu.example.invalid/v1"}
    settings = changed(settings, "model", **there)
    rewrite(project.evaluations / "E-001" / "report.json", Report, model="tiny (gpu.example.invalid)")
    judged(project, right=30, settings=settings, served=ServedRun("clinic", "gpu.example.invalid", "tiny"))
    folder = let(project, "merged", settings)
    assert verify(folder).faults == []
    card = (folder / "README.md").read_text()
    assert "clinic" in card and "gpu.example.invalid" in card


ACCEPTED = {"by": "x", "reason": "y", "at": "2026-11-25T12:00:00Z"}


@pytest.mark.parametrize(
    ("right", "otherwise", "changes"),
    [
        (0, "none", [{"verdict": "ship"}, {"verdict": "judgement", "accepted": ACCEPTED}]),
        (9, "E10 eye both", [{"verdict": "ship"}, {"low": 0.06}]),
        (30, "", [{"margin": 0.0}, {"difference": 0.99}, {"baseline_report": "E-002"}]),
    ],
)
def test_a_word_changed_in_the_verdicts_file_and_in_the_log_releases_nothing(
    project: Project, right: int, otherwise: str, changes: list[dict[str, object]]
) -> None:
    path = judged(project, right, otherwise) / "verdict.json"
    told = dict(read_artefact(path, Verdict))
    for values in changes:
        rewrite(path, Verdict, **values)
        with pytest.raises(Refusal) as refused:
            let(project, "adapter", by="priya", reason="said so")
        assert "evaluate" in refused.value.hint and current_release(project) is None, values
        rewrite(path, Verdict, **told)
    if right == 30:
        assert let(project, "adapter").name == "L-001"


def test_a_database_from_before_the_verdict_releases_nothing_and_the_way_that_is_named_leads_on(
    project: Project, tmp_path: Path
) -> None:
    with sqlite3.connect(project.database_file) as here, sqlite3.connect(tmp_path / "backup.db") as kept:
        here.backup(kept)
    folder = judged(project, right=30)
    for path in project.root.glob("rung.db*"):
        path.unlink()
    shutil.copyfile(tmp_path / "backup.db", project.database_file)
    with pytest.raises(Refusal) as refused:
        let(project, "adapter")
    assert f"mv evaluations/{folder.name} " in refused.value.hint and "rung evaluate R-001" in refused.value.hint
    (check,) = (check for check in examine(project.root) if check.name == "log")
    assert (check.ok, check.hint) == (False, refused.value.hint)
    shutil.move(folder, tmp_path / "elsewhere")
    judged(project, right=30)
    assert let(project, "adapter").name == "L-001"


def test_a_run_that_the_database_no_longer_knows_is_adopted(
    project: Project, settings: Settings, built: Path, tmp_path: Path
) -> None:
    shutil.copyfile(built / "rung.db", project.database_file)
    judged(project, right=30)
    with pytest.raises(Refusal) as refused:
        let(project, "adapter")
    assert "mv runs/R-001 " in refused.value.hint and "rung runs adopt" in refused.value.hint
    shutil.move(project.runs / "R-001", tmp_path / "elsewhere")
    assert adopt_folder(project, settings, tmp_path / "elsewhere" / "adapter").adopted
    judged(project, right=30)
    assert let(project, "adapter").name == "L-001"


def test_a_prompt_beside_a_run_is_that_of_a_baseline_that_the_log_names(shipping: Project) -> None:
    other = Path(shutil.copytree(shipping.evaluations / "E-001", shipping.evaluations / "E-009"))
    edit(other / "report.json", id="E-009")
    with pytest.raises(Refusal, match="E-009"):
        let(shipping, "adapter,prompt")
    assert current_release(shipping) is None


def test_another_metric_than_the_verdicts_scores_no_form(shipping: Project, settings: Settings) -> None:
    other = changed(settings, metric="char_f")
    with pytest.raises(Refusal, match=r"exact_match.*char_f"):
        let(shipping, "merged", other)
    with writer_lock(shipping.releases / ".lock", "Another"), pytest.raises(Refusal, match="already running"):
        let(shipping, "adapter", other)
    assert let(shipping, "adapter", other).name == "L-001"


def test_the_hub_reads_the_cards_of_model_and_dataset(shipped: Path) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    card = ModelCard.load(shipped / "README.md")
    assert card.data.library_name == "peft"
    assert "| prompt |" in card.text and "dana 50" in card.text
    heads = ("Intended use", "Verdict", "Why a tuned model", "Forgetting", "Training", "Data", "Costs", "Forms")
    assert all(f"\n## {head}\n" in card.text for head in heads)
    data = DatasetCard.load(shipped.parents[1] / "datasets" / "v001" / "README.md").data
    assert [file["split"] for file in data.configs[0]["data_files"]] == ["train", "validation", "test"]
    assert data.license == "unknown"


def test_a_changed_release_is_found_on_another_machine(shipped: Path, tmp_path: Path) -> None:
    """Copied to folders without a project, and changed there."""
    release = verify(shipped).release
    facts = {form.form: form for form in release.forms}["merged"].facts["reloaded"]
    assert facts["equal"] == facts["prompts"] == 4 and facts["top1"] == 1.0 and facts["largest_logit_difference"] < 1e-3
    assert (
        sha256_file(shipped / "adapter" / "adapter_model.safetensors")
        == read_run(shipped.parents[1] / "runs" / "R-001").adapter_sha256
    )
    chained = Path("chain") / "runs" / "R-001" / "run.json"
    weights = Path("adapter") / "adapter_model.safetensors"
    changes = {
        "byte": lambda at: (at / weights).write_bytes((shipped / weights).read_bytes()[:-1] + b"x"),
        "missing": lambda at: (at / weights).unlink(),
        "added": lambda at: (at / "adapter" / "extra.txt").write_text("x"),
        "chain": lambda at: (at / chained).write_text((at / chained).read_text().replace('"lora"', '"full"')),
    }
    for name, change in changes.items():
        folder = Path(shutil.copytree(shipped, tmp_path / name))
        assert verify(folder).faults == [], name
        change(folder)
        assert verify(folder).faults, name
    said = in_process.rung("release", "verify", "byte", cwd=tmp_path, code=1).stdout
    assert "adapter/adapter_model.safetensors" in said
    in_process.rung("release", "verify", shipped, cwd=tmp_path, code=0)


def test_a_chain_that_is_not_what_the_release_was_made_from_damaged_or_led_elsewhere_is_found(
    project: Project, settings: Settings
) -> None:
    """Whoever changes a copy in chain/ and the list of files with it is found by the chain alone."""
    folder = release_untuned(project, settings, by="sam")
    record, whole = folder / "release.json", (folder / "release.json").read_bytes()
    told = json.loads(whole)
    links = sorted(told["made_from"])
    assert len(links) > 1 and verify(folder).faults == []
    for name in links:
        path = folder / "chain" / name
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        files = {**told["files"], f"chain/{name}": sha256_file(path)}
        record.write_text(json.dumps({**told, "files": files}))
        checked = verify(folder)
        assert checked.faults and all(f"chain/{name}" in fault for fault in checked.faults), checked
        path.write_bytes(before)
    os.mkfifo(folder / "prompt" / "pipe")
    record.write_text(json.dumps({**told, "made_from": {"../../../rung.toml": sha256_file(project.settings_file)}}))
    faults = [fault.split()[0] for fault in verify(folder).faults]
    assert {"chain/../../../rung.toml", "prompt/pipe"} <= set(faults)
    for data in (b'{"made_from": {', b"\xff\xfe", b"[]", b'{"made_from": [1]}', b"[" * 100_000, b""):
        record.write_bytes(whole)
        (folder / "chain" / "evaluations" / "E-001" / "report.json").write_bytes(data)
        code, *said = in_process.rung("release", "verify", folder)
        assert code == 1 and "chain/evaluations/E-001/report.json" in "".join(said), data
        record.write_bytes(data)
        code, *said = in_process.rung("release", "verify", folder)
        assert code == 2 and "release.json" in "".join(said) and "Traceback" not in "".join(said), data


def test_a_merge_that_answers_otherwise_is_not_released(project: Project) -> None:
    """An adapter on the head of a model whose head is its embeddings too: merged, it changes both."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = project.runs / "R-001"
    run = read_run(folder)
    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(run.base)
    assert base.config.tie_word_embeddings
    model = get_peft_model(base, LoraConfig(target_modules=["lm_head"], r=4, init_lora_weights=False))
    for name, weights in model.named_parameters():
        if "lora_" in name:
            weights.data *= 3
    model.save_pretrained(str(folder / "adapter"))
    write_run(folder, run, files={name: sha256_file(folder / "adapter" / name) for name in run.files})
    judged(project, right=30)
    with pytest.raises(Refusal, match="merged"):
        let(project, "merged")
    assert current_release(project) is None and not list(project.releases.glob("L-*"))
    assert let(project, "adapter").is_dir(), "the adapter is the run, byte for byte"


def owned(run: Path) -> None:
    """Other weights, whose hashes run.json owns to."""
    weights = run / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    write_run(run, read_run(run), files=read_run(run).files | {weights.name: sha256_file(weights)})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda run: (run / "adapter" / "adapter_model.safetensors").write_text("x"), r"adapter_model\.safetensors"),
        (lambda run: (run / "adapter" / "chat_template.jinja.bak").write_text("x"), r"chat_template\.jinja\.bak"),
        (lambda run: (run / "adapter" / "notes").mkdir(), "notes"),
        (lambda run: (run / "adapter" / "link").symlink_to(run.parents[1] / "rung.toml"), "link"),
        (owned, r"runs/R-001/run\.json"),
        (lambda run: write_run(run, read_run(run), base="another"), r"runs/R-001/run\.json"),
        (lambda run: write_run(run, read_run(run), system_prompt="Another line."), r"runs/R-001/run\.json"),
    ],
)
def test_a_run_that_is_not_the_measured_one_is_neither_released_nor_read(
    shipping: Project, change: Callable[[Path], object], told: str
) -> None:
    """Weights that were changed or added to, and a record that says otherwise what the run is."""
    change(shipping.runs / "R-001")
    with pytest.raises(Refusal, match=told) as refused:
        let(shipping, "adapter")
    assert refused.value.hint and not list(shipping.releases.glob("*L-*"))


def test_another_base_is_refused_and_leaves_nothing(project: Project, tiny: Path) -> None:
    folder = project.runs / "R-001"
    write_run(folder, read_run(folder), base_fingerprint="0" * 64)
    judged(project, right=30)
    with pytest.raises(Refusal, match="R-001"):
        let(project, "merged")
    assert not [path for path in project.releases.iterdir() if path.is_dir()]


def test_awq_is_refused_plainly_where_no_gpu_is(project: Project) -> None:
    from torch import cuda

    if cuda.is_available():
        pytest.skip("here is a GPU")
    with pytest.raises(Refusal, match="GPU"):
        let(project, "awq")
    assert not project.releases.exists()


def test_a_released_prompt_runs_as_a_function(project: Project, settings: Settings, loopback) -> None:  # type: ignore[no-untyped-def]
    """In a process of its own, against a real endpoint."""
    project.prompts.mkdir()
    folder = release_untuned(project, settings)
    loopback.say((200, completion("E10 eye both")))
    code = f"import answer; print(answer.answer('PDR bilat', '{loopback.url}/v1', 'm')); print(answer.messages('x'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder / "prompt", capture_output=True, text=True)
    assert done.stdout.splitlines() == ["E10 eye both", "[{'role': 'user', 'content': 'x'}]"], done.stderr
    assert loopback.requests[0][3]["temperature"] == 0
    request = json.loads((folder / "prompt" / "request.json").read_text())
    assert request["messages"][-1]["content"] == "{{question}}"


@pytest.mark.parametrize(
    "spoilt",
    [
        "DELETE FROM decisions WHERE id = 20",
        "DELETE FROM events WHERE kind = 'test_planned'",
        "DELETE FROM events WHERE id = (SELECT MAX(id) FROM events)",
        "UPDATE events SET ref = 'R-009' WHERE kind = 'cleared'",
        ("runs/R-001/clearance.json", {"plan": "P-099"}),
        ("evaluations/E-001/report.json", {"arms": "prompt"}),
        ("evaluations/E-002/verdict.json", {"accepted": {"by": "mo", "reason": "fine", "at": "2026-11-25T12:00:00Z"}}),
    ],
)
def test_one_changed_file_releases_nothing(shipping: Project, settings: Settings, spoilt: Any) -> None:
    """A decision, the plan of the test set, a look at it, who cleared the run; receipt, arms, a person's signature."""
    note_look(shipping, settings, read_report(shipping, "E-002")[1])
    if isinstance(spoilt, str):
        in_log(shipping, spoilt)
    else:
        edit(shipping.root / spoilt[0], **spoilt[1])
    with pytest.raises(Refusal) as refused:
        let(shipping, "adapter", by="priya", reason="said so")
    assert refused.value.hint and current_release(shipping) is None
    if "report.json" in spoilt[0]:
        with pytest.raises(Refusal):
            release_untuned(shipping, settings, by="sam")


TURNS = ({"role": "user", "content": "which one?"},)
PROMPT = PromptVersion("base.md", "Answer.")


def material(rows):
    examples = tuple(Example(chat_row(f"question {n}", f"C{n % 3}")) for n in rows)
    return ArmMaterial(base=PROMPT, prompts=(PROMPT,), examples=examples, few_shot=4)


def test_a_released_prompt_shows_the_measured_examples_in_their_order_and_a_row_that_is_gone_is_told():
    variant = static(material(range(9)), 4, PROMPT)
    settings = json.loads(json.dumps(dict(variant.settings)))
    parts = parts_of("few_shot", settings, material(range(30)), 16)
    assert ReleasedPrompt(parts).messages(list(TURNS)) == [dict(turn) for turn in variant.render(TURNS)]
    with pytest.raises(RungError, match="few_shot"):
        parts_of("few_shot", settings, material(range(100, 103)), 16)


def test_an_example_that_a_freeze_moved_to_validation_goes_out_too(ready):
    """A baseline on the frozen test set; then one of its examples lies in validation of the next version."""
    settings = load_settings(ready.settings_file)
    validation, train = (load_split(ready.datasets / "v001", split) for split in ("validation", "train"))
    measured = ArmMaterial(base=PROMPT, prompts=(), examples=(*train[:5], validation[0]), few_shot=6)
    arm = json.loads(json.dumps(dict(static(measured, 6, PROMPT).settings)))
    assert len(arm["examples"]) == 6
    report = read_artefact(ready.evaluations / "E-001" / "report.json", Report)
    results = [a.model_copy(update={"arm": "few_shot", "settings": arm}) for a in report.arms if a.arm == report.chosen]
    report = report.model_copy(update={"arms": results, "chosen": "few_shot"})
    write_text(ready.prompts / PROMPT.name, PROMPT.text)
    form = make_prompt(ready, settings, report, ready.root / "form")
    assert form.facts["examples"] == 6
