"""The demo's second task: a diagnosis phrase in, its chapter line (name, category) out."""

from __future__ import annotations

import json
import random

from curation.example import chat_row
from rung.demo.walk import ChatRow, DemoRows, Task

NAMES = {
    "E34": "endocrine disorder",
    "E75": "lipid storage disorder",
    "E78": "lipid disorder",
    "I21": "heart attack",
    "I25": "chronic ischemic heart disease",
    "I27": "pulmonary heart disease",
    "I50": "heart failure",
    "J84": "interstitial lung disease",
    "K00": "tooth development disorder",
    "K08": "tooth loss disorder",
    "K56": "bowel obstruction",
    "K60": "anal fissure or fistula",
}
"""Category -> the clinic's own name for it, which the chapter line begins with."""

SEED = 13
TEST_PER_CATEGORY, VALIDATION_PER_CATEGORY, TRAIN_PER_CATEGORY, TEST_PER_CODE = 10, 3, 20, 4


def _phrases(category: str) -> dict[str, list[tuple[str, bool]]]:
    """Code -> its phrases, each with whether it is an inclusion term (else the title)."""
    from workspace.extras import require

    table = require("demo", "simple_icd_10_cm")
    leaves = [code for code in table.get_descendants(category) if table.is_leaf(code)]
    return {
        code: [(table.get_description(code), False), *((text, True) for text in table.get_inclusion_term(code))]
        for code in leaves
    }


def _split(category: str, rng: random.Random) -> tuple[list[ChatRow], list[ChatRow]]:
    """Test rows and pool rows of one category; no code is in both. Test rows are inclusion terms only."""
    by_code = _phrases(category)
    codes = sorted(by_code)
    rng.shuffle(codes)
    codes.sort(key=lambda code: not any(included for _, included in by_code[code]))
    test: list[ChatRow] = []
    while len(test) < TEST_PER_CATEGORY:
        code = codes.pop(0)
        terms = [text for text, included in by_code[code] if included][:TEST_PER_CODE]
        test += [_row(category, code, text) for text in terms[: TEST_PER_CATEGORY - len(test)]]
    rest = [_row(category, code, text) for code in codes for text, _ in by_code[code]]
    rng.shuffle(rest)
    return test, rest[: VALIDATION_PER_CATEGORY + TRAIN_PER_CATEGORY]


def _row(category: str, code: str, text: str) -> ChatRow:
    return ChatRow(messages=chat_row(text, f"{NAMES[category]} {category}")["messages"], code=code)


def rows(fast: bool) -> DemoRows:
    """Ten test items a category and up to 23 pool rows a category (5 and 12 with `fast`); nothing planted."""
    rng = random.Random(SEED)
    parts = [_split(category, rng) for category in NAMES]
    test = [row for part, _ in parts for row in (part[:5] if fast else part)]
    pool = [row for _, part in parts for row in (part[:12] if fast else part)]
    rng.shuffle(pool)
    return DemoRows(test, [json.dumps(row, ensure_ascii=False) for row in pool], {})


LABELS = "\n".join(f"- {name} {category}" for category, name in NAMES.items())
PROMPTS = {
    "base.md": "Name the chapter line of this diagnosis. Answer with the line only.\n",
    "prompt.md": f"You are a medical coder. Answer with one of these chapter lines and nothing else:\n{LABELS}\n",
    "prompt.short.md": "You are a medical coder. Answer with the chapter line: name, then ICD-10-CM category.\n",
    "prompt.worked.md": f"Choose the chapter line of the diagnosis. The lines:\n{LABELS}\n\n"
    "Hyperbetalipoproteinemia -> lipid disorder E78\n",
}
GUIDELINE = """# Guideline: the chapter line

1. The line is the clinic's name for the chapter, then the ICD-10-CM category: `lipid disorder E78`.
2. The category is the first three characters of the code that the official table gives for the phrase.
"""
ANSWERS = {
    "task": "classification",
    "prompting": "partial",
    "prompt_effort_days": 6,
    "few_shot": "untried",
    "rag": "untried",
    "fine_tuning": "untried",
    "failure": "breaks_rules",
    "private_knowledge": False,
    "citations": False,
    "domain_behaviour": True,
    "knowledge_change": "yearly",
    "output_form": "strict",
    "breadth": "narrow",
    "calls_per_day": 500,
    "latency": "seconds",
    "model_access": "open",
    "privacy": "sensitive",
    "budget": "limited",
    "first_project": True,
    "team": "part_time",
    "goal_score": 0.75,
    "wants": "fine_tune",
}


def documents() -> dict[str, str]:
    """The code book of the twelve categories: titles and the notes of each category, without its inclusion terms."""
    from workspace.extras import require

    table = require("demo", "simple_icd_10_cm")
    book = {}
    for category, name in NAMES.items():
        codes = [code for code in table.get_descendants(category) if table.is_leaf(code)]
        entries = [f"{name} {category}: {table.get_description(code)}" for code in codes]
        book[f"{category}.md"] = "\n\n".join([f"{name} {category}: {table.get_description(category)}", *entries]) + "\n"
    return book


class ChapterTable:
    """The official table as an automatic reviewer: it knows each phrase by its exact words."""

    name = "ICD-10-CM code table"

    def __init__(self) -> None:
        found = {c: _phrases(c) for c in NAMES}
        self._lines = {
            text.lower(): f"{NAMES[category]} {category}"
            for category, by_code in found.items()
            for texts in by_code.values()
            for text, _ in texts
        }

    def judge(self, phrase: str, line: str) -> tuple[str, str] | None:
        """(approve, "") or (reject, reason); None where the table does not know the phrase."""
        known = self._lines.get(phrase.strip().lower())
        if known is None:
            return None
        return ("approve", "") if known == line.strip() else ("reject", "wrong answer")


TASK = Task(
    name="chapter-line",
    about="a diagnosis phrase in, its chapter line (name, category) out",
    rows=rows,
    documents=documents,
    reviewer=ChapterTable,
    prompts=PROMPTS,
    guideline=GUIDELINE,
    answers=ANSWERS,
    settings={
        "review": {"pool": "all", "accept_automatic": True},
        "dataset": {"group_by": "code", "validation": 0.13, "licence": "ICD-10-CM: US government work (CDC/NCHS)"},
        "evaluation": {"metric": "exact_match", "few_shot": 12, "retrieved": 5, "choose_on": 36},
        "model": {"base": "embedded", "max_tokens": 16},
        "training": {
            "system_prompt": "Chapter line.",
            "epochs": 3,
            "learning_rate": 1e-3,
            "batch": 8,
            "dropout": 0.0,
            "choose_by": "loss",
        },
    },
    fast_settings={"training": {"epochs": 2}},
    notes=("ICD-10-CM titles are official and public and may be in the model's pre-training.",),
)
