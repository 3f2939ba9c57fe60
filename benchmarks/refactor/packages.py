"""Whether packages hold where nothing but their pinned requirements is installed, and what their conversion costs.

    python -m benchmarks.refactor.packages tests/notebooks [--only ab_test ...] [--said]

Each notebook is converted and its project written, timed as a whole: the time allowed is four runs of the notebook and
five seconds, a run being the one in a fresh kernel that the proof makes. Then its tests run in a fresh environment with
nothing but its `requirements.txt` in it; packages with the same pins share one. Two of the tests are counted apart: a
second run in the same process is equal, and importing reads no data, draws nothing, seeds nothing, prints nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.refactor.common import asked, converted, line, written
from mlnb.refactoring.convert import Conversion

COLUMNS = ("notebook", "a run", "conversion", "allowed", "tests", "run twice", "quiet import", "shown, drawn, written")
TWICE, QUIET = "test_second_run_in_one_process_is_equal", "test_importing_does_nothing"
RUNS, MORE = 4, 5.0  # what a conversion may take: so many runs, and seconds

Outcomes = dict[str, list[str]]  # test function → the outcome of each of its cases


class Environments:
    """Fresh environments by their pins."""

    def __init__(self, home: Path) -> None:
        self.home, self.made = home, dict[str, Path]()

    def python_for(self, requirements: Path) -> Path:
        """The interpreter of an environment that holds what a file asks for, and nothing else."""
        pins = "\n".join(sorted(pin for pin in requirements.read_text().splitlines() if not pin.startswith("#")))
        if pins not in self.made:
            folder = self.home / f"environment_{len(self.made)}"
            venv.create(folder, with_pip=True)
            python = folder / "bin" / "python"
            command = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--requirement", requirements]
            subprocess.run([*map(str, command)], check=True, env=plain())
            self.made[pins] = python
        return self.made[pins]


def plain() -> dict[str, str]:
    """The environment variables without those that this process was told for Python."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COVERAGE", "MPL", "PYTHON", "VIRTUAL"))}


def run_tests(python: Path, project: Path) -> Outcomes:
    """Run a project's tests; what cannot be collected is an error."""
    out = project.parent / f"{project.name}.xml"
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={out}", "tests"]
    done = subprocess.run(
        [*map(str, command)], cwd=project, env=plain(), capture_output=True, text=True, timeout=1800, check=False
    )
    if not out.exists():
        return {done.stdout[-300:] or done.stderr[-300:]: ["error"]}
    found: Outcomes = {}
    for case in ElementTree.parse(out).getroot().iter("testcase"):
        states = [part.tag for part in case if part.tag in ("failure", "error", "skipped")]
        found.setdefault(case.get("name", "").split("[")[0], []).append(states[0] if states else "passed")
    return found


def said(outcomes: Outcomes) -> str:
    """Outcomes in words."""
    count = Counter(state for states in outcomes.values() for state in states)
    return ", ".join(f"{many} {state}" for state, many in sorted(count.items()))


def shown(made: Conversion) -> str:
    """What the proof says of everything but the final values."""
    count = Counter(item.state for item in made.proof.items if item.what != "binding")
    return ", ".join(f"{many} {state}" for state, many in sorted(count.items())) or "nothing"


def main() -> None:
    """Print the table."""
    parser = asked(str(__doc__))
    parser.add_argument("--said", action="store_true", help="name the tests that do not pass")
    given = parser.parse_args()
    total: Counter[str] = Counter()
    home = Path(tempfile.mkdtemp(prefix="mlnb-packages-"))
    try:
        environments = Environments(home)
        for name, made, seconds in converted(given, COLUMNS):
            began, project = time.monotonic(), home / name
            written(made, project)
            whole, a_run = seconds + time.monotonic() - began, made.proof.seconds["notebook"]
            outcomes = run_tests(environments.python_for(project / "requirements.txt"), project)
            tests = [state for states in outcomes.values() for state in states]
            held = [outcomes.get(test, ["missing"]) == ["passed"] for test in (TWICE, QUIET)]
            allowed = RUNS * a_run + MORE
            cells = [f"{a_run:.1f} s", f"{whole:.1f} s", f"{allowed:.1f} s", said(outcomes)]
            line([name, *cells, *("yes" if yes else "no" for yes in held), shown(made)])
            if given.said:
                print("\n".join(f"  {test}: {states}" for test, states in outcomes.items() if {*states} != {"passed"}))
            total["packages"] += 1
            total["in time"] += whole <= allowed
            total["green"] += {*tests} <= {"passed", "skipped"} and "passed" in tests
            total["twice"] += held[0]
            total["quiet"] += held[1]
            total["shown"] += {item.state for item in made.proof.items if item.what != "binding"} <= {"equal", "close"}
            shutil.rmtree(project, ignore_errors=True)
        counts = [f"{total[key]} of {total['packages']}" for key in ("in time", "green", "twice", "quiet", "shown")]
        line(["all", "", f"in time: {counts[0]}", "", *counts[1:]])
        print(f"{len(environments.made)} environments; Python {sys.version.split()[0]}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
