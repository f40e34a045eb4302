"""The demo's main task: a clinic's shorthand in, the house line (category, system, side) out."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from curation.example import chat_row
from rung.demo.shorthand import Term, terms, write
from rung.demo.walk import ChatRow, DemoRows, Task

SEED = 13
TEST_CODES = 150
FAST_CODES, FAST_TEST = 160, 36


def rows(fast: bool) -> DemoRows:
    """Test rows (one phrase for each of 150 codes; 36 with `fast`) and the pool with its planted faults.

    No code of the test set is in the pool. The pool has two wordings a code (with `fast` one of 160 codes).
    """
    rng = random.Random(SEED)
    by_code: dict[str, list[Term]] = {}
    for term in terms():
        by_code.setdefault(term.code, []).append(term)
    codes = sorted(by_code)
    rng.shuffle(codes)
    test = [_row(by_code[code], rng) for code in codes[:TEST_CODES]]
    pool = codes[TEST_CODES:][: FAST_CODES if fast else None]
    clean = [row for code in pool for row in _wordings(by_code[code], 1 if fast else 2, rng)]
    return _plant(clean, test[:FAST_TEST] if fast else test, rng)


def _row(choices: Sequence[Term], rng: random.Random) -> ChatRow:
    term = rng.choice(choices)
    messages = chat_row(write(term, rng), term.line)["messages"]
    return ChatRow(messages=messages, code=term.code, term=term.text)


def _wordings(choices: Sequence[Term], count: int, rng: random.Random) -> list[ChatRow]:
    """`count` different wordings of one code."""
    found: dict[str, ChatRow] = {}
    while len(found) < count:
        row = _row(choices, rng)
        found.setdefault(row["messages"][0]["content"], row)
    return list(found.values())


def _plant(clean: list[ChatRow], test: list[ChatRow], rng: random.Random) -> DemoRows:
    """Add known faults to clean rows, so that the demo can say how many of each kind were found."""
    drawn = rng.sample(clean, 88)
    exact, near, crossed = drawn[:40], [_near(row, rng) for row in drawn[40:80]], [_contradict(r) for r in drawn[80:]]
    leaks: list[ChatRow] = [{**row, "note": "copied"} for row in rng.sample(test, 10)]
    lines = [json.dumps(row, ensure_ascii=False) for row in [*clean, *exact, *near, *leaks, *crossed]] + MALFORMED
    rng.shuffle(lines)
    planted = {
        "exact": [_phrase(row) for row in exact],
        "near": [_phrase(row) for row in near],
        "leak": [_phrase(row) for row in leaks],
        "contradiction": [_phrase(row) for row in crossed],
        "malformed": list(MALFORMED),
    }
    return DemoRows(test, lines, planted)


MALFORMED = [
    '{"messages": [{"role": "user", "content": "T2DM w/ CKD"}',
    '{"mesages": [{"role": "user", "content": "DM1 w/ DKA"}, {"role": "assistant", "content": "E10 acute none"}]}',
    '{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "E11 eye left"}]}',
    '{"messages": [{"role": "assistant", "content": "E11 eye left"}, {"role": "user", "content": "T2DM PDR OS"}]}',
    '{"messages": [{"role": "user", "content": "T1DM w/ PAD"}, {"role": "coder", "content": "E10 vascular none"}]}',
    "type 2 DM w/ foot ulcer -> E11 other none",
]


def _phrase(row: ChatRow) -> str:
    return str(row["messages"][0]["content"])


def _near(row: ChatRow, rng: random.Random) -> ChatRow:
    """The same row with other case and punctuation."""
    text = _phrase(row)
    changed = rng.choice([text.upper() + ".", text.replace(" ", ", ", 1), f"({text})", text.title() + " !"])
    return {**row, "messages": [{"role": "user", "content": changed}, row["messages"][1]]}


def _contradict(row: ChatRow) -> ChatRow:
    """The same phrase with the line of another type."""
    line = str(row["messages"][1]["content"])
    other = "E13" if not line.startswith("E13") else "E11"
    return {**row, "messages": [row["messages"][0], {"role": "assistant", "content": other + line[3:]}]}


BASE_PROMPT = """Turn the clinic's shorthand into the house line: category, system, side. Answer with the line only.
"""

SHORT_PROMPT = """You are a medical coder. Read the diabetes shorthand and answer with one line: ICD-10-CM category
(E08, E09, E10, E11 or E13), body system (acute, kidney, eye, nerve, vascular, other, none) and side (right, left,
both, unknown, none). Example: E10 eye both. Answer with the line only.
"""

RULES_PROMPT = """You are a medical coder. Answer with one house line: CATEGORY SYSTEM SIDE. Nothing else.

