"""Measured peaks of real small training runs against `rung estimate`, the source's table and LLaMA-Factory's rule.

    python -m benchmarks.memory                    all runs, a Markdown table on stdout (about 20 CPU minutes)
    python -m benchmarks.memory --only qwen3 -n 1  runs whose name holds `qwen3`, resident memory once
    python -m benchmarks.memory --prefix "nice -n 19" --out results.json

Each figure comes from a fresh process. `tensors` is the maximum of live tensor bytes from torch's profiler, from an
empty process to the end of the second optimiser step. `resident` is the peak of RssAnon above its value after the
imports, in a fork of a process that has done nothing but import, with MALLOC_ARENA_MAX=1 and small mmap and trim
thresholds, median of n. docs/measured.md says which constants come from which runs.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from benchmarks.memory.parent import Residents, live_tensors
from benchmarks.memory.runs import RUNS
from benchmarks.memory.table import table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("-n", type=int, default=3, help="how often resident memory is measured; 0: not")
    parser.add_argument("--no-tensors", action="store_true", help="leave the profiler's runs out")
    parser.add_argument("--prefix", default="", help="put before each child's command")
    parser.add_argument("--out", type=Path, help="keep (and go on from) the measurements in this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--what", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        from benchmarks.memory.child import child

        child(json.loads(options.child), options.what)
        return
    kept = json.loads(options.out.read_text()) if options.out and options.out.exists() else []
    prefix = shlex.split(options.prefix)
    residents = Residents(prefix) if options.n else None
    for spec in (spec for spec in RUNS if options.only in spec["name"]):
        result = next((result for result in kept if result["spec"] == spec), None)
        if result is None:
            result = {"spec": spec, "tensors": None, "resident": None}
            kept.append(result)
        if not result["tensors"] and not options.no_tensors:
            result["tensors"] = live_tensors(spec, prefix)
        if not result["resident"] and residents:
            result["resident"] = residents.measure(spec, options.n)
        print(f"{spec['name']}: done", file=sys.stderr)
        if options.out:
            options.out.write_text(json.dumps(kept, indent=1))
    print(table([result for result in kept if options.only in result["spec"]["name"]]))


if __name__ == "__main__":
    main()
