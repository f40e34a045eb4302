"""Quality of the advice: Rung, Rung with each set left out, and two baselines, on a folder of labelled cases.

usage: python benchmarks/advice.py FOLDER|FILE.toml... [--sealed]     (`make advice` runs it)

Each case is a JSON file {id, source, answers, expected}; `expected` has acceptable, best and forbidden outcomes.
FOLDER may also hold worked cases (TOML); tests/cases/field.toml alone is the file of published projects that the rules
were not written with.

Where the labels of a file know "no_llm", that is the step and the end of advice to use a plain classifier or to
measure one as the likely end. Else the rung counts that is advised.

A case marked `sealed` is left out unless `--sealed` is given, which scores the sealed ones alone: do that once, at the
end, and write the figure down.

Left out: the cases of a file (or folder) are judged without each rule, condition and exception of the first pass that
moves cases of this file alone. So no set is served by what was learnt from it, and the figure estimates unseen sets.
Rules that move a single case of all are listed. Hidden: each case is judged
once for each of its answers (but the task) with that answer taken away. Questionnaire: each case is
walked as somebody who knows its answers and says "don't know" beyond; for each question, how often it is asked,
answered, and how often its answer moved the next step or the end.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from advisor.answer_file import from_table
from advisor.answers import Answers
from advisor.decide import verdict_of
from advisor.followup import action_of, outcome_facts
from advisor.interview import next_question
from advisor.ladder import FIRST_PASS
from advisor.rulebook import Rulebook
from advisor.rulefiles import load_rulebook
from evaluation.verdict.intervals import wilson

Outcome = tuple[str, str]
Case = dict[str, Any]
Edit = tuple[str, str, str]
MEASURES = ("destination acceptable", "destination best", "destination forbidden", "next step acceptable")


def load_cases(places: list[Path], *, sealed: bool = False) -> list[Case]:
    files = [path for place in places for path in ([place] if place.is_file() else sorted(place.glob("*.*")))]
    cases = [
        {**json.loads(path.read_text()), "set": f"{path.parent.name}/{path.stem.partition('-')[0]}"}
        for path in files
        if path.suffix == ".json" and not sealed
    ]
    for path in (path for path in files if path.suffix == ".toml"):
        text = path.read_text()
        for case in tomllib.loads(text)["case"]:
            if case.get("sealed", False) != sealed:
                continue
            expect = case["expect"]
            expected = {key: expect[key] for key in ("destination", "next_step") if "destination" in expect}
            if expected:
                expected["never_destination"] = expect.get("never", [])
                expected |= {"best_destination": expect["best"]} if "best" in expect else {}
                known = {
                    "source": "worked",
                    "answers": case["answers"],
                    "expected": expected,
                    "no_llm": "no_llm" in text,
                }
                cases.append({"id": case["title"], "title": case["title"], "set": path.stem, **known})
    return cases


def rung(book: Rulebook) -> Callable[[Case], Outcome]:
    return lambda case: advised(book, case)


def advised(book: Rulebook, case: Case) -> Outcome:
    answers = from_table(case["answers"])
    verdict = verdict_of(book, answers)
    step, end = verdict.outcome
    if case.get("no_llm"):
        action = action_of(book, outcome_facts(answers.known(), verdict)).rule
        if action in ("act-classifier-likely", "act-plain-classifier"):
            return "no_llm", "no_llm"
    return step, end


def left_out(book: Rulebook, cases: list[Case]) -> tuple[Callable[[Case], Outcome], list[str]]:
    """Return how a case is judged without what only its own set supports, and the rules that move a single case."""
    answers = [from_table(case["answers"]) for case in cases]
    full = [verdict_of(book, known).outcome for known in answers]
    own: dict[str, list[Edit]] = {}
    alone = []
    for edit in edits(book):
        reduced = without(book, [edit])
        moved = [i for i, known in enumerate(answers) if verdict_of(reduced, known).outcome != full[i]]
        sets = {cases[i]["set"] for i in moved}
        if len(sets) == 1:
            own.setdefault(sets.pop(), []).append(edit)
        if len(moved) == 1 and edit[1] == "rule":
            alone.append(f"{edit[0]} ({cases[moved[0]]['id']})")
    books = {name: without(book, found) for name, found in own.items()}
    return lambda case: advised(books.get(case["set"], book), case), alone


def edits(book: Rulebook) -> Iterator[Edit]:
    """Yield what may be taken from the first pass: a rule, one of its conditions, one of its exceptions."""
    for rule in book.of(*FIRST_PASS, "size"):
        if not rule.explains:
            yield rule.id, "rule", ""
            yield from ((rule.id, "when", key) for key in rule.when if len(rule.when) > 1)
            yield from ((rule.id, "unless", str(index)) for index in range(len(rule.unless)))


def without(book: Rulebook, taken: list[Edit]) -> Rulebook:
    """Return the rulebook with these rules, conditions and exceptions taken out."""
    rules = []
    for rule in book.rules:
        when = {key: cond for key, cond in rule.when.items() if (rule.id, "when", key) not in taken}
        unless = tuple(part for i, part in enumerate(rule.unless) if (rule.id, "unless", str(i)) not in taken)
        if (rule.id, "rule", "") not in taken:
            rules.append(replace(rule, when=when or rule.when, unless=unless))
    by_id = {rule.id: rule for rule in rules}
    return replace(book, rules=tuple(rules), by_id=by_id, engines={})


def hidden(cases: list[Case]) -> list[Case]:
    """Each case once for each answer but the task, without that answer."""
    return [
        {**case, "answers": {k: v for k, v in case["answers"].items() if k != key}}
        for case in cases
        for key in case["answers"]
        if key != "task"
    ]


def walk(book: Rulebook, known: dict[str, Any], tally: dict[str, Counter[str]]) -> tuple[Outcome, int]:
    """Return the end of the questionnaire for a person who knows `known`, and the number of questions."""
    answers, asked = Answers(), 0
    while (question := next_question(book, answers)) is not None:
        asked += 1
        before = verdict_of(book, answers).outcome
        note = {"by": "sam", "at": "2026-11-25", "from": "said"}
        answers = answers.with_changes(
            **{question.id: known.get(question.id)}, answered={**answers.answered, question.id: note}
        )
        after, count = verdict_of(book, answers).outcome, tally.setdefault(question.id, Counter())
        count["asked"] += 1
        count["answered"] += question.id in known
        count["moved the next step"] += before[0] != after[0]
        count["moved the end"] += before[1] != after[1]
    return verdict_of(book, answers).outcome, asked


def questionnaire(book: Rulebook, cases: list[Case]) -> None:
    ways: dict[str, Counter[int]] = {}
    same, tally = 0, dict[str, Counter[str]]()
    for case in cases:
        end, asked = walk(book, case["answers"], tally)
        ways.setdefault(end[1], Counter())[asked] += 1
        same += end == verdict_of(book, from_table(case["answers"])).outcome
    print("\n### Questionnaire\n\n| ends in | cases | questions asked: cases | mean |\n|---|---|---|---|")
    for where, counts in ways.items():
        told = ", ".join(f"{asked}: {n}" for asked, n in sorted(counts.items()))
        print(f"| {where} | {counts.total()} | {told} | {sum(a * n for a, n in counts.items()) / counts.total():.1f} |")
    print(f"\nEnds where all that the case knows leads: {cell(same, len(cases))}.")
    heads = ("asked", "answered", "moved the next step", "moved the end")
    print("\n| question | " + " | ".join(heads) + " |\n|---|" + "---|" * len(heads))
    for key, count in sorted(tally.items(), key=lambda item: -item[1]["asked"]):
        print(f"| {key} | " + " | ".join(str(count[head]) for head in heads) + " |")
    print(f"\nNever asked: {', '.join(key for key in book.questions if key not in tally)}")


def score(judge: Callable[[Case], Outcome], cases: list[Case]) -> dict[str, tuple[int, int]]:
    tally = dict.fromkeys(MEASURES, (0, 0))

    def count(name: str, hit: bool) -> None:
        tally[name] = (tally[name][0] + hit, tally[name][1] + 1)

    for case in cases:
        step, end = judge(case)
        expected = case["expected"]
        if "destination" in expected:
            count("destination acceptable", end in expected["destination"])
            count("destination forbidden", end in expected["never_destination"])
        if "best_destination" in expected:
            count("destination best", end == expected["best_destination"])
        count("next step acceptable", step in expected["next_step"])
    return tally


def cell(hits: int, n: int) -> str:
    if not n:
        return "-"
    low, high = wilson(hits, n)
    return f"{hits} of {n} = {hits / n:.0%} ({low:.0%} to {high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("places", type=Path, nargs="+")
    parser.add_argument("--sealed", action="store_true")
    options = parser.parse_args()
    cases, book = load_cases(options.places, sealed=options.sealed), load_rulebook()
    judge_left_out, alone = left_out(book, cases)
    judges: dict[str, Callable[[Case], Outcome]] = {
        "Rung": rung(book),
        "Rung, set left out": judge_left_out,
        "always few-shot": lambda case: ("few_shot", "few_shot"),
    }
    fewer = hidden(cases)
    table = {name: score(judge, cases) for name, judge in judges.items()}
    table[f"Rung, one answer hidden ({len(fewer)})"] = score(rung(book), fewer)
    print(f"\n### Published cases ({len(cases)})\n\n| | " + " | ".join(MEASURES) + " |\n|---|" + "---|" * len(MEASURES))
    for name, row in table.items():
        print(f"| {name} | " + " | ".join(cell(*row[measure]) for measure in MEASURES) + " |")
    print("\nRules that move a single case: " + ", ".join(alone))
    questionnaire(book, cases)


if __name__ == "__main__":
    main()