Category
- E08: diabetes due to an underlying condition (secondary DM, DM 2/2 or d/t another disease)
- E09: drug or chemical induced diabetes (drug-induced DM, chemical/drug DM, med-induced DM)
- E10: type 1 (T1DM, type 1 DM, DM1)
- E11: type 2 (T2DM, type 2 DM, DM2)
- E13: other specified diabetes (other DM, other spec DM)

System
- acute: hyperosmolarity (HHS), ketoacidosis (DKA), with or without coma
- kidney: nephropathy, CKD, Kimmelstiel-Wilson, tubular degeneration, glomerulosclerosis
- eye: retinopathy (PDR, NPDR), macular edema (DME), cataract, detachment (TRD)
- nerve: neuropathy, neuralgia, amyotrophy, gastroparesis
- vascular: peripheral angiopathy (PAD), gangrene, circulatory complications
- other: joints, skin, ulcers, mouth, hypoglycemia, hyperglycemia, other complications
- none: unspecified complications, no complications

Side, for eyes only
- right (OD, R eye), left (OS, L eye), both (OU, bilat), unknown (eye NOS), none for everything else
"""

PROMPTS = {
    "base.md": BASE_PROMPT,
    "prompt.md": RULES_PROMPT,
    "prompt.short.md": SHORT_PROMPT,
    "prompt.worked.md": SHORT_PROMPT
    + "\nPDR w/o macular edema bilat in T1DM -> E10 eye both\nDM1 w/ PAD w/ gangrene -> E10 vascular none\n",
}

GUIDELINE = """# Guideline: the house line

1. One line: category, system, side, joined by single spaces, as `E10 eye both`.
2. The category is the type that the phrase names, never a guess. A phrase without a type is rejected: "no type named".
3. A side belongs to eyes only. An eye without a side is `unknown`; everything that is not an eye is `none`.
4. `OU` and `bilat` are `both`. `OD` is the right eye, `OS` the left.
5. Approve only what phrase and line say alike. A changed meaning ("w/o" became "w/") is rejected.
"""

ANSWERS = {
    "task": "extraction",
    "prompting": "partial",
    "prompt_effort_days": 6,
    "few_shot": "untried",
    "rag": "untried",
    "fine_tuning": "untried",
    "failure": "breaks_rules",
    "private_knowledge": False,
    "citations": False,
    "live_systems": False,
    "domain_behaviour": True,
    "knowledge_change": "yearly",
    "output_form": "strict",
    "breadth": "narrow",
    "calls_per_day": 4000,
    "latency": "seconds",
    "model_access": "open",
    "privacy": "sensitive",
    "budget": "limited",
    "first_project": True,
    "team": "part_time",
    "goal_score": 0.8,
    "wants": "fine_tune",
}


def documents() -> dict[str, str]:
    """The code book: one Markdown file a category, one entry a paragraph, official words only."""
    book: dict[str, list[str]] = {}
    for term in terms():
        book.setdefault(term.code[:3], []).append(f"{term.code}: {term.text}")
    return {f"{category}.md": "\n\n".join(entries) + "\n" for category, entries in book.items()}


TASK = Task(
    name="house-line",
    about="a clinic's shorthand in, the house line (category, system, side) out",
    rows=rows,
    documents=documents,
    prompts=PROMPTS,
    guideline=GUIDELINE,
    answers=ANSWERS,
    settings={
        "review": {"pool": "all", "accept_automatic": True},
        "dataset": {"group_by": "code", "validation": 0.14, "licence": "ICD-10-CM: US government work (CDC/NCHS)"},
        "evaluation": {"metric": "exact_match", "few_shot": 12, "retrieved": 4, "choose_on": 20},
        "model": {"base": "embedded", "max_tokens": 8},
        "training": {
            "system_prompt": "House line.",
            "epochs": 1.75,
            "learning_rate": 1.5e-3,
            "batch": 8,
            "dropout": 0.0,
            "choose_by": "loss",
        },
    },
    fast_settings={"training": {"learning_rate": 1e-3, "epochs": 1.5}, "evaluation": {"choose_on": 10, "retrieved": 3}},
    notes=(
        "ICD-10-CM titles are official and public and may be in the model's pre-training.",
        "A grammar makes the shorthand, not a clinic; a parser with the same grammar would be right every time.",
    ),
)
