"""What the proof says of each notebook of a list: final values, displays, figures, printed text and files, by state.

    python -m benchmarks.refactor.proofs tests/notebooks [--only ab_test ...] [--all]

A final value is unproved where nothing in it can be compared; parts of plots (figures, axes, and what is drawn on them)
are counted apart from the others, since what they show is compared as a figure. `--all` names everything that is not
equal, with the reason that the proof gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from benchmarks.refactor.common import asked, converted, line
from mlnb.refactoring.convert import Conversion
from mlnb.refactoring.nodes import Node
from mlnb.refactoring.pieces import is_artist
from mlnb.refactoring.prove import PLOT, Proved

COLUMNS = ("notebook", "final values", "varies", "plot parts", "other unproved", "shown", "attempt", "seconds")
STATES = ("equal", "close", "varies", "unproved", "different", "dropped")


def counts(made: Conversion) -> tuple[Counter[str], Counter[str]]:
    """Final values by state, plot parts apart; everything else by state."""
    values: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for item in made.proof.items:
        if item.what == "binding":
            values["plot" if item.state == "unproved" and is_plot(made, item) else item.state] += 1
        else:
            shown[item.state] += 1
    return values, shown


def is_plot(made: Conversion, item: Proved) -> bool:
    """Whether a final value is a figure, axes, something drawn, or an array or a list of these."""
    return item.where == PLOT or all(is_artist(kind) for kind in opaque_kinds(made.trace.pictures[item.name]))


def opaque_kinds(node: Node) -> Iterator[str]:
    """The types of what cannot be looked into."""
    if node.form in ("seq", "map"):
        for part in node.value.values() if node.form == "map" else node.value:
            yield from opaque_kinds(part)
    elif node.form == "opaque":
        yield node.kind


def said(count: Counter[str]) -> str:
    """States in words."""
    return ", ".join(f"{count[state]} {state}" for state in STATES if count[state]) or "nothing"


def rest(made: Conversion) -> Iterator[str]:
    """What is not equal, and why."""
    for item in made.proof.items:
        if item.state != "equal" and not (item.state == "unproved" and item.what == "binding" and is_plot(made, item)):
            about = made.trace.bindings.get(item.name) if item.what == "binding" else None
            yield f"  {item.state}: {item.what} {item.name}{f' ({about.type})' if about else ''}: {item.where}"
    for name, why in made.tried:
        yield f"  tried: {name}: {why}"


def main() -> None:
    """Print the table."""
    parser = asked(str(__doc__))
    parser.add_argument("--all", action="store_true", help="name what is not equal")
    given = parser.parse_args()
    values: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    whole = many = 0
    for name, made, seconds in converted(given, COLUMNS):
        here, there = counts(made)
        cells = [name, here.total(), here["varies"], here["plot"], here["unproved"], said(there), made.attempt.name]
        line([*cells, f"{seconds:.0f}"])
        if given.all:
            print("\n".join(rest(made)), flush=True)
        values, shown, many = values + here, shown + there, many + 1
        whole += not there.keys() - {"equal", "close"}
    least = max(1, values.total())
    kinds = ("varies", "plot", "unproved")
    shares = [f"{values[key]} ({100 * values[key] / least:.1f} %)" for key in kinds]
    line(["all", values.total(), *shares, said(shown), f"{whole} of {many} show all equal", ""])


if __name__ == "__main__":
    main()
