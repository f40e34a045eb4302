"""A closed set of answers as a tree of tokens: the model walks it and cannot leave it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

END = -1
"""Key of a node at which an answer is complete; its value is that answer's number."""

Node = dict[int, Any]


def build(sequences: Sequence[Sequence[int]]) -> Node:
    """Return the tree of all sequences. Two answers of the same tokens count as the first."""
    root: Node = {}
    for number, sequence in enumerate(sequences):
        node = root
        for token in sequence:
            node = node.setdefault(token, {})
        node.setdefault(END, number)
    return root


def forced(node: Node) -> tuple[list[int], Node]:
    """Return the tokens that follow without a choice, and the node behind them."""
    tokens: list[int] = []
    while len(node) == 1 and END not in node:
        ((token, node),) = node.items()
        tokens.append(token)
    return tokens, node


def is_settled(node: Node) -> bool:
    """True if the answer is complete and nothing else is possible."""
    return len(node) == 1 and END in node
