"""The inner loops, compiled by numba where it is installed. Same bits as the numpy code that they replace.

Imported inside functions only: numba costs a quarter of a second and 100 MB. Compiled code is kept on disk between
runs. Loops are written out, as a call less is what compiling is for: these functions are longer than others.
"""

from __future__ import annotations

from curation.kernels.hashing import grams_of_encoded, hash_encoded, words_of_encoded
from curation.kernels.joining import band_join, exact_join, shared_of
from curation.kernels.lining import read_lines
from curation.kernels.probing import Probe
from curation.kernels.shorts import ShortProbe
from curation.kernels.signing import band_keys_of, signatures_of
from curation.kernels.weighing import weigh

__all__ = [
    "Probe",
    "ShortProbe",
    "band_join",
    "band_keys_of",
    "exact_join",
    "grams_of_encoded",
    "hash_encoded",
    "read_lines",
    "shared_of",
    "signatures_of",
    "weigh",
    "words_of_encoded",
]
