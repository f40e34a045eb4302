"""Compiled loops, where numba is installed: texts to hashes, sets to near pairs, and the search for leaks.

Imported inside functions only: numba costs a quarter of a second and 100 MB. The machine code is kept
on disk between runs.
"""
