"""The passages that rag finds, the same in every process, and those that give test answers away."""

import os
import subprocess
import sys

from evaluation.measure import EvalItem
from evaluation.retrieval.documents import Passage, read_documents
from evaluation.testset.answer_key import documents_with_pairs

TIED = """
from evaluation.retrieval.documents import Bm25, Passage
times = enumerate([1, 2, 3, 5, 7, 11, 13])
names = [[f"p{k}x{i} " * n for i, n in enumerate([1, 2, 3, 5, 7, 11, 13])] for k in range(12)]
chunks = [Passage(f"d:{k}", "d", "".join(each)) for k, each in enumerate(names)]
query = " ".join(word.split()[0] for each in names for word in each)
print([chunk.id for chunk in Bm25(chunks).search(query, 12)])
"""


def found(seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run([sys.executable, "-c", TIED], env=env, capture_output=True, text=True, check=True).stdout


def test_equally_good_passages_come_in_the_same_order_in_every_process():
    assert {found(seed) for seed in "0123"} == {str([f"d:{k}" for k in range(12)]) + "\n"}


def test_an_answer_in_the_paragraph_after_its_question_is_a_pair(tmp_path):
    (tmp_path / "faq.md").write_text(
        "## How do I block a lost card?\n\nCall the bank at once.\n\n## Card?\n\nPlastic.\n\nThe end."
    )
    (tmp_path / "other.md").write_text("How do I block a lost card?")
    (tmp_path / "third.md").write_text("Call the bank at once.")

    def item(question: str, answer: str) -> EvalItem:
        return EvalItem(1, (), question, answer)

    chunks = read_documents(tmp_path)
    assert documents_with_pairs(chunks, [item("How do I block a lost card?", "call the bank")]) == {
        "faq.md:1",
        "faq.md:2",
    }
    assert documents_with_pairs(chunks, [item("How do I block a lost card?", "the end")]) == frozenset()
    assert documents_with_pairs(chunks, [item("Card?", "plastic")]) == frozenset(), "too short to be told from chance"
    assert documents_with_pairs([Passage("a:1", "a", "card? plastic")], [item("Card?", "plastic")]) == {"a:1"}
