"""Python sources as trees."""

import ast
import gc
from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """Return a file's tree; nothing is collected meanwhile.

    Python 3.11 counts the depth of a tree in one place for all threads. A collection lets another thread run, and where
    that thread prints a traceback, which parses too, this parse ends in a `SystemError`.
    """
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()
