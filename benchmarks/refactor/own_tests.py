"""Whether the tests that a package is written with fail when the package is damaged.

    python -m benchmarks.refactor.own_tests tests/notebooks --only ab_test [--many 20] [--missed]

Each notebook is converted, and its project written. Then damages are made as for the deep proof, one at a time, in code
that ran; those without any effect (nothing differs to the last bit, no pixel) are left aside. With each of the others
in its place the project's own tests run, and ought to fail. First they run on the package as it is, and ought to pass.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.refactor.common import asked, converted, written
from mlnb.refactoring.convert import Conversion, write_source
from mlnb.refactoring.forks import Forks, imported
from mlnb.refactoring.mutants import Mutant
from mlnb.refactoring.mutants import mutants as make_mutants
from mlnb.refactoring.mutation import MISSED, NOTICED, Clean, Damage, job_of, judge, run_clean

COLUMNS = ("notebook", "tests fail", "tests pass", "no effect", "one run of the tests")


def damages(made: Conversion, many: int, folder: Path) -> Iterator[tuple[Mutant, Damage]]:
    """Damaged packages, each with what the proof says of it."""
    with Forks(imported(made.source.files)) as forks:
        clean: Clean = run_clean(made, forks, folder, 600)
        found = make_mutants(made.source, many, live=clean.live)
        jobs = []
        for at, mutant in enumerate(found):
            damaged = {**made.source.files, mutant.file: mutant.text}
            write_source(type(made.source)(made.source.name, damaged, made.source.order), folder / f"mutant_{at}")
            jobs.append(job_of(made, folder / f"mutant_{at}", clean.limit))
        for job, outcome in forks.run(jobs):
            mutant = found[int(job.name.removeprefix("mutant_"))]
            yield mutant, judge(mutant, outcome, made, clean)


def run_tests(project: Path) -> tuple[bool, str, float]:
    """Whether a project's tests pass, what they said last, and their seconds."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests"]
    try:
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "they do not end", time.monotonic() - began
    failed = re.findall(r"^(?:FAILED|ERROR) .*", done.stdout, re.M)
    return done.returncode == 0, (failed or [done.stdout.strip()[-200:]])[0], time.monotonic() - began


def tried(name: str, made: Conversion, many: int, tell: bool) -> Iterator[str]:
    """A line of the table, and what the tests did not notice."""
    home = Path(tempfile.mkdtemp(prefix="mlnb-own-tests-"))
    try:
        project = home / "project"
        written(made, project)
        passes, said, seconds = run_tests(project)
        if not passes:
            yield f"| {name} | the tests of the package as it is fail: {said} |"
            return
        found = sorted(damages(made, 2 * many, home / "damaged"), key=lambda pair: pair[0].says)
        found = [pair for pair in found if pair[1].state in (NOTICED, MISSED)]
        without = min(2 * many, 2 * many - len(found))
        fails, missed = 0, []
        for mutant, damage in found[:: max(1, len(found) // many)][:many]:
            file = project / "src" / made.source.name / mutant.file
            kept = file.read_text(encoding="utf-8")
            file.write_text(mutant.text, encoding="utf-8")
            passes, _, _ = run_tests(project)
            file.write_text(kept, encoding="utf-8")
            fails += not passes
            missed += [f"  {mutant.says} [the proof: {damage.state}, {damage.where[:160]}]"] if passes else []
        yield f"| {name} | {fails} | {len(missed)} | {without} of {2 * many} | {seconds:.0f} s |"
        yield from missed if tell else ()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Print the table."""
    parser = asked(str(__doc__))
    parser.add_argument("--many", type=int, default=20, help="damages with an effect, of each package")
    parser.add_argument("--missed", action="store_true", help="list what the tests did not notice")
    given = parser.parse_args()
    for name, made, _ in converted(given, COLUMNS):
        for said in tried(name, made, given.many, given.missed):
            print(said, flush=True)


if __name__ == "__main__":
    main()
