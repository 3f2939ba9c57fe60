"""`python -m benchmarks.drift`: every benchmark of drift, one table of ratios.

Names choose some of them (`python -m benchmarks.drift peers windows`); `--quick` takes small sizes, `--full` measures
Evidently and SciPy on all columns (minutes), `--narrow` runs everything once more in a process whose NumPy may not use
AVX-512: on some CPUs its sort is six times faster then, ours and theirs alike.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.drift.measuring import Row, machine, table

MODULES = ("peers", "per_value", "windows", "profiles", "inputs", "outlier", "workloads", "parts", "gpu")


def main(argv: list[str] | None = None) -> int:
    """Run what was asked for and print the table; what prints for itself does so on the way."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MODULES)}; default: all that are there")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--full", action="store_true", help="the others on all columns, too")
    parser.add_argument("--narrow", action="store_true", help="once more without NumPy's AVX-512")
    asked = parser.parse_args(argv)
    here = Path(__file__).parent
    there = [name for name in MODULES if (here / f"{name}.py").exists()]
    if unknown := [name for name in asked.names if name not in there]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(there)}")
    print(machine(), flush=True)
    rows: list[Row] = []
    for name in asked.names or there:
        print(f"… {name}", file=sys.stderr, flush=True)
        run = importlib.import_module(f"benchmarks.drift.{name}").main
        options = {"quick": asked.quick, "full": asked.full, "arguments": []}
        taken = inspect.signature(run).parameters
        found = run(**{key: value for key, value in options.items() if key in taken})
        rows += [row for row in found if isinstance(row, Row)] if isinstance(found, list) else []
    print(f"\n{table(rows)}\n\n{machine()}")
    missed = [row.what for row in rows if row.holds is False]
    print(
        f"{sum(row.holds is True for row in rows)} goals hold, {len(missed)} do not"
        + "".join(f"\n  missed: {w}" for w in missed)
    )
    if asked.narrow and "NPY_DISABLE_CPU_FEATURES" not in os.environ:
        given = [word for word in (sys.argv[1:] if argv is None else argv) if word != "--narrow"]
        environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL"}
        print("\nOnce more, without AVX-512", flush=True)
        return subprocess.run([sys.executable, "-m", "benchmarks.drift", *given], env=environment).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
