"""A small frozen project of a bank, written as a freeze writes it, and how models answer its questions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scripted import Scripted

from curation.example import chat_row
from curation.split.manifest import Manifest, SplitFile
from evaluation.arms.registry import arms_named
from evaluation.baseline import Aim, run_baseline
from evaluation.bench import open_bench
from evaluation.measurement_report import ArmResult
from evaluation.tuned import EvaluationOptions, run_evaluation
from evaluation.verdict.rule import newest_verdict
from workspace.artefact import write_artefact
from workspace.files import sha256_file, write_text
from workspace.folder import Project

CLASSES = {"card lost": "card", "money late": "transfer", "pin wrong": "pin"}
LABELS = {what.split()[0]: answer for what, answer in CLASSES.items()}
PLACES = ["at home", "in town", "on a train", "abroad", "at work", "near the sea", "in a shop", "at the bank"]


def rows_of(places, extra=""):
    return [chat_row(f"{what} {place}{extra}", answer) for place in places for what, answer in CLASSES.items()]


def freeze_by_hand(project: Project, version: str, **splits) -> Path:
    folder = project.datasets / version
    files = {}
    for name, rows in splits.items():
        path = folder / f"{name}.jsonl"
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
        files[name] = SplitFile(file=path.name, rows=len(rows), sha256=sha256_file(path))
    manifest = Manifest(version=version, splits=files, seed=13, threshold=0.8, test_only=set(splits) == {"test"})
    write_artefact(folder / "manifest.json", manifest)
    return folder


def freeze_test(project, version, test):
    """These test rows beside the usual ones of the other splits."""
    return freeze_by_hand(
        project, version, test=test, validation=rows_of(PLACES[:4], " now"), train=rows_of(PLACES, " this week")
    )


def arm_result(arm, **more):
    """An arm that is right in 5 of 10 items."""
    return ArmResult(
        arm=arm, prompted=arm not in ("classical", "tuned"), n=10, score=0.5, low=0.2, high=0.8, correct=5, **more
    )


def changed(settings, section="evaluation", **values):
    """The settings with other values in one section."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def reply(ask):
    """The nearest example's answer where there is one; else the first word of the question in its own form."""
    shown = [t["content"] for t in ask.turns if t["role"] == "assistant"]
    question = ask.turns[-1]["content"]
    if "Passages:" in question:
        shown.append(question.split("-> ")[1].split("\n")[0])
    if any("rules" in t["content"] for t in ask.turns if t["role"] == "system") and "town" in question:
        shown.append(CLASSES[" ".join(question.split("\n\n")[-1].split()[:2])])
    if ask.choices:
        return next((a for a in reversed(shown) if a in ask.choices), ask.choices[0])
    return shown[-1] if shown else "no idea"


def right(question):
    """The right answer to a question of `rows_of`, whatever stands in paragraphs before it."""
    return LABELS[question.split("\n\n")[-1].split()[0]]


def perfect(ask):
    return right(ask.turns[-1]["content"])


TOPICS = (("card", "plastic"), ("money", "funds"), ("pin", "secret"))


class Topics:
    """An embedder that knows which words mean the same: one axis a topic, one for all the rest."""

    name = "topics"

    def __init__(self):
        self.asked: list[str] = []

    def embed(self, texts, progress=None):
        self.asked += texts
        known = [[any(word in text.lower() for word in words) for words in TOPICS] for text in texts]
        points = np.array([[*row, not any(row)] for row in known], dtype=float)
        return points / np.linalg.norm(points, axis=1, keepdims=True)


def project_in(root):
    write_text(root / "rung.toml", "[evaluation]\nfew_shot = 3\nretrieved = 2\n")
    made = Project(root)
    freeze_test(made, "v001", rows_of(PLACES, " today") + rows_of(PLACES[:4], " again"))
    write_text(root / "prompts" / "base.md", "Name the topic.")
    write_text(root / "prompts" / "prompt.md", "Name the topic: card, transfer or pin.")
    write_text(root / "prompts" / "prompt.rules.md", "Name the topic by these rules: card, transfer, pin.")
    write_text(root / "documents" / "book.md", "card lost -> card\n\nmoney late -> transfer\n\npin wrong -> pin\n")
    return made


def on_server(project, url, evaluation, base="tiny", more=""):
    """Settings by which the project's model is one behind the server at this address."""
    model = f'[model]\nprovider = "openai"\nbase = "{base}"\nbase_url = "{url}/v1"\n{more}'
    project.settings_file.write_text(f"{model}[evaluation]\n{evaluation}\n")


def ladder(project, settings, model, *arms, goal=None, days=None, writer=None, **options):
    """The folder and the report of a baseline of these arms; of base and prompt if none is named."""
    bench = replace(open_bench(project, settings, model, **options), writer=writer)
    return run_baseline(bench, arms_named(arms or ("base", "prompt")), Aim(goal=goal, days=days))


def evaluated(project, settings, say=perfect, run="R-001", prompt="Topic.", judge=None, **ways):
    """The folder and the verdict of a run, whose model is scripted: what it says, or itself."""
    model = say if isinstance(say, Scripted) else Scripted(say, name=f"scripted+{run}")
    bench = open_bench(project, settings, model, judge=judge)
    folder = run_evaluation(bench, run, prompt, ways=EvaluationOptions(**ways))
    return folder, newest_verdict(project, run)[1]
