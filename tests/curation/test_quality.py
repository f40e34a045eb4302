"""Each check on corpora with planted faults: recall, and false alarms on rows that only look faulty.

`python tests/curation/test_quality.py` prints the table of docs/curation.md.
"""

import random
import sys
import warnings

import pytest

from curation.example import Example
from curation.quality import Options, Subject, Survey, checks, find_personal, find_secrets, label_noise, mask
from curation.quality.diversity import distinct_pairs, packing, vendi
from curation.quality.mask import is_card, is_iban, is_phone

WORDS = [
    "river",
    "garden",
    "window",
    "letter",
    "market",
    "bridge",
    "captain",
    "silver",
    "winter",
    "summer",
    "engine",
    "basket",
    "candle",
    "mirror",
    "forest",
    "ladder",
    "teacher",
    "doctor",
    "kitchen",
    "morning",
    "evening",
    "village",
    "harbour",
    "station",
    "station",
    "paper",
    "blanket",
    "bottle",
    "copper",
    "planet",
    "shadow",
    "orange",
    "apple",
    "bread",
    "butter",
    "sugar",
    "coffee",
    "picture",
    "music",
    "history",
    "number",
    "color",
    "circle",
    "square",
    "corner",
    "border",
    "island",
]
VERBS = [
    "opens",
    "closes",
    "moves",
    "finds",
    "keeps",
    "brings",
    "sells",
    "paints",
    "counts",
    "reads",
    "carries",
    "holds",
    "builds",
    "breaks",
    "follows",
]

JOINTS = ["of", "in", "and", "with", "from", "for", "at", "by"]


def sentence(rng, words=9):
    parts = [f"the {rng.choice(WORDS)} {rng.choice(VERBS)}"]
    while len(" ".join(parts).split()) < words:
        parts.append(f"{rng.choice(JOINTS)} the {rng.choice(WORDS)}")
    body = " ".join(parts)
    return body[0].upper() + body[1:] + "."


def prose(rng, sentences=3):
    return " ".join(sentence(rng, rng.randint(7, 13)) for _ in range(sentences))


def row(question, answer, **other):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **other}


def clean(rng, count=400):
    """Rows without a fault, with numbers, dates, codes, versions and hashes in them that no check may take for one."""
    decoys = [
        "The order 2026-11-25 has 1,299 parts.",
        "Release 10.2.4.1 of version 3.11.7 is out.",
        "Use code E11.42, not E11.40.",
        "It took 12:30:45 hours and 48/2 = 24 clips.",
        "The id is 550e8400-e29b-41d4-a716-446655440000.",
        "See section 4.1.2.3 and pages 120-125.",
        "The total is 1 234 567 890 units.",
        "Call the function f(x) at line 42.",
        "The hash is 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.",
        "Mix 250 ml with 3 eggs at 180 degrees.",
        "Her lucky number is 4111 1111 1111 1112.",
        "ISBN 978-3-16-148410-0 is on the shelf.",
        "The ratio 3:2:1 holds.",
        "Write to @maria about the sk-learn task.",
        "The mean is 0.1234567890123456.",
        "He was born in 1987 and left in 2019-2020.",
    ]
    return [row(f"{prose(rng, 2)} {rng.choice(decoys)}", f"{prose(rng, 3)} {rng.choice(decoys)}") for _ in range(count)]


def luhn(rng, length=16):
    digits = [rng.choice([4, 5]), *(rng.randrange(10) for _ in range(length - 2))]
    total = sum((2 * d - 9 if d > 4 else 2 * d) if i % 2 == 0 else d for i, d in enumerate(reversed(digits)))
    return "".join(map(str, [*digits, -total % 10]))


def iban(rng, country="DE", length=22):
    body = "".join(str(rng.randrange(10)) for _ in range(length - 4))
    number = int("".join(str(int(sign, 36)) for sign in f"{body}{country}00"))
    return f"{country}{98 - number % 97:02d}{body}"


def spaced(text, size=4, sign=" "):
    return sign.join(text[i : i + size] for i in range(0, len(text), size))


