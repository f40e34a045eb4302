"""Counts in words."""


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,640 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
