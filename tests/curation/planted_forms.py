"""Rows of another form, another spelling, and rows with names."""

import random

from planted import WORDS, answered, hit, prose, row, run

from curation.checks.base import Subject
from curation.example import Example


def coded(rng, count=400):
    """Answers of one form: a code and its title."""
    codes = [f"{rng.choice('ABC')}{rng.randrange(10, 99)}.{rng.randrange(9)}" for _ in range(count)]
    return [row(prose(rng, 1), f"{code} - {rng.choice(WORDS)}") for code in codes]


ODD_FORMS = [
    "the code is the usual one",
    '{"code": "A10.1"}',
    "a10.1 - river",
    "A10.1 - " + "very long words " * 30,
    "- A10.1\n- B20.2",
]


def odd_forms(seed):
    """Found, planted, false and sound: a row in a hundred has another form."""
    rng = random.Random(seed)
    rows = coded(rng)
    chosen = dict(zip(rng.sample(range(len(rows)), 5), ODD_FORMS, strict=True))
    rows = [answered(each, chosen[i]) if i in chosen else each for i, each in enumerate(rows)]
    found = hit(run(rows, "form")[0], "form")
    return len(found & set(chosen)), len(chosen), len(found - set(chosen)), len(rows) - len(chosen)


SPELLINGS = {"card_lost": ["Card lost", "card-lost", "CARD_LOST"], "top up": ["Top-up", "top up."]}


def other_spellings(seed):
    """Found, planted, false and sound: labels in a second spelling beside labels whose signs make them two."""
    rng = random.Random(seed)
    labels = [*SPELLINGS, "C++", "C", "C#", "-1", "1", "left", "right"]
    rows = [row(prose(rng, 1), rng.choice(labels)) for _ in range(600)]
    able = [i for i, each in enumerate(rows) if each["messages"][1]["content"] in SPELLINGS]
    chosen = set(rng.sample(able, 10))
    rows = [
        answered(each, rng.choice(SPELLINGS[each["messages"][1]["content"]])) if i in chosen else each
        for i, each in enumerate(rows)
    ]
    found = hit(run(rows, "spelling")[0], "spelling")
    return len(found & chosen), len(chosen), len(found - chosen), len(rows) - len(chosen)


LISTED = ("darn", "heck", "Acme+", "project blue", "#shame")
LISTED_FORMS = ["DARN!", "what the heck", "acme+ has it", "see Project\nBlue now", "a #shame.", "(darn)"]
NOT_LISTED = ["darning is fine", "check the hecklers", "the Acme shop", "a blue project", "what a shame", "ac-me+x"]


def listed_words(seed, count=1000):
    """Found, planted, false and sound: words of a list, and words that only hold them."""
    rng = random.Random(seed)
    chosen = set(rng.sample(range(count), count // 10))
    forms = [rng.choice(LISTED_FORMS if i in chosen else NOT_LISTED) for i in range(count)]
    rows = [row(f"{prose(rng, 1)} {form}", prose(rng, 1)) for form in forms]
    found = hit(run(rows, "words", words=LISTED)[0], "words")
    return len(found & chosen), len(chosen), len(found - chosen), count - len(chosen)


NAMES = [
    "Maria Gonzalez", "John Smith", "Aisha Khan", "Wei Zhang", "Priya Sharma", "Lukas Meyer", "Fatima Al-Sayed",
    "Olga Petrova", "Kofi Mensah", "Sofia Rossi", "James O'Brien", "Yuki Tanaka", "Ana Silva", "Peter Novak",
    "Chloe Martin", "David Cohen", "Emma Johansson", "Ravi Patel", "Grace Okafor", "Daniel Kim",
]  # fmt: skip
CARRIERS = [
    "My name is {x} and my card is lost.",
    "Please call {x} about the open invoice.",
    "Dr. {x} prescribed the new tablets yesterday.",
    "I spoke to {x} at the desk this morning.",
    "The parcel for {x} has not arrived yet.",
]
NAMELESS = [
    "My card was lost on the way to Berlin on Monday.",
    "Alzheimer disease with late onset, Parkinson disease excluded.",
    "The Apple Pay top up was reverted by the bank.",
    "Type 2 diabetes mellitus with hyperglycemia.",
    "May I use Visa and Mastercard in Paris in April?",
]


def with_names(find, seed, count=200):
    """Found, planted, false and sound: half of the rows name a person in an ordinary sentence."""
    from curation.checks.private import Names

    rng = random.Random(seed)
    rows, chosen = [], set()
    for i in range(count):
        if rng.random() < 0.5:
            chosen.add(i)
            rows.append(row(rng.choice(CARRIERS).format(x=rng.choice(NAMES)), "it is done"))
        else:
            rows.append(row(rng.choice(NAMELESS), "it is done"))
    check = Names(find)
    for i, each in enumerate(rows):
        check.see(Subject(Example(each), "rows.jsonl", i + 1, id=f"r-{i}"))
    found = {int(each.removeprefix("r-")) for each in check.pile.ids}
    return len(found & chosen), len(chosen), len(found - chosen), count - len(chosen)