def personal(rng):
    """One piece of personal data, and what it is."""
    digits = [f"{rng.randrange(200, 999)}", f"{rng.randrange(200, 999)}", f"{rng.randrange(1000, 9999)}"]
    return rng.choice(
        [
            ("EMAIL", f"{rng.choice(WORDS)}.{rng.choice(WORDS)}{rng.randrange(99)}@mail-{rng.choice(WORDS)}.co.uk"),
            ("EMAIL", f"{rng.choice(WORDS)}+x@example.com"),
            ("PHONE", f"+49 30 {rng.randrange(10**6, 10**7)}"),
            ("PHONE", f"+1 ({digits[0]}) {digits[1]}-{digits[2]}"),
            ("PHONE", f"({digits[0]}) {digits[1]}-{digits[2]}"),
            ("PHONE", "-".join(digits)),
            ("PHONE", f"020 7946 0{rng.randrange(100, 999)}"),
            ("PHONE", f"phone: {''.join(digits)}"),
            ("CARD", luhn(rng)),
            ("CARD", spaced(luhn(rng))),
            ("CARD", spaced(luhn(rng), sign="-")),
            ("IBAN", iban(rng)),
            ("IBAN", spaced(iban(rng))),
            ("IP", f"{rng.randrange(11, 126)}.{rng.randrange(255)}.{rng.randrange(255)}.{rng.randrange(1, 255)}"),
            ("IP", f"2001:db8:{rng.randrange(16**4):x}:0:0:8a2e:370:{rng.randrange(16**4):x}"),
            ("ID", f"{rng.randrange(100, 600)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"),
        ]
    )


def key(rng):
    """One key of a known form."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    some = lambda n, signs=letters: "".join(rng.choice(signs) for _ in range(n))  # noqa: E731
    return rng.choice(
        [
            f"AKIA{some(16, letters[:26] + '0123456789')}",
            f"ghp_{some(36)}",
            f"glpat-{some(20)}",
            f"xoxb-{some(12)}-{some(24)}",
            f"sk_live_{some(24)}",
            f"sk-ant-api03-{some(40)}",
            f"sk-proj-A1{some(40)}",
            f"AIza{some(35)}",
            f"hf_{some(34)}",
            f"npm_{some(36)}",
            f"eyJ{some(20)}.eyJ{some(30)}.{some(30)}",
            "-----BEGIN RSA PRIVATE KEY-----",
            f"postgres://admin:{some(12)}@db.internal:5432/app",
            f"SG.{some(22)}.{some(43)}",
        ]
    )


RESIDUE = [
    "<|im_end|>",
    "[INST] {x}",
    "### Response:",
    "{{customer_name}}",
    "[insert date here]",
    "Human: what?",
    "</think>",
    "lorem ipsum dolor",
    "{context}",
    "<|eot_id|>",
    "<end_of_turn>",
    "<<SYS>>",
]
REFUSALS = [
    "As an AI language model, I do not know.",
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "I am sorry, I am unable to answer.",
    "As a large language model I have no opinion.",
    "I can't provide that.",
    "My knowledge cutoff is 2021, so I cannot say.",
    "I’m just an AI and cannot feel.",
]
FOREIGN = [
    "Ich habe gestern mit der Bank gesprochen und die Karte ist noch nicht da, was soll ich jetzt machen?",
    "Je ne sais pas si la carte est dans la boîte mais nous avons besoin de la lettre pour le voyage.",
    "No sé si la carta está en la caja pero los niños que vienen con la familia no la han visto.",
    "Het is niet duidelijk of de brief aan het huis is en wat er met de sleutel van de deur is gebeurd.",
    "Я не знаю, где находится моя карта, и прошу помочь мне найти её.",
    "カードがまだ届いていませんので、確認してください。",
    "Non so se la lettera è nella scatola ma il viaggio è una cosa che si deve fare con gli amici.",
]


def planted(rng, rows, share, plant):
    """A copy of `rows` in which `plant` changed a share; the copy and the changed indices."""
    chosen = set(rng.sample(range(len(rows)), int(share * len(rows))))
    return [plant(rng, each) if i in chosen else each for i, each in enumerate(rows)], chosen


def answered(each, answer):
    return row(each["messages"][0]["content"], answer)


def put(text, piece, rng):
    words = text.split()
    words.insert(rng.randrange(1, 6), piece)
    return " ".join(words)


def run(rows, only="", **options):
    """All findings (or those of one check) by name, and all measures."""
    chosen = Options(**options)
    subjects = [Subject(Example(each), "rows.jsonl", i + 1, id=f"r-{i}") for i, each in enumerate(rows)]
    made = [check for check in checks(chosen) if only in ("", check.name)]
    for subject in subjects:
        for check in made:
            check.see(subject)
    survey = Survey(len(rows), subjects, chosen)
    found = {check.name: finding for check in made if (finding := check.end(survey))}
    return found, {check.name: check.measures for check in made}


def hit(found, name):
    finding = found.get(name)
    return {int(each.removeprefix("r-")) for each in finding.ids} if finding else set()


def labelled(rng, count=1200, classes=12, noise=0.05):
    """Short questions whose words tell their class, some of them with another class's label."""
    own = [rng.sample(WORDS, 4) for _ in range(classes)]
    rows, flipped = [], set()
    for i in range(count):
        label = rng.randrange(classes)
        words = [rng.choice(own[label]) if rng.random() < 0.5 else rng.choice(WORDS) for _ in range(10)]
        if rng.random() < noise:
            label = rng.choice([other for other in range(classes) if other != label])
            flipped.add(i)
        rows.append(row(" ".join(words), f"class_{label}"))
    return rows, flipped


