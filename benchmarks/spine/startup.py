"""What starting costs, in CPU milliseconds: the import, the extension, the first `%drift`, and a refused parameter.

Each figure is the median of fresh processes. Budgets: no third-party module for the import, 25 ms for the extension,
600 ms for the first drift of 12 columns, 600 ms for a refusal.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

IMPORT = "import time; a = time.process_time(); import mlnb; print(1e3 * (time.process_time() - a))"
EXTENSION = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
a = time.process_time(); shell.run_line_magic("load_ext", "mlnb"); print(1e3 * (time.process_time() - a))
"""
FIRST_DRIFT = """
import time
import numpy as np, pandas as pd
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "mlnb")
rng = np.random.default_rng(0)
def frame():
    numbers = {f"n{i}": rng.normal(size=5_000) for i in range(9)}
    return pd.DataFrame(numbers | {f"c{i}": rng.choice(list("abcdef"), 5_000) for i in range(3)})
shell.user_ns |= {"ref": frame(), "cur": frame()}
a = time.process_time()
shell.run_line_magic("drift", "ref cur").to_html()
print(1e3 * (time.process_time() - a))
"""


def median(code: str, repeats: int = 7) -> float:
    """Median of what fresh processes print."""
    return statistics.median(
        float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(repeats)
    )


def refusal(repeats: int = 5) -> float:
    """CPU of a whole `mlnb run` that refuses a bad parameter, in milliseconds."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MLNB_WORKSPACE": folder}
        for _ in range(repeats):
            before = os.times()
            done = subprocess.run(
                [sys.executable, "-m", "mlnb", "run", "train", "-p", "sed=3"], env=environment, capture_output=True
            )
            after = os.times()
            if done.returncode != 2:
                raise SystemExit(f"expected exit status 2, got {done.returncode}: {done.stderr.decode()}")
            figures.append(
                1e3 * (after.children_user + after.children_system - before.children_user - before.children_system)
            )
    return statistics.median(figures)


def main() -> None:
    """Print the figures and write them as JSON when a path is given."""
    figures = {
        "import mlnb": (median(IMPORT), None),
        "%load_ext mlnb": (median(EXTENSION), 25),
        "first %drift, 12 columns × 5,000 rows, with HTML": (median(FIRST_DRIFT), 600),
        "mlnb run refuses a bad parameter": (refusal(), 600),
    }
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores; CPU ms")
    for name, (value, budget) in figures.items():
        print(f"{name:52s} {value:8.1f}" + (f"   budget {budget}" if budget else ""))
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
