"""Every method and every objective, by an ordinary plan through the gates and the child process, on a tiny model.

And the pieces of such a run: what it costs, which checkpoint is the best, when it ends and why it could not.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import taught
from later import reporting, torch
from lives import losses, wait_until
from walked import recipe_of

from curation.example import Example, chat_row
from evaluation.measurement_report import read_report
from evaluation.metrics.item_metrics import item_metric
from training.plan.plans import read_plan
from training.run.base_model import BF16, choose_precision, load_base, load_tokenizer
from training.run.building import build
from training.run.checkpoints import mark_complete, newest_checkpoint
from training.run.failures import Diverged, sentence
from training.run.inputs import answers
from training.run.packing import check_apart
from training.run.session import line_to_beat
from training.run.tokens import IGNORED
from training.run.validation_answers import ValidationAnswers
from training.runs import curve, is_alive, read_run
from workspace.artefact import revised
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings


def change(folder, tiny):
    """How far the saved weights, loaded here for the first time, move the base's logits (or a fresh score)."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, set_seed

    run = read_run(folder)
    scores = run.objective == "reward"
    kind, more = (AutoModelForSequenceClassification, {"num_labels": 1}) if scores else (AutoModelForCausalLM, {})
    saved = str(folder.parent / run.adapter)
    set_seed(0)
    base = kind.from_pretrained(str(tiny), dtype="float32", pad_token_id=2, **more).eval()
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        before = base(ids).logits
        whole = run.method == "full"
        tuned = kind.from_pretrained(saved, dtype="float32") if whole else PeftModel.from_pretrained(base, saved)
        after = tuned.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    return float((after[:, -before.size(1) :] - before).abs().max())


METHODS = ["full", "dora", "qdora", "rslora", "adalora", "ia3", "prefix", "prompt"]
PAIRS = [("dpo", method) for method in ("lora", "full", "qlora", "prefix", "dora")]
SAMPLED = (*taught.SAMPLED, "--set", "choose_by=metric")
LONG = ("--set", "epochs=5", "--set", "learning_rate=1e-2")
"""20 steps: what AdaLoRA needs at least."""


@pytest.mark.parametrize("method", ["qlora", *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS)])
def test_a_method_trains_and_changes_the_model(finished, tiny, method):
    assert change(finished("--method", method, *LONG), tiny) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "method"), [*((name, "lora") for name in ("reward", "grpo", "rloo")), *PAIRS])
def test_an_objective_trains_and_changes_the_model(finished, ready: Project, settings, tiny, objective, method):
    taught.teach(ready, settings)
    more = [*SAMPLED, "--set", "epochs=0.3"] if objective in ("grpo", "rloo") else []
    folder = finished("--method", method, "--objective", objective, "--set", "learning_rate=1e-2", *more)
    assert change(folder, tiny) > 1e-3
    steps = [line for line in curve(folder) if line["kind"] == "step"]
    assert {"dpo": "accuracy", "reward": "accuracy"}.get(objective, "reward") in steps[-1]
    if objective in ("dpo", "reward") and method == "lora":
        assert steps[-1]["loss"] < steps[0]["loss"]


@pytest.mark.slow
def test_packed_rows_train_by_an_ordinary_plan(finished, tiny):
    assert change(finished("--packing"), tiny) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--objective", "dpo", "--set", "epochs=4"),
        ("--method", "adalora", "--set", "epochs=5"),
        ("--objective", "grpo", *SAMPLED, "--set", "epochs=0.5"),
    ],
)
def test_stopped_and_resumed_a_run_ends_as_an_unbroken_one(rung, ready: Project, settings: Settings, words, tmp_path):
    taught.teach(ready, settings, edits=8)
    plan = json.loads(rung("plan", *words, "--set", "learning_rate=1e-3", "--json").stdout)
    other = Project(tmp_path / "other")
    shutil.copytree(ready.root, other.root)
    assert rung("train", plan["id"], timeout=600).returncode == 0
    whole, folder = ready.runs / "R-001", other.runs / "R-001"
    assert rung("train", plan["id"], "--detach", at=other.root).returncode == 0
    wait_until(lambda: len(losses(folder)) >= 3)
    assert rung("runs", "stop", "R-001", at=other.root).returncode == 0
    wait_until(lambda: not is_alive(folder))
    assert read_run(folder).state == "stopped" and read_run(folder).step < plan["recipe"]["steps"]
    assert rung("runs", "resume", "R-001", at=other.root, timeout=600).returncode == 0
    assert losses(whole) == losses(folder)
    assert read_run(whole).adapter_sha256 == read_run(folder).adapter_sha256 != ""