def mojibake(rng, each):
    text = each["messages"][1]["content"] + " Café déjà naïve größe"
    return answered(each, text.encode().decode("cp1252", "replace" if rng.random() < 0.3 else "strict"))


def cut(rng, each):
    text = each["messages"][1]["content"]
    kind = rng.randrange(3)
    if kind == 0:
        return answered(each, text[: text.rindex(" ", 0, -15)])
    return answered(each, f"Here:\n```python\n{text}" if kind == 1 else '{"answer": "' + text + '", "items": [1, 2')


CASES = {
    "pii": lambda rng, each: answered(each, put(each["messages"][1]["content"], personal(rng)[1], rng)),
    "secrets": lambda rng, each: answered(each, put(each["messages"][1]["content"], key(rng), rng)),
    "residue": lambda rng, each: answered(each, f"{each['messages'][1]['content']}\n{rng.choice(RESIDUE)}"),
    "refusals": lambda rng, each: answered(each, rng.choice(REFUSALS)),
    "empty": lambda rng, each: answered(each, rng.choice([" ", "\n\t", "\u00a0"])),
    "encoding": mojibake,
    "truncated": cut,
    "over_long": lambda rng, each: answered(each, each["messages"][1]["content"] * 60),
    "language": lambda rng, each: row(rng.choice(FOREIGN), rng.choice(FOREIGN)),
}


def measured(name, seed=7, count=400):
    """Recall on planted rows, and false alarms among as many clean ones."""
    rng = random.Random(seed)
    rows, chosen = planted(rng, clean(rng, count), 0.1, CASES[name])
    found = hit(run(rows, name)[0], name)
    return len(found & chosen), len(chosen), len(found - chosen), len(rows) - len(chosen)


LEAST = {"truncated": 0.9, "language": 0.95}


@pytest.mark.parametrize("name", CASES)
def test_planted_faults_are_found_and_clean_rows_are_left_alone(name):
    found, there, false, sound = measured(name)
    assert found >= LEAST.get(name, 1.0) * there, (found, there)
    assert false == 0, (false, sound)


def test_clean_rows_give_no_finding_at_all():
    found, _ = run(clean(random.Random(3), 500))
    assert {name: f.evidence[:2] for name, f in found.items()} == {}


def noisy(seed=5):
    rows, flipped = labelled(random.Random(seed))
    found = hit(run(rows, "label_noise")[0], "label_noise")
    quiet = hit(run(labelled(random.Random(seed), noise=0)[0], "label_noise")[0], "label_noise")
    return len(found & flipped), len(flipped), len(found - flipped), len(quiet), len(rows)


def test_flipped_labels_are_doubted():
    found, there, false, quiet, rows = noisy()
    assert found >= 0.75 * there and false <= 0.15 * found and quiet <= 0.005 * rows


