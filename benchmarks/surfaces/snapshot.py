"""What a look at the record costs, in milliseconds: with 200 runs, and with 2,000 of which the newest 200 are read.

Each figure is the median of 20 looks in one process; the first line is a fresh process, with its imports. Meant: 60 ms
of CPU a look at 200 runs of a hundred metrics each, under 1 ms for the question whether there is news, and no MLflow.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

FRESH = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
from mlnb.tracking.snapshot import snapshot
snapshot().record().run.read_report()
print(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu), "mlflow" in sys.modules)
"""


def median(call, many: int = 20) -> float:
    """Milliseconds of a call."""
    took = []
    for _ in range(many):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return round(1e3 * statistics.median(took), 3)


def main() -> None:
    """Build the workspaces and measure."""
    from helpers_lived import build, copy_lived
    from test_snapshot import add_runs

    from mlnb.tracking.snapshot import news, snapshot

    found: dict[str, object] = {
        "machine": f"{os.cpu_count()} × {platform.machine()}",
        "python": platform.python_version(),
    }
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder) / "made")
        for runs in (200, 2000):
            workspace = copy_lived(made, Path(folder) / str(runs))
            add_runs(workspace, runs - 4)
            os.environ["MLNB_WORKSPACE"] = str(workspace.root)
            done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
            wall, cpu, heavy = done.stdout.split()
            seen = snapshot(workspace)
            found[f"{runs} runs"] = {
                "fresh process (wall, CPU)": [round(float(wall)), round(float(cpu))],
                "MLflow imported": heavy == "True",
                "runs read": len(seen.runs),
                "look": median(lambda at=workspace: snapshot(at)),
                "record": median(seen.record),
                "report of each run": median(
                    lambda at=workspace: [run.read_report() for run in snapshot(at).runs[:15]]
                ),
                "news": median(lambda at=workspace: news(at), 200),
            }
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