# --- the parts ----------------------------------------------------------------------------------------------------


def test_a_reward_is_the_metric_on_the_answer():
    from training.run.objectives import reward_of

    reward = reward_of(item_metric("exact_match"), None)
    assert reward(["E10", [{"role": "assistant", "content": " E11 "}]], ["E11", "E11"], ['{"tools": null}'] * 2) == [
        0.0,
        1.0,
    ]
    tools = json.dumps({"tools": [{"type": "function", "function": {"name": "pay"}}]})
    call = '<tool_call>\n{"name": "pay", "arguments": {"sum": 3}}\n</tool_call>'
    assert reward([call], ['[{"name": "pay", "arguments": {"sum": 3}}]'], [tools]) == [1.0]


def test_a_loss_may_rise_only_under_reinforcement():
    rising = [0.1 * n for n in range(1, 20)]
    reporting.judge(rising, 19, may_rise=True)
    with pytest.raises(Diverged, match="rose"):
        reporting.judge(rising, 19)
    with pytest.raises(Diverged, match="number"):
        reporting.judge([0.1, float("nan")], 2, may_rise=True)
    reporting.judge([0.8, 4.4, *[4.0] * 18], 20, chance=10.8)  # the first batch held rows of another kind


def test_of_equal_scores_the_lower_loss_is_the_best():
    history = [
        {"eval_loss": loss, "eval_score": score, "eval_choice": score - 1e-6 * loss, "step": n}
        for n, (loss, score) in enumerate([(1.0, 0.5), (0.9, 0.8), (0.7, 0.8), (0.6, 0.7)], 1)
    ]
    assert reporting.chosen_of(history, "eval_choice")["step"] == 3
    assert reporting.chosen_of(history, "eval_loss")["step"] == 4


def test_two_checks_in_a_row_above_the_best_by_more_than_its_error_are_counted():
    def history(*values):
        return [{"eval_loss": v, "eval_error": 0.05, "step": n} for n, v in enumerate(values, 1)]

    assert reporting.standing([]) == ({}, 0)
    assert reporting.standing(history(1.0, 0.8, 0.84, 0.86))[1] == 1
    best, above = reporting.standing(history(1.0, 0.8, 0.9, 0.95))
    assert (best["step"], above) == (2, 2)
    assert reporting.standing(history(1.0, 0.8, 0.9, 0.84, 0.9))[1] == 1


def test_a_half_written_checkpoint_is_not_gone_on_from(tmp_path):
    for step in (3, 6, 9):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"x" * step)
        if step != 9:
            mark_complete(folder)
    (tmp_path / "checkpoint-6" / "weights").write_bytes(b"x")
    found = newest_checkpoint(tmp_path)
    assert found is not None and found.name == "checkpoint-3"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_the_line_to_beat_is_the_prompted_arms_validation_score(ready: Project):
    beat = line_to_beat(ready, ready.datasets / "v001", "exact_match")
    chosen = read_report(ready, "E-001")[1].chosen
    assert beat is not None and (beat["arm"], beat["report"]) == (chosen, "E-001")
    assert line_to_beat(ready, ready.datasets / "v001", "chrf") is None


TORCH = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.99 GiB of which 1.39 GiB is "
    "free. Including non-PyTorch memory, this process has 22.60 GiB memory in use. Of the allocated memory 21.90 GiB "
    "is allocated by PyTorch, and 312.50 MiB is reserved by PyTorch but unallocated."
)
"""As torch 2.8 words it."""


@pytest.mark.parametrize(
    ("error", "figures"),
    [
        (TORCH, ["25.1", "23.99", "24GB"]),
        (TORCH.replace("2.50 GiB", "512.00 MiB"), ["23.1", "23.99", "24GB"]),
        (TORCH.replace("Including", "Process 4711 has 3.00 GiB memory in use. Including"), ["25.1", "23.99", "24GB"]),
        (TORCH.replace("Including non-PyTorch memory, this process", "Process 4711"), ["24.4", "23.99", "24GB"]),
        ("DefaultCPUAllocator: out of memory", []),
        ("", []),
    ],
)
def test_a_full_memory_is_told_with_what_was_needed_and_what_there_is(error, figures, tmp_path, planned):
    """The card's memory held by others is not what the run needed; the plan that was wrong is named."""
    told = sentence(RuntimeError(error) if error else MemoryError(), tmp_path)
    assert "memory" in told and re.findall(r"[\d.]*\d(?:GB)?", told) == figures
    if figures:
        shutil.copy(planned, tmp_path / "plan.toml")
        expected = f"{read_plan(planned).forecast.expected:.1f}"
        assert expected in sentence(RuntimeError(error), tmp_path) and expected not in told


