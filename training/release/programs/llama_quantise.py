"""Run as a script, in a process of its own: one GGUF to another type by llama.cpp's library.

`python llama_quantise.py LIBRARY IN OUT FTYPE THREADS`. A fault inside the library ends this process and no other.
"""

from __future__ import annotations

import ctypes
import sys


class Parameters(ctypes.Structure):
    """The head of `llama_model_quantize_params`, and room: the library fills the rest, whichever version it is."""

    _fields_ = [("threads", ctypes.c_int32), ("ftype", ctypes.c_int32), ("rest", ctypes.c_char * 504)]


def quantise(library: str, source: str, target: str, ftype: int, threads: int) -> int:
    """Return the library's own code: 0 if the file is written."""
    llama = ctypes.CDLL(library)
    llama.llama_model_quantize_default_params.restype = Parameters
    llama.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(Parameters)]
    llama.llama_model_quantize.restype = ctypes.c_uint32
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype, parameters.threads = ftype, threads
    llama.llama_backend_init()
    return int(llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters)))


if __name__ == "__main__":
    sys.exit(min(1, quantise(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))))
