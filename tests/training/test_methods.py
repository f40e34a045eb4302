"""Every method and every objective, by an ordinary plan through the gates and the child process, on a tiny model."""

import json
import shutil

import pytest
import taught
from lives import losses, wait_until

from training.plan.objective import AnswerPair
from training.runs import curve, is_alive, read_run
from workspace.folder import Project
from workspace.settings import Settings


def change(folder, tiny):
    """How far the saved weights, loaded here for the first time, move the base's logits (or a fresh score)."""
    import torch
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
OBJECTIVES = ["dpo", "reward", "grpo", "rloo"]
PAIRS = [("dpo", method) for method in ("full", "qlora", "prefix", "dora")]
SAMPLED = (*taught.SAMPLED, "--set", "choose_by=metric")
LONG = ("--set", "epochs=5", "--set", "learning_rate=1e-2")
"""20 steps: what AdaLoRA needs at least."""


@pytest.mark.parametrize("method", ["qlora", *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS)])
def test_a_method_trains_and_changes_the_model(finished, tiny, method):
    assert change(finished("--method", method, *LONG), tiny) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "method"), [*((name, "lora") for name in OBJECTIVES), *PAIRS])
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


def test_pairs_share_their_prompt_and_end_both_answers(tiny):
    from training.run.base_model import load_tokenizer
    from training.run.inputs import pairs

    tokenizer = load_tokenizer(str(tiny))
    pair = AnswerPair("r-1", "train", [{"role": "user", "content": "DM2"}], "E11 eye both", "E10, I think")
    made = pairs(tokenizer, [pair], "House line.", 256, whole=False).columns[0]
    assert tokenizer.decode(made["prompt_ids"]).endswith("<|im_start|>assistant\n")
    assert [tokenizer.decode(made[name]) for name in ("chosen_ids", "rejected_ids")] == [
        "E11 eye both<|im_end|>\n",
        "E10, I think<|im_end|>\n",
    ]
    whole = pairs(tokenizer, [pair], "House line.", 256, whole=True).columns[0]
    assert whole["chosen_ids"] == made["prompt_ids"] + made["chosen_ids"]
    assert pairs(tokenizer, [pair], "House line.", 8, whole=False).encoded.too_long == [1]


def test_a_reward_is_the_metric_on_the_answer():
    from evaluation.metrics.item_metrics import item_metric
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
    from training.run.failures import Diverged
    from training.run.reporting import judge

    rising = [0.1 * n for n in range(1, 20)]
    judge(rising, 19, may_rise=True)
    with pytest.raises(Diverged, match="rose"):
        judge(rising, 19)
    with pytest.raises(Diverged, match="number"):
        judge([0.1, float("nan")], 2, may_rise=True)
    judge([0.8, 4.4, *[4.0] * 18], 20, chance=10.8)  # the first batch held rows of another kind


def test_of_equal_scores_the_lower_loss_is_the_best():
    from training.run.reporting import chosen_of

    history = [
        {"eval_loss": loss, "eval_score": score, "eval_choice": score - 1e-6 * loss, "step": n}
        for n, (loss, score) in enumerate([(1.0, 0.5), (0.9, 0.8), (0.7, 0.8), (0.6, 0.7)], 1)
    ]
    assert chosen_of(history, "eval_choice")["step"] == 3
    assert chosen_of(history, "eval_loss")["step"] == 4


def test_the_line_to_beat_is_the_prompted_arms_validation_score(ready: Project):
    from evaluation.measurement_report import read_report
    from training.run.session import line_to_beat

    beat = line_to_beat(ready, ready.datasets / "v001", "exact_match")
    chosen = read_report(ready, "E-001")[1].chosen
    assert beat is not None and (beat["arm"], beat["report"]) == (chosen, "E-001")
    assert line_to_beat(ready, ready.datasets / "v001", "chrf") is None


@pytest.mark.slow
def test_each_tracker_that_is_named_gets_the_losses_of_a_run_by_its_own_name(rung, ready: Project, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("tensorboardX")
    toml, store = ready.settings_file, f"sqlite:///{tmp_path}/mlflow.db"
    toml.write_text(toml.read_text().replace("[training]\n", '[training]\nreport_to = ["mlflow", "tensorboard"]\n'))
    assert rung("trust", "--yes").returncode == 0
    assert rung("plan").returncode == 0
    done = rung("train", timeout=400, MLFLOW_TRACKING_URI=store)
    assert done.returncode == 0, done.stderr + (ready.runs / "R-001" / "log.txt").read_text()
    mlflow.set_tracking_uri(store)
    (seen,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert {"loss", "eval_loss"} <= set(seen.data.metrics)
    assert any(b"eval/loss" in path.read_bytes() for path in (ready.runs / "R-001").rglob("events.out.tfevents.*"))


@pytest.mark.slow
def test_the_metric_chooses_the_checkpoint_and_overfitting_ends_the_run(finished):
    words = ["--set", "epochs=60", "--set", "learning_rate=2e-2", "--set", "rank=16", "--set", "choose_by=metric"]
    run = read_run(folder := finished(*words))
    lines = [line for line in curve(folder) if line["kind"] == "validation"]
    assert all(line["beat"]["report"] == "E-001" and 0 <= line["score"] <= 1 for line in lines)
    assert run.best_score == max(line["score"] for line in lines)
    assert "over-fitting" in run.ending and run.step < run.steps