def test_packed_rows_have_the_loss_and_gradients_of_plain_ones_and_rows_that_see_each_other_are_found_out(
    tiny, tmp_path
):
    """Those of transformers: the same for rows one by one, packed, and in steps of two halves."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    packed = recipe_of(tiny, packing=True, attention="rung_rows", precision="fp32")
    tokenizer, metric = load_tokenizer(str(tiny)), item_metric("exact_match")
    rows = [Example(chat_row(" ".join(["word"] * (1 + n % 7)), f"E1{n % 4} eye both")) for n in range(8)]
    items = answers(tokenizer, rows, None, 256, tmp_path)
    sampler = ValidationAnswers(tokenizer, rows[:2], packed, metric)
    made = build(load_base(packed), sampler, (items, items), precision="fp32", folder=tmp_path)
    rows = [made.train_dataset[place] for place in range(6)]
    apart, unpacked = made.data_collator, DataCollatorForLanguageModeling(pad_token_id=2)
    made.model.eval()

    def step(losses) -> tuple[float, torch.Tensor]:
        """Return a loss and the gradients that it gives."""
        loss = sum(losses)
        loss.backward()
        grads = torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None])
        made.model.zero_grad()
        return loss.item(), grads

    plain, grads = step([made.model(**unpacked(rows)).loss])
    trained = sum(label != IGNORED for row in rows for label in row["labels"][1:])
    whole = [made.compute_loss(made.model, collate(rows)) for collate in (apart, unpacked)]
    halves = [made.compute_loss(made.model, apart(half), num_items_in_batch=trained) for half in (rows[:2], rows[2:])]
    for each in (whole[:1], whole[1:], halves):
        loss, own = step(each)
        assert loss == pytest.approx(plain, rel=1e-5) and torch.allclose(own, grads, rtol=1e-3, atol=1e-6)
    assert made.model_accepts_loss_kwargs, "so the trainer counts a whole step for each half"
    belongs = [made.answer_losses(made.model, collate(rows))[1].tolist() for collate in (apart, unpacked)]
    assert belongs[0] == belongs[1]
    made.data_collator = lambda rows: {name: apart(rows)[name] for name in ("input_ids", "labels")}  # as one row
    with pytest.raises(Refusal, match="packed"):
        check_apart(made, unpacked)


def test_the_plan_decides_the_precision_or_the_machine_does():
    made = recipe_of(Path("embedded"))
    assert choose_precision(revised(made, precision="fp32")) == ("fp32", "as the plan says")
    if not torch.cuda.is_available():
        knows = any(word in Path("/proc/cpuinfo").read_text().split() for word in BF16)
        assert choose_precision(made)[0] == ("bf16" if knows else "fp32")
        assert choose_precision(revised(made, quantisation="nf4"))[0] == "fp32"


@pytest.mark.slow
def test_each_tracker_that_is_named_gets_the_losses_of_a_run_by_its_own_name(finished, rung, ready: Project, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("tensorboardX")
    toml, store = ready.settings_file, f"sqlite:///{tmp_path}/mlflow.db"
    toml.write_text(toml.read_text().replace("[training]\n", '[training]\nreport_to = ["mlflow", "tensorboard"]\n'))
    assert rung("trust", "--yes").returncode == 0
    folder = finished(MLFLOW_TRACKING_URI=store)
    mlflow.set_tracking_uri(store)
    (seen,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert {"loss", "eval_loss"} <= set(seen.data.metrics)
    assert any(b"eval/loss" in path.read_bytes() for path in folder.rglob("events.out.tfevents.*"))


@pytest.mark.slow
def test_the_metric_chooses_the_checkpoint_and_overfitting_ends_the_run(finished):
    words = ["--set", "epochs=60", "--set", "learning_rate=2e-2", "--set", "rank=16", "--set", "choose_by=metric"]
    run = read_run(folder := finished(*words))
    lines = [line for line in curve(folder) if line["kind"] == "validation"]
    assert all(line["beat"]["report"] == "E-001" and 0 <= line["score"] <= 1 for line in lines)
    assert run.best_score == max(line["score"] for line in lines)
    assert "over-fitting" in run.ending and run.step < run.steps
