"""Dedup and leakage by the letter of the contract's Similarity section, on files with every oddity a line may have."""

import gzip
import json
import random

from curation.example import chat_row as row

LONG = "the pump in hall four must be checked every morning before the shift begins and the result goes into the book "
WORDS = [a + b + c for a in ("bra", "tel", "mor", "sig", "van", "kup") for b in "aeiou" for c in ("ndor", "lik", "st")]


def prose(draw, count):
    return " ".join(draw.choice(WORDS) + str(draw.randrange(90)) * draw.randrange(2) for _ in range(count))


def test_which_answers_are_the_same(rung, tmp_path, lines):
    """One question each; the second row goes exactly where the answers are the same."""
    draw = random.Random(5)
    long = LONG * 2
    cases = [
        ("Yes.", "yes", True), ("say 'C'!", "Say C", True), ("1", "-1", False), ("1.0", "1.", False),
        ("C", "C++", False), ("left", "right", False), ("a,b", "ab", False), ("caf\u00e9", "cafe\u0301", True),
        (long + "end", long + "stop", True), (long + "take 5", long + "take 6", False),
        (long + "do", long + "do not", False), (long + "x = y", long + "x + y", False),
        (long + "turn left", long + "turn right", False), (long + "at 5", long + "at -5", False),
        (long + "it is 1.5", long + "it is 15", False), ("...", "!", False), ("stra\u00dfe", "STRASSE", True),
    ]  # fmt: skip
    rows = []
    for one, other, _ in cases:
        question = prose(draw, 30)
        rows += [row(question, one), row(f" {question.upper()} ", other)]
    lines("in.jsonl", rows)
    report = rung("data", "dedup", "in.jsonl", "-o", "out", "--removed", "gone", "--pairs", "pairs", "--json").json
    gone = {json.loads(line)["line"] for line in (tmp_path / "gone").read_text().splitlines()}
    assert gone == {2 * n for n, (_, _, same) in enumerate(cases, 1) if same}
    pairs = [json.loads(line) for line in (tmp_path / "pairs").read_text().splitlines()]
    apart = {2 * n - 1 for n, (_, _, same) in enumerate(cases, 1) if not same}
    assert {p["line"] for p in pairs if p["kind"] == "contradiction"} == apart
    assert report["exact"] == len(gone)
    assert report["read"] == report["kept"] + report["exact"] + report["near"]


def test_words_chains_context_and_the_template(rung, tmp_path, lines):
    draw = random.Random(7)
    chain = prose(draw, 60).split()
    second = [*chain[:-5], *prose(draw, 5).split()]
    third = [*prose(draw, 5).split(), *second[5:]]
    rows = [
        row(" ".join(chain), "ok"), row(" ".join(second), "ok"), row(" ".join(third), "ok"),
        row("\u6771\u4eac\u306e\u5929\u6c17", "a"), row("\u6771\u4eac\u306e\u5929\u6c17\u3002", "a"),
        row("???", "a"), row("???", "a"), row("? ??", "a"),
        row("How to reset it", "a", "be brief"), row("how to  RESET it", "a", "be long"),
        row("how to RESET it", "a", "be brief"), row("please open the big red door of the old hall now", "x"),
        row("please open the big red doors of the old hall now", "x"),
    ]  # fmt: skip
    lines("in.jsonl", rows)
    report = rung("data", "dedup", "in.jsonl", "-o", "out", "--removed", "gone", "--pairs", "pairs", "--json").json
    gone = {(d := json.loads(line))["line"]: d for line in (tmp_path / "gone").read_text().splitlines()}
    assert set(gone) == {2, 3, 5, 7, 11}
    assert gone[3]["kept_line"] == 1
    assert gone[3]["similarity"] < 0.8
    assert gone[3]["via"]["line"] == 2
    assert report["short_near"] == 1
    instruction = "Sort the following note into exactly one of the three groups that the manual names"
    asked = [row(f"{instruction}: {prose(draw, 6)}", "A1") for _ in range(60)]
    lines("template.jsonl", asked)
    report = rung("data", "dedup", "template.jsonl", "-o", "out", "--json").json
    assert report["kept"] == 60
    assert instruction.lower() in report["template"]


