"""What the deep proof finds: mutation score, second input and turned knobs of notebooks, as one table.

    python -m benchmarks.refactor.deep tests/notebooks [--many 50] [--only ab_test ...] [--missed]

The folder holds a `list.json` (or `notebooks.json`) with `id`, `folder` and `path`. `--missed` lists every damage that
the proof did not notice, and those without effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.refactor.common import asked, converted, line
from mlnb.refactoring.deep import DeepProof, deep

COLUMNS = ("notebook", "score", "noticed", "missed", "no effect", "second input", "knobs", "converted", "deep")


def row(name: str, found: DeepProof, seconds: float) -> list[object]:
    """One line of the table."""
    count, score = found.mutants.count, found.mutants.score
    inputs, knobs = (
        f"{t.count['agrees']} of {t.count['agrees'] + t.count['differs']}" for t in (found.inputs, found.knobs)
    )
    effect = count["equivalent"] + count["drowned"]
    said = "-" if score is None else f"{100 * score:.0f} %"
    return [
        name,
        said,
        count["noticed"],
        count["missed"],
        effect,
        inputs,
        knobs,
        f"{seconds:.0f} s",
        f"{found.seconds:.0f} s",
    ]


def details(found: DeepProof) -> Iterator[str]:
    """What was missed, what differs, what was skipped."""
    for damage in found.mutants.damages:
        if damage.state != "noticed":
            yield f"  {damage.state}: {damage.says} [{damage.where}]"
    for trial in (*found.inputs.trials, *found.knobs.trials):
        if trial.state != "agrees":
            yield f"  {trial.state}: {trial.name} ({trial.says}) [{trial.where}]"
    if found.unable:
        yield f"  {found.unable}"


def main() -> None:
    """Print the table."""
    parser = asked(str(__doc__))
    parser.add_argument("--many", type=int, default=50, help="damages of each package")
    parser.add_argument("--missed", action="store_true", help="list what was missed")
    given = parser.parse_args()
    for name, made, seconds in converted(given, COLUMNS):
        found = deep(made, mutants=given.many, timeout=600)
        line(row(name, found, seconds))
        if given.missed:
            print("\n".join(details(found)), flush=True)


if __name__ == "__main__":
    main()
