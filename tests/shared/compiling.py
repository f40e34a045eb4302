"""Compiles the loops of `curation` into the cache beside them, so that two workers need not do it at once."""

from curation.example import Example, chat_row
from curation.likeness.duplicates import dedup
from curation.likeness.leaks.find import find_leaks

if __name__ == "__main__":
    rows = [Example(chat_row(" ".join(f"w{n}x{k}" for k in range(12)), f"answer {n % 9}")) for n in range(60)]
    find_leaks(rows[:40], rows[30:], numba=True)
    for method in ("exact", "minhash"):
        dedup(rows, method=method, numba=True)