def test_malformed_lines_never_vanish(rung, tmp_path):
    good = json.dumps(row("a question", "an answer")).encode()
    turn = b'{"messages":[{"role":"user","content":"q%s"},{"role":"assistant","content":"a"}]%s}'
    bad = [
        b"{oops", turn % (b"", b',"x":NaN'), turn % (b"", b',"x":1,"x":2'), turn % (b"\\ud800", b""),
        turn % (b"\\u0000", b""), turn % (b"\xff", b""), b"[1]", b'{"messages":[]}', b'{"messages":[{"role":"user",'
        b'"content":"q"},{"role":"assistant","content":""}]}',
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([good, b"", *bad]))
    ran = rung("data", "dedup", "in.jsonl", "-o", "out", "--json")
    assert ran.code == 2
    assert [p["where"] for p in ran.error["problems"]] == [f"in.jsonl line {n}" for n in range(3, 12)]
    assert not (tmp_path / "out").exists()
    report = rung("data", "dedup", "in.jsonl", "-o", "out", "--rejects", "rejects", "--json").json
    rejects = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert [(r["line"], r["raw"].encode("utf-8", "surrogateescape")) for r in rejects] == list(enumerate(bad, 3))
    assert (report["read"], report["kept"], report["rejected"]) == (10, 1, 9)


def test_one_leak_copied_many_times_is_found_as_surely_as_once(rung, tmp_path, lines):
    """Each copy stands among other words, so that no two rows are alike; suspects and labels stay in train."""
    draw = random.Random(11)
    question, answer, said = prose(draw, 30), prose(draw, 25), prose(draw, 25)
    test = [row(question, answer), row(prose(draw, 30), said), row("pump stuck", "E-17"), row(prose(draw, 9), "E-17")]
    twin = prose(draw, 60).split()
    test += [row(" ".join(twin), "left"), *(row(prose(draw, 20), prose(draw, 9)) for _ in range(6))]
    clean = [row(prose(draw, 30), prose(draw, 20)) for _ in range(60)]
    clean += [row(" ".join([*twin[:-1], "other"]), "right"), row("the manual says pump stuck is bad news", "E-17")]
    leaks = [row(f"{prose(draw, 30)} {question} {prose(draw, 5)}", answer) for _ in range(40)]
    leaks += [row(f"please rewrite {said} {prose(draw, 30)}", prose(draw, 9)) for _ in range(40)]
    lines("test.jsonl", test)
    train = clean + leaks
    draw.shuffle(train)
    lines("train.jsonl", train)
    ran = rung("data", "leakage", "--train", "train.jsonl", "--test", "test.jsonl", "--clean", "clean", "--json")
    assert ran.code == 1
    assert ran.json["leaked_test"] == 2
    assert {leak["test_line"] for leak in ran.json["leaks"]} == {1, 2}
    assert 5 in {suspect["test_line"] for suspect in ran.json["suspects"]}
    kept = [json.loads(line) for line in (tmp_path / "clean").read_text().splitlines()]
    assert kept == [each for each in train if each in clean]
    assert rung("data", "leakage", "--train", "clean", "--test", "test.jsonl").code == 0


def test_a_question_that_all_rows_share_is_no_template(rung, lines):
    lines("in.jsonl", [row("who opens the hall on monday", "the guard")] * 40)
    ran = rung("data", "dedup", "in.jsonl", "-o", "out.jsonl", "--json")
    assert (ran.json["kept"], ran.json["template"]) == (1, None)


def test_an_output_that_ends_in_gz_is_packed(rung, tmp_path, lines):
    good = json.dumps(row("who opens the hall on monday", "the guard of the north gate does so at six"))
    (tmp_path / "in.jsonl").write_text(f"{good}\n{good}\n{{oops\n")
    lines("test.jsonl", [json.loads(good)])
    lines("train.jsonl", [json.loads(good), row("how hot may the oil of the pump be in winter", "ninety")])
    outputs = ("-o", "kept.gz", "--removed", "removed.gz", "--pairs", "pairs.gz", "--rejects", "rejects.gz")
    assert rung("data", "dedup", "in.jsonl", *outputs).code == 0
    assert rung("data", "leakage", "--train", "train.jsonl", "--test", "test.jsonl", "--clean", "clean.gz").code == 1
    names = ("kept", "removed", "pairs", "rejects", "clean")
    read = [gzip.decompress((tmp_path / f"{name}.gz").read_bytes()) for name in names]
    assert [text.count(b"\n") for text in read] == [1, 1, 0, 1, 1]
    assert read[0].decode() == f"{good}\n"
    assert rung("data", "dedup", "kept.gz", "-o", "again.gz", "--json").json["kept"] == 1


def test_one_row_has_no_cluster_of_which_one_was_kept(rung, lines):
    lines("in.jsonl", [row("Who answers?", "Ann.")])
    assert "cluster" not in rung("data", "dedup", "in.jsonl", "-o", "out.jsonl").out
