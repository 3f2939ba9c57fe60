"""Branch coverage, whole, of the modules that decide which paths, parameters, settings and records are touched.

Their own tests are run alone, in one process under coverage: a line that only some distant test happens to run is not
looked at by anyone. A branch that cannot run here says why in the source (`pragma: no cover`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    *(
        "core/answers",
        "core/checklist",
        "core/files",
        "core/ledger",
        "core/secrets",
        "core/settings",
        "core/twins",
        "core/workspace",
    ),
    *("pipelines/kinds", "pipelines/template", "tracking/anchor", "tracking/marks"),
)
TESTS = ("test_paths", "test_template", "test_checklist", "test_secrets", "test_ledger")
LEFT_OUT = (  # they need a workspace with models, or look at the time
    *("test_secrets.py::test_nothing_of_ours_is_taken_for_a_secret", "test_secrets.py::test_no_text_makes_it_slow"),
    *(
        "test_secrets.py::test_no_byte_of_a_secret_is_written",
        "test_secrets.py::test_without_masking_they_would_be_found",
    ),
    "test_secrets.py::test_what_is_written_says_that_something_was_masked",
    "test_secrets.py::test_a_masked_report_is_the_one_that_its_digest_stands_for",
    "test_secrets.py::test_pictures_stay_and_large_texts_take_no_long_time",
)


def measure(folder: Path) -> tuple[int, str]:
    """Run the tests under coverage; status and what is to be said."""
    coverage = [sys.executable, "-m", "coverage"]
    data = f"--data-file={folder / 'coverage'}"
    include = "--include=" + ",".join(f"mlnb/{module}.py" for module in MODULES)
    tests = [f"tests/{name}.py" for name in TESTS]
    quiet = ["-q", "-p", "no:cacheprovider", "-m", "not long"]
    quiet += [f"--deselect=tests/{name}" for name in LEFT_OUT]
    run = [*coverage, "run", "--branch", data, include, "-m", "pytest", *quiet, *tests]
    environment = {**os.environ, "COVERAGE_CORE": "ctrace"}
    done = subprocess.run(run, cwd=ROOT, env=environment, text=True, capture_output=True)
    if done.returncode:
        return done.returncode, done.stdout + done.stderr
    seen = subprocess.run(
        [*coverage, "report", data, "--show-missing", "--skip-covered", "--fail-under=100", "--precision=2"],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    return seen.returncode, seen.stdout + seen.stderr


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        status, said = measure(Path(folder))
    if status:
        print(said)
    return status


if __name__ == "__main__":
    sys.exit(main())
