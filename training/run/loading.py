"""How far a base model has loaded, layer by layer, as transformers puts its weights into place."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LAYER = re.compile(r"\.(\d+)\.")
LOADING = "Loading weights"
"""What transformers calls the loop over the weights."""
EVERY = 0.5
"""Seconds between two tellings."""


@contextmanager
def told_by_layer(tell: Callable[[int, int], None]) -> Iterator[None]:
    """While this is open `tell(layers that are whole, all layers)` is called as models load."""
    from transformers.utils import logging

    def hook(make: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        line = make(*args, **named)
        return _heard(line, list(args[0]), tell) if named.get("desc") == LOADING and args else line

    before = logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


def _heard(line: Iterable[Any], weights: list[tuple[str, Any]], tell: Callable[[int, int], None]) -> Iterator[Any]:
    """The same weights, `(name, what it is made of)`, in the order of their layers."""
    total = len({number for name, _ in weights if (number := _layer(name))})
    begun: set[str] = set()
    last = 0.0
    for weight in line:
        number = _layer(weight[0])
        if number and number not in begun:
            begun.add(number)
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                tell(len(begun) - 1, total)
        yield weight
    if total:
        tell(total, total)


def _layer(name: str) -> str:
    found = LAYER.search(name)
    return found[1] if found else ""
