"""The toy clinic of many tests: its rung.toml without a person, answers that lead to training, rows, phrases."""

import random

from curation.example import Example, chat_row

SETTINGS = """
[review]
pool = "all"
[evaluation]
arms = ["base", "prompt"]
closed_set = "off"
[training]
rank = 4
learning_rate = 1e-3
epochs = 2
batch = 4
system_prompt = "House line."
precision = "fp32"
"""
ANSWERS = """
task = "extraction"
prompting = "insufficient"
prompt_effort_days = 6
few_shot = "insufficient"
rag = "insufficient"
failure = "breaks_rules"
output_form = "strict"
private_knowledge = false
knowledge_change = "never"
live_systems = false
citations = false
domain_behaviour = true
breadth = "narrow"
examples = 5000
reviewed_examples = 5000
model_access = "open"
privacy = "none"
budget = "moderate"
test_set = true
gpus = 0
"""


SOUNDS = [a + b for a in "bdfgklm" for b in "aeiou"]


def made_up(count: int, seed: int, words: int = 5) -> list[Example]:
    """Rows of which none is near another: every word is made up."""
    chance = random.Random(seed)

    def word() -> str:
        return "".join(chance.choice(SOUNDS) for _ in range(4))

    def question() -> str:
        return " ".join(word() for _ in range(chance.randint(words, words + 4)))

    return [Example(chat_row(question(), f"E1{chance.randint(0, 3)} eye both")) for _ in range(count)]


TYPES = ("T1DM", "T2DM", "drug-induced DM", "other DM")
FINDINGS = ("CKD", "nephropathy", "PDR", "NPDR", "DME", "gangrene", "PAD", "foot ulcer", "gastroparesis", "neuralgia")
SIDES = ("OD", "OS", "OU", "eye NOS")


def phrases(count: int, seed: int) -> list[str]:
    """Different phrases of a clinic, none of them twice."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        parts = [*map(chance.choice, (TYPES, FINDINGS, SIDES)), f"since {chance.randrange(1950, 2020)}"]
        chance.shuffle(parts)
        found[" ".join(parts)] = None
    return list(found)


def line_of(phrase: str) -> str:
    """Return the right answer: type and side."""
    kind = next(name for name in TYPES if name in phrase)
    side = next(name for name in SIDES if name in phrase)
    return f"E1{TYPES.index(kind)} {side}"
