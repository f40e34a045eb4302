"""What stands under `--help` as examples: a command as it is written in real life, and what it is good for."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "rung init claims && cd claims      start here",
        "rung                               the screens on this folder",
        "rung status                        where you stand, and what is next",
        "rung advise                        the questions, and the advice",
        "rung data check rows.csv           what is wrong with a file, no project needed",
    ),
    "init": ("rung init claims",),
    "status": ("rung status", "rung status --json"),
    "advise": (
        "rung advise                                       asks, line by line",
        "rung advise --answers answers.toml --save         takes the answers from a file",
        "rung advise --set goal_score=0.8                  answers one question, and advises anew",
        "rung advise --what-if knowledge_change=weekly     tries another answer",
        "rung advise --report advice.html                  a page to send on",
    ),
    "questions": ("rung questions --format markdown      every key of answers.toml with its values",),
    "doctor": ("rung doctor --repair",),
    "backup": ("rung backup claims.tar.gz",),
    "data import": (
        "rung data import test.csv --as test --question text --answer team",
        "rung data import rows.jsonl --rejects rejects.jsonl",
    ),
    "data convert": ("rung data convert rows.csv -o rows.jsonl --to chat",),
    "data dedup": ("rung data dedup rows.jsonl -o kept.jsonl --removed removed.jsonl",),
    "data leakage": ("rung data leakage --train train.jsonl --test test.jsonl --clean clean.jsonl",),
    "data check": (
        "rung data check                        the project's rows",
        "rung data check rows.csv --show pii    a file, with the rows of one finding",
    ),
    "data fix": ("rung data fix leaks", "rung data fix --all --dry-run"),
    "data freeze": (
        "rung data freeze --test-only    enough to measure the ladder",
        "rung data freeze                the whole dataset",
    ),
    "data generate": (
        "rung data generate --count 50 --provider local",
        "rung data generate --count 200 --provider anthropic --budget-usd 2 --batch",
    ),
    "review": (
        "rung review           the review screen",
        "rung review serve     the same queue in a browser",
        "rung review status    how far, how fast, how alike",
    ),
    "review decide": ("rung review decide r-000012 reject --token T --reviewer dana --reason 1",),
    "review export": ("rung review export --assign mo -o mo.csv",),
    "review import": ("rung review import mo.csv --reviewer mo",),
    "review invite": ("rung review invite dana --days 30", "rung review invite dana --revoke"),
    "review serve": ("rung review serve --port 8080",),
    "baseline": ("rung baseline --arms base,prompt,few_shot", "rung baseline --budget-usd 5"),
    "estimate": (
        "rung estimate --model Qwen3-8B --method qlora",
        "rung estimate --model Qwen3-8B --fit 24GB       what fits that card",
        "rung estimate --list                            the models that are known",
    ),
    "plan": ("rung plan --set rank=8", "rung plan --preflight    a few dry steps: memory and speed, measured"),
    "train": ("rung train --detach", "rung train --override review --by priya --reason 'the pilot needs it'"),
    "evaluate": ("rung evaluate R-001",),
    "verdict": (
        "rung verdict R-001",
        "rung verdict --scores scores.jsonl    the same test on outcomes from elsewhere",
    ),
    "release": ("rung release --to prompt", "rung release R-001 --to adapter,merged"),
    "watch import": (
        "rung watch import requests.jsonl",
        "rung watch import logs/*.jsonl.gz --sample 0.1 --rejects rejects.jsonl",
    ),
    "watch report": (
        "rung watch report --html watch.html",
        "rung watch report --since 2026-11-25 --judge 50",
    ),
    "watch learn": ("rung watch learn --errors    only what failed, was edited or rated low",),
    "why": (
        "rung why L-001       a release, back to each row, reviewer and guideline",
        "rung why r-000012    a row",
        "rung why W-001:17    an answer in production",
        "rung why privacy     an answer: the rules that read it",
    ),
    "demo": ("rung demo --fast",),
}
"""Command path without `rung` -> its examples, with two spaces or more before what a line is good for."""