POOR = {
    "seven questions": [row(f"q number {i % 7}", "abc"[i % 3]) for i in range(400)],
    "one question": [row("the and of a", ["yes", "no"][i % 2]) for i in range(200)],
    "one row": [row("what is it now", "yes")] * 300,
    "no words": [row("\N{GRINNING FACE}" * (i % 5 + 1), "!?"[i % 2]) for i in range(200)],
    "numbers": [row(str(i), str(i % 5)) for i in range(300)],
    "five of a class": [row(prose(random.Random(i), 1), f"c{i // 5}") for i in range(150)],
}


@pytest.mark.parametrize("name", POOR)
def test_no_library_warns_the_user_whatever_the_rows(name):
    """Models that do not converge, topics that fall together, variances of nothing: ours to say, in our words."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(POOR[name])


def test_a_model_that_is_still_learning_is_told_beside_the_checks_name(monkeypatch):
    monkeypatch.setattr(label_noise, "PASSES", 2)
    check = label_noise.LabelNoise()
    subjects = [
        Subject(Example(each), "rows.jsonl", i + 1) for i, each in enumerate(labelled(random.Random(1), 200)[0])
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check.end(Survey(200, subjects, Options()))
    assert "still learning after 2 passes" in check.unseen


def test_answers_of_another_form_are_found():
    rng = random.Random(1)
    rows = [
        row(prose(rng, 1), f"{rng.choice('ABC')}{rng.randrange(10, 99)}.{rng.randrange(9)} - {rng.choice(WORDS)}")
        for _ in range(300)
    ]
    odd = {
        3: "the code is the usual one",
        90: '{"code": "A10.1"}',
        200: "a10.1 - river",
        250: "E11.4 - " + "very long words " * 30,
    }
    for index, answer in odd.items():
        rows[index] = answered(rows[index], answer)
    assert hit(run(rows, "form")[0], "form") == set(odd)


def test_two_spellings_of_one_label_and_signs_that_make_two():
    rng = random.Random(1)
    rows = [row(prose(rng, 1), rng.choice(["card_lost", "C++", "C", "-1", "1"])) for _ in range(200)]
    rows[7], rows[8] = answered(rows[7], "Card lost"), answered(rows[8], "card-lost")
    assert hit(run(rows, "spelling")[0], "spelling") == {7, 8}


def test_thin_classes_one_answer_and_one_source():
    rng = random.Random(2)
    rows = [row(prose(rng, 1), "yes" if i % 3 else "no") for i in range(200)] + [
        row(prose(rng, 1), "rare") for _ in range(4)
    ]
    found, measures = run(rows)
    assert [e.note for e in found["balance"].evidence] == ["rare: 4 rows", "no: 67 rows"]
    assert measures["balance"]["classes"]["no"] == 67 and measures["balance"]["smallest"] == 4
    assert "size-classification asks for" in found["balance"].reason and "'rare', has 4" in found["balance"].reason
    own = run(rows, smallest_class=5)[0]["balance"]
    assert [e.note for e in own.evidence] == ["rare: 4 rows"] and "you set" in own.reason
    assert "constant" not in found
    same = [row(prose(rng, 1), "yes") for _ in range(97)] + [row(prose(rng, 1), prose(rng)) for _ in range(3)]
    assert run(same)[0]["constant"].rows == 97
    one = [row(prose(rng, 1), prose(rng), source="a" if i % 50 else "b") for i in range(200)]
    assert "come from a" in run(one)[0]["spread"].reason


def test_what_gives_an_answer_away_is_told_and_even_rows_are_not():
    rng = random.Random(5)
    even = [row(prose(rng, 1), rng.choice("abc"), source=rng.choice(["x", "y", "z"])) for _ in range(300)]
    assert "skew" not in run(even)[0]
    one = [{**answered(r, "d"), "source": "x"} if i % 3 == 0 and r["source"] == "x" else r for i, r in enumerate(even)]
    assert "skew" in (found := run(one)[0]) and "'d'" in found["skew"].evidence[0].note
    long = [row(prose(rng, 6 if i % 4 == 0 else 1), "a" if i % 4 == 0 else rng.choice("bc")) for i in range(300)]
    assert any("longer" in e.note for e in run(long)[0]["skew"].evidence)
    pairs = [{"prompt": prose(rng, 1), "chosen": prose(rng, 4), "rejected": prose(rng, 1)} for _ in range(60)]
    assert run(pairs)[0]["skew"].detail == {"kinds": {"preference": 1}}
    fair = [{**p, "chosen": p["rejected"], "rejected": p["chosen"]} if i % 2 else p for i, p in enumerate(pairs)]
    assert "skew" not in run(fair)[0]
    tail = [row(prose(rng, 1), prose(rng, 60 if i % 20 == 0 else 1)) for i in range(200)]
    assert run(tail)[0]["skew"].detail == {"kinds": {"answers": 1}} and "skew" not in run(clean(rng, 300))[0]


def test_variety_and_its_measures():
    rng = random.Random(2)
    dull = [row(f"Please tell me the price of item {i % 5} in the shop today", prose(rng)) for i in range(300)]
    assert "diversity" in run(dull)[0] and "diversity" not in run(clean(rng, 300))[0]
    assert distinct_pairs(["a b", "a b"]) == 0.5 and packing(["same text " * 50]) < 0.1
    apart = ["apple pear", "river boat", "music note", "winter snow"]
    assert vendi(apart) == pytest.approx(4, abs=1e-6) and vendi(["apple pear"] * 4) == pytest.approx(1, abs=1e-6)


def test_a_topic_that_only_the_test_set_has_is_named():
    rng = random.Random(4)
    train = [Subject(Example(row(" ".join(rng.choices(WORDS[:20], k=12)), "a")), "train.jsonl", i) for i in range(200)]
    strange = ["volcano", "lava", "crater", "magma", "eruption", "ash", "tremor"]
    test = tuple(
        Subject(Example(row(" ".join(rng.choices(strange, k=12)), "a")), "test.jsonl", i, role="test")
        for i in range(30)
    )
    from curation.quality.topics import Topics

    finding = Topics().end(Survey(200, train, Options(test=test)))
    assert finding and finding.rows >= 25 and any(word in finding.evidence[0].note for word in strange)


def test_listed_words_are_off_unless_given():
    rows = [row("the darn thing", "yes, darning is fine"), row("Darn!", "x")]
    assert "words" not in run(rows)[0] and hit(run(rows, words=("darn",))[0], "words") == {0, 1}


def test_tokens_are_counted_by_the_given_tokenizer():
    rows = [row("a " * 100, "b"), row("a", "b")]
    found, _ = run(rows, context=50, count_tokens=lambda text: len(text.split()))
    assert hit(found, "over_long") == {0} and "111 tokens, 50 fit" in found["over_long"].evidence[0].note


def test_check_digits():
    assert is_card("4111 1111 1111 1111") and not is_card("4111 1111 1111 1112") and not is_card("1234")
    assert is_iban("GB82 WEST 1234 5698 7654 32") and not is_iban("GB82 WEST 1234 5698 7654 33")
    assert is_phone("+44 20 7946 0958", "") and not is_phone("2026-11-25", "") and not is_phone("1,299", "")


def test_masking_hides_what_was_found_and_nothing_else():
    text = "Ann, ann@mail.org, +49 30 1234567, DE89 3704 0044 0532 0130 00 AND key AKIAABCDEFGHIJKLMNOP, E11.42."
    assert mask(text) == "Ann, [EMAIL], [PHONE], [IBAN] AND key [KEY], E11.42."
    assert [s.kind for s in find_personal(text)] == ["EMAIL", "PHONE", "IBAN"] and len(find_secrets(text)) == 1
    found, _ = run([row(text, "x"), *clean(random.Random(1), 30)])
    for finding in found.values():
        assert all(
            "ann@" not in shown and "AKIA" not in shown for e in finding.evidence for shown in (*e.texts, e.note)
        )


def table():
    """Lines of Markdown: check, planted and found, false alarms."""
    yield "| check | planted | found | recall | false alarms |"
    yield "|---|---|---|---|---|"
    for name in CASES:
        found, there, false, sound = (sum(c) for c in zip(*(measured(name, s, 1000) for s in range(10)), strict=True))
        yield f"| {name} | {there:,} | {found:,} | {found / there:.3f} | {false:,} of {sound:,} |"
    found, there, false, _, rows = (sum(column) for column in zip(*(noisy(seed) for seed in range(10)), strict=True))
    yield f"| label_noise | {there:,} | {found:,} | {found / there:.3f} | {false:,} of {rows - there:,} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
