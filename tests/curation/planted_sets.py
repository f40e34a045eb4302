"""Whole sets of rows with a fault that no single row has, and sets that only look so."""

import random

from planted import WORDS, answered, clean, prose, row, run


def even_classes(rng, each=120):
    """Three classes of as many rows, each question by itself, from three sources."""
    return [row(prose(rng, 1), "abc"[i % 3], source=f"s{rng.randrange(3)}") for i in range(3 * each)]


def thin_class(rng):
    return [*even_classes(rng), *(row(prose(rng, 1), "rare", source="s1") for _ in range(rng.randint(2, 9)))]


def heavy_class(rng):
    return [*even_classes(rng), *(row(prose(rng, 1), "a", source="s1") for _ in range(2400))]


def one_answer(rng, share=0.97, count=300):
    return [row(prose(rng, 1), "yes" if rng.random() < share else prose(rng, 1)) for _ in range(count)]


def one_source(rng, share=0.97):
    return [row(prose(rng, 1), prose(rng), source="a" if rng.random() < share else "b") for _ in range(300)]


def dull(rng):
    return [
        row(f"Please tell me the price of item {rng.randrange(6)} in the shop today", prose(rng)) for _ in range(300)
    ]


def told_by_source(rng):
    rows = even_classes(rng)
    return [
        answered(each, "d") | {"source": "s0"} if each["source"] == "s0" and rng.random() < 0.4 else each
        for each in rows
    ]


def told_by_length(rng):
    answers = [rng.choice("abc") for _ in range(360)]
    return [row(prose(rng, 6 if answer == "a" else 1), answer) for answer in answers]


def longer_preferred(rng, share=0.95):
    made = []
    for _ in range(120):
        one, other = prose(rng, 3), prose(rng, 1)
        made.append((one, other) if rng.random() < share else (other, one))
    return [{"prompt": prose(rng, 1), "chosen": one, "rejected": other} for one, other in made]


def few_long_answers(rng):
    return [row(prose(rng, 1), prose(rng, 60 if i % 20 == 0 else 1)) for i in range(200)]


STRANGE = ["volcano", "lava", "crater", "magma", "eruption", "ash", "tremor", "basalt", "fissure", "plume"]


def about(rng, words, count, **other):
    return [row(" ".join(rng.choices(words, k=12)), "a", **other) for _ in range(count)]


def with_gap(rng):
    """Training rows without a topic that the test rows have."""
    return [*about(rng, WORDS[:20], 300), *({**each, "role": "test"} for each in about(rng, STRANGE, 20))]


def without_gap(rng):
    return [
        *about(rng, WORDS[:20], 300),
        *about(rng, STRANGE, 30),
        *({**e, "role": "test"} for e in about(rng, STRANGE, 20)),
    ]


SETS = {
    "balance": ([thin_class, heavy_class], [even_classes]),
    "constant": ([one_answer], [even_classes, lambda rng: one_answer(rng, 0.85)]),
    "spread": ([one_source], [even_classes, lambda rng: one_source(rng, 0.8)]),
    "diversity": ([dull], [lambda rng: clean(rng, 300), even_classes]),
    "skew": (
        [told_by_source, told_by_length, longer_preferred, few_long_answers],
        [even_classes, lambda rng: clean(rng, 300), lambda rng: longer_preferred(rng, 0.6)],
    ),
    "topics": ([with_gap], [without_gap]),
}
"""Checks that judge a whole set: makers of sets with the fault, and of sets without it."""


def judged(name, seeds=range(10)):
    """Of sets with the fault and without: how many were called so, and how many there are."""
    counts = []
    for makers in SETS[name]:
        made = [maker(random.Random(1000 * seed + place)) for seed in seeds for place, maker in enumerate(makers)]
        counts += [sum(name in run(rows, name)[0] for rows in made), len(made)]
    return counts
