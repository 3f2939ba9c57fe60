"""Three hundred bad columns and frames through every method of drift.

Each case states beforehand, in plain Python values, what must come out: the samples as exact numbers or labels, from
which the distances follow by formulas written here with fractions; or why no number can come out. Whatever holds the
values (a dtype of NumPy, pandas or Arrow, objects, text) changes nothing in the number.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlnb.core.result import Report, Status
from mlnb.core.settings import load_settings
from mlnb.drifting import policy
from mlnb.drifting.engine import drift as compare

SETTINGS = load_settings(environ={})
EVERY = tuple(policy.DISTANCES)
INF, NAN = math.inf, math.nan


def drift(reference: Any, current: Any, **options: Any) -> Report:
    return compare(reference, current, settings=SETTINGS, methods=list(EVERY), **options)


# What must come out, by hand: exact fractions of Python numbers

OF_NUMBERS = ("ks", "wasserstein", "cramer_von_mises", "anderson_darling", "energy", "mean_shift", "variance_shift")


def exact(value: Any) -> Any:
    """A number as a fraction; infinities as they are."""
    return value if isinstance(value, float) and math.isinf(value) else Fraction(value)


def quantile(ordered: Sequence[Any], share: Fraction) -> Any:
    """Linear between the two values around the place; None where an infinity is one of them."""
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    if isinstance(below, float) or isinstance(above, float):
        return None
    return below + (above - below) * (place - math.floor(place))


def ks_by_hand(r: list[Any], c: list[Any]) -> float:
    """Largest distance of the shares up to a value, over all values."""
    reach = max(abs(sum(x <= v for x in r) * len(c) - sum(x <= v for x in c) * len(r)) for v in {*r, *c})
    return float(Fraction(reach, len(r) * len(c)))


def wasserstein_by_hand(r: list[Any], c: list[Any]) -> tuple[Any, Any]:
    """The area between the distribution functions, and the interquartile range; None where they are infinite."""
    low, high = (quantile(sorted(r), Fraction(k, 4)) for k in (1, 3))
    area = Fraction(0)
    for a, b in pairwise(sorted({*r, *c})):
        apart = abs(Fraction(sum(x <= a for x in r), len(r)) - Fraction(sum(x <= a for x in c), len(c)))
        if apart and (isinstance(a, float) or isinstance(b, float)):
            return None, None
        area += apart and apart * (b - a)
    return area, None if low is None or high is None else high - low


def more_by_hand(r: list[Any], c: list[Any], gone: list[int]) -> dict[str, float | None]:
    """Root of the mean square between the distribution functions; PSI over bins of one width; finite values only."""
    apart = {v: Fraction(sum(x <= v for x in r), len(r)) - Fraction(sum(x <= v for x in c), len(c)) for v in {*r, *c}}
    square = sum(apart[v] ** 2 for v in (*r, *c)) / (len(r) + len(c))
    found: dict[str, float | None] = {"cramer_von_mises": math.sqrt(square) if min(len(r), len(c)) > 1 else None}
    if all(isinstance(x, Fraction) and abs(x) < 2**53 and x.denominator == 1 for x in (*r, *c)):
        low, high = min(r), max(r)
        edges = sorted({low + (high - low) * i / 10 for i in range(1, 10)})
        if low < high and not {*edges} & {*r, *c}:
            bounds = [*zip([-INF, *edges], [*edges, INF], strict=True)]
            cells = [[sum(a <= x and (x < b or b == INF) for x in side) for a, b in bounds] for side in (r, c)]
            rows = [[*side, k] for side, k in zip(cells, gone, strict=True)]
            found["psi:uniform"] = binned_by_hand(*rows)["psi"]
    return found


def check_wasserstein(result: Any, r: list[Any], c: list[Any], unit: float) -> None:
    """The raw distance to 1e-10; over the range of the quartiles, which doubles hold to a unit in the last place."""
    area, scale = wasserstein_by_hand(r, c)
    finite = [v for v in (*r, *c) if not isinstance(v, float)]
    if area is None or (finite and max(finite) - min(finite) > Fraction(1.797e308)):
        assert result.value is None and result.status is Status.NOT_APPLICABLE, result
        return
    assert math.isclose(result.evidence["raw"], float(area) * unit, rel_tol=1e-10, abs_tol=5e-324), (
        result,
        float(area),
    )
    if not scale:
        assert result.value is None and result.status is Status.NOT_APPLICABLE, result
        return
    largest = float(max(abs(v) for v in finite))
    whole = all(isinstance(v, float) or v.denominator == 1 for v in r)
    rounding = 0.0 if whole and largest < 2**53 else 4 * math.ulp(largest) / float(scale)
    assert math.isclose(result.value, float(area / scale), rel_tol=1e-9 + rounding), (result.value, float(area / scale))


def bins_by_hand(r: list[Any], c: list[Any]) -> tuple[list[int], list[int]]:
    """Counts between the distinct finite deciles of the reference."""
    deciles = (quantile(sorted(r), Fraction(i, 10)) for i in range(1, 10))
    whole = all(isinstance(x, float) or x.denominator == 1 for x in r)
    edges = sorted({edge if whole else float(edge) for edge in deciles if edge is not None})
    bounds = [*zip([-INF, *edges], [*edges, INF], strict=True)]
    counted = [[sum(a <= x and (x < b or b == INF) for x in side) for a, b in bounds] for side in (r, c)]
    return counted[0], counted[1]


def binned_by_hand(reference: list[int], current: list[int]) -> dict[str, float]:
    """The distances of two rows of counts, the last of which are the missing values."""
    n, m = sum(reference), sum(current)
    floored = [[max(k / rows, 1e-4) for k in side] for side, rows in ((reference, n), (current, m))]
    p, q = ([share / total for share in side] for side, total in zip(floored, map(math.fsum, floored), strict=True))
    chi, likely = [], []
    for i, j in zip(reference, current, strict=True):
        e, f = n * (i + j) / (n + m), m * (i + j) / (n + m)
        chi += [(i - e) ** 2 / e + (j - f) ** 2 / f] if i + j else []
        likely += [k * math.log(k / x) for k, x in ((i, e), (j, f)) if k]
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    js = math.fsum(x * math.log2(x / w) for side in (p, q) for x, w in zip(side, middle, strict=True)) / 2
    both = list(zip(p, q, strict=True))
    return {
        "psi": math.fsum((b - a) * math.log(b / a) for a, b in both),
        "js": math.sqrt(max(0.0, js)),
        "kl": math.fsum(b * math.log(b / a) for a, b in both),
        "hellinger": math.sqrt(math.fsum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in both) / 2),
        "total_variation": math.fsum(abs(a - b) for a, b in both) / 2,
        "chi_square": math.fsum(chi),
        "g_test": 2 * math.fsum(likely),
        "l_infinity": max(abs(a - b) for a, b in both),
    }


# What a case states


@dataclass(frozen=True)
class Says:
    """The values of both sides as Python numbers or labels, None for a missing one; or why there is no number."""

    form: str  # numbers, labels, nothing
    here: list[Any] = field(default_factory=list)
    there: list[Any] = field(default_factory=list)
    why: str = ""  # part of the reason
    odd: str = ""  # status of a result about the type: warn, fail
    unit: float = 1.0  # seconds that one of these numbers stands for, where they are times
    missing: float | None = None  # where there are no values: change of the missing share


def present(side: list[Any]) -> list[Any]:
    return [v for v in side if v is not None]


def stated(says: Says) -> dict[str, float | None]:
    """Method → value; None where there can be none."""
    gone = [len(side) - len(present(side)) for side in (says.here, says.there)]
    found: dict[str, float | None] = {}
    if any(gone):
        found["missing"] = gone[1] / len(says.there) - gone[0] / len(says.here)
    if says.form == "labels":
        counts = [Counter(present(side)) for side in (says.here, says.there)]
        labels = list(counts[0] | counts[1])
        rows = [[*(count[label] for label in labels), k] for count, k in zip(counts, gone, strict=True)]
        new = sum(k for label, k in counts[1].items() if label not in counts[0])
        return found | binned_by_hand(*rows) | dict.fromkeys(OF_NUMBERS) | {"new_categories": new / sum(rows[1][:-1])}
    r, c = ([exact(v) for v in present(side)] for side in (says.here, says.there))
    cells = [[*side, k] for side, k in zip(bins_by_hand(r, c), gone, strict=True)]
    return found | binned_by_hand(*cells) | more_by_hand(r, c, gone) | {"ks": ks_by_hand(r, c)}


def check(report: Report, name: str, says: Says) -> None:
    """Every number that was stated, every reason, and nothing that is broken."""
    results = {str(r.method): r for r in report.results if r.subject == name}
    assert results and not [r for r in results.values() if r.status is Status.ERROR], results
    for method, r in results.items():
        assert r.value is None or math.isfinite(r.value), r
        assert r.status is not Status.NOT_APPLICABLE or len(r.advice) > 20, r
        below = method.endswith(":evidently")  # a p-value or a distance, as Evidently has it
        assert below or r.status not in ("warn", "fail") or not r.value or not r.threshold or r.value > r.threshold, r
    assert str(results["type"].status if "type" in results else "") == says.odd
    if says.form == "nothing":
        assert says.odd == "fail" or all(results[m].value is None for m in EVERY)
        told = " ".join(r.advice + str(r.evidence) for r in results.values())
        assert says.why in told, told
        assert ("missing" in results) == (says.missing is not None)
        assert says.missing is None or results["missing"].value == pytest.approx(says.missing)
        return
    numbers = stated(says)
    assert ("missing" in results) == ("missing" in numbers)
    assert {*EVERY} <= {*results}, {*EVERY} - {*results}
    for method, value in numbers.items():
        if method not in (*EVERY, *policy.ALWAYS):
            continue  # a statistic that is no method of the check
        mine = results[method].value
        if value is None:
            assert mine is None and results[method].status is Status.NOT_APPLICABLE, (method, mine)
        elif method == "ks":
            assert mine == value, (method, mine, value)
        else:
            near = 2e-8 if method == "js" else 1e-13
            assert mine is not None and math.isclose(mine, value, rel_tol=1e-9, abs_tol=near), (method, mine, value)
    if says.form == "numbers":
        r, c = ([exact(v) for v in present(side)] for side in (says.here, says.there))
        check_wasserstein(results["wasserstein"], r, c, says.unit)


@dataclass(frozen=True)
class Case:
    here: pd.Series
    there: pd.Series
    says: Says


CASES: dict[str, Case] = {}


def case(name: str, here: Any, there: Any, says: Says) -> None:
    assert name not in CASES, name
    CASES[name] = Case(pd.Series(here), pd.Series(there), says)


# Numbers in every container

N, M = 60, 40
DICE = random.Random(5)


def gaps(values: list[Any], share: float) -> list[Any]:
    return [None if DICE.random() < share else v for v in values]


NUMBERS: dict[str, tuple[list[Any], list[Any]]] = {
    "spread": ([DICE.randrange(100) for _ in range(N)], [DICE.randrange(20, 120) for _ in range(M)]),
    "ties": ([DICE.choice([0, 1, 2]) for _ in range(N)], [DICE.choice([0, 2, 3]) for _ in range(M)]),
    "constant": ([7] * N, [7] * M),
    "constants apart": ([7] * N, [9] * M),
    "ranges apart": (list(range(N)), list(range(70, 70 + M))),
    "missing on both sides": (gaps([*range(N)], 0.2), gaps([*range(10, 10 + M)], 0.4)),
    "missing on one side": ([*range(N)], gaps([*range(5, 5 + M)], 0.5)),
    "one value, the rest missing": ([*range(N)], [*[None] * (M - 1), 31]),
}


def arrow(kind: pa.DataType) -> Callable[[list[Any]], pd.Series]:
    return lambda values: pd.Series(pd.array(pa.array(values, type=kind), dtype=pd.ArrowDtype(kind)))


def floats(dtype: Any) -> Callable[[list[Any]], pd.Series]:
    return lambda values: pd.Series(np.array([NAN if v is None else v for v in values], dtype=dtype))


def objects(of: Callable[[Any], Any], missing: Any = None) -> Callable[[list[Any]], pd.Series]:
    return lambda values: pd.Series([missing if v is None else of(v) for v in values], dtype=object)


WHOLE = {kind: (lambda dtype: lambda values: pd.Series(np.array(values, dtype=dtype)))(kind) for kind in (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4", ">u8",
)}  # fmt: skip
WITH_GAPS: dict[str, Callable[[list[Any]], pd.Series]] = {
    **{f"{kind}": floats(kind) for kind in ("float16", "float32", "float64", ">f8", "longdouble")},
    **{kind: (lambda dtype: lambda values: pd.Series(pd.array(values, dtype=dtype)))(kind) for kind in (
        "Int8", "Int64", "UInt16", "UInt64", "Float32", "Float64",
    )},
    **{f"Arrow {kind}": arrow(kind) for kind in (pa.int16(), pa.int64(), pa.uint8(), pa.float32(), pa.float64())},
    "Arrow decimal": lambda values: arrow(pa.decimal128(9, 2))([None if v is None else Decimal(v) for v in values]),
    "objects, whole": objects(int),
    "objects, fractions": objects(float),
    "objects, Decimal": objects(Decimal),
    "objects, NumPy's": objects(np.int16, NAN),
    "objects, int and float": objects(lambda v: v if v % 2 else float(v)),
    "objects with NA": objects(int, pd.NA),
    "sparse": lambda values: pd.Series(pd.arrays.SparseArray([NAN if v is None else float(v) for v in values])),
    "sparse zeros": lambda values: pd.Series(
        pd.arrays.SparseArray([NAN if v is None else float(v) for v in values], fill_value=0.0)
    ),
}  # fmt: skip
for content, (here, there) in NUMBERS.items():
    whole = None not in here + there
    for container, made in ({**WHOLE, **WITH_GAPS} if whole else WITH_GAPS).items():
        case(f"{content} in {container}", made(here), made(there), Says("numbers", here, there))
CONTAINERS = {**WHOLE, **WITH_GAPS}
for first, second in pairwise(list(CONTAINERS)):
    here, there = NUMBERS["spread"]
    case(f"{first} became {second}", CONTAINERS[first](here), CONTAINERS[second](there), Says("numbers", here, there))

# Labels in every container

LETTERS: dict[str, tuple[list[Any], list[Any]]] = {
    "letters": ([DICE.choice("aabbcd") for _ in range(N)], [DICE.choice("abcc") for _ in range(M)]),
    "new and lost letters": ([DICE.choice("abx") for _ in range(N)], [DICE.choice("aby") for _ in range(M)]),
    "one letter": (["a"] * N, ["a"] * M),
    "other letter": (["a"] * N, ["b"] * M),
    "gaps in letters": (
        gaps([DICE.choice("ab") for _ in range(N)], 0.3),
        gaps([DICE.choice("ab") for _ in range(M)], 0.1),
    ),
    "numbers as text": ([str(DICE.randrange(6)) for _ in range(N)], [str(DICE.randrange(5)) for _ in range(M)]),
    "blank and case": (
        [DICE.choice(["", " ", "a", "A"]) for _ in range(N)],
        [DICE.choice(["", "a ", "A"]) for _ in range(M)],
    ),
}


def known(values: list[Any]) -> list[Any]:
    return sorted({v for v in values if v is not None})


LABELS: dict[str, Callable[[list[Any]], pd.Series]] = {
    "objects": objects(str),
    "objects with NaN": objects(str, NAN),
    "objects with NA": objects(str, pd.NA),
    "string": lambda values: pd.Series(pd.array(values, dtype="string")),
    "string[pyarrow]": lambda values: pd.Series(pd.array(values, dtype="string[pyarrow]")),
    "Arrow string": arrow(pa.string()),
    "Arrow large string": arrow(pa.large_string()),
    "Arrow dictionary": lambda values: pd.Series(
        pa.array(values).dictionary_encode(), dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    ),
    "categorical": lambda values: pd.Series(pd.Categorical(values)),
    "categorical, unused levels": lambda values: pd.Series(
        pd.Categorical(values, ["never", *known(values), "nor this"])
    ),
    "categorical, other order": lambda values: pd.Series(pd.Categorical(values, known(values)[::-1], ordered=True)),
}
for content, (here, there) in LETTERS.items():
    for container, made in LABELS.items():
        case(f"{content} in {container}", made(here), made(there), Says("labels", here, there))
for first, second in pairwise([*LABELS, "objects"]):
    here, there = LETTERS["letters"]
    case(f"labels: {first} became {second}", LABELS[first](here), LABELS[second](there), Says("labels", here, there))

# Truth values

TRUTH = [DICE.random() < 0.7 for _ in range(N)], [DICE.random() < 0.4 for _ in range(M)]
TRUTHS = {
    "bool": lambda values: pd.Series(np.array(values, dtype=bool)),
    "boolean": lambda values: pd.Series(pd.array(values, dtype="boolean")),
    "Arrow bool": arrow(pa.bool_()),
    "objects": objects(bool),
    "categorical": lambda values: pd.Series(pd.Categorical(values)),
}
for container, made in TRUTHS.items():
    case(f"truth in {container}", made(TRUTH[0]), made(TRUTH[1]), Says("labels", *TRUTH))
    case(f"only true in {container}", made([True] * N), made([True] * M), Says("labels", [True] * N, [True] * M))
    if container != "bool":
        here, there = gaps(TRUTH[0], 0.3), gaps(TRUTH[1], 0.5)
        case(f"truth or nothing in {container}", made(here), made(there), Says("labels", here, there))
case(
    "truth became numbers",
    TRUTH[0],
    [int(v) for v in TRUTH[1]],
    Says("numbers", [int(v) for v in TRUTH[0]], [int(v) for v in TRUTH[1]], odd="warn"),
)
case(
    "numbers became truth",
    [float(v) for v in TRUTH[0]],
    TRUTH[1],
    Says("numbers", [int(v) for v in TRUTH[0]], [int(v) for v in TRUTH[1]], odd="warn"),
)
case("truth became text", TRUTH[0], [str(v) for v in TRUTH[1]], Says("nothing", odd="fail", why="became"))

# Times: numbers of nanoseconds, whatever their unit, zone and container

START = datetime(2020, 3, 1)
DAYS: dict[str, tuple[list[Any], list[Any]]] = {
    "days": ([DICE.randrange(90) for _ in range(N)], [DICE.randrange(30, 120) for _ in range(M)]),
    "days with gaps": (gaps([*range(N)], 0.2), gaps([*range(M)], 0.4)),
    "one day": ([3] * N, [3] * M),
}


def moments(days: list[Any], **zone: Any) -> list[Any]:
    return [pd.NaT if d is None else START.replace(**zone) + timedelta(days=d) for d in days]


def numpy_times(kind: str) -> Callable[[list[Any]], pd.Series]:
    def made(days: list[Any]) -> pd.Series:
        whole = [np.datetime64("NaT", "s") if d is None else np.datetime64(START, "s") + 86_400 * d for d in days]
        return pd.Series(np.array(whole, dtype=f"datetime64[{kind}]"))

    return made


TIMES: dict[str, Callable[[list[Any]], pd.Series]] = {
    **{f"datetime64[{unit}]": numpy_times(unit) for unit in ("s", "ms", "us", "ns")},
    "UTC": lambda days: pd.Series(pd.to_datetime(moments(days), utc=True)),
    "a fixed offset": lambda days: pd.Series(pd.to_datetime(moments(days), utc=True)).dt.tz_convert("+05:30"),
    "Vienna": lambda days: pd.Series(pd.to_datetime(moments(days), utc=True)).dt.tz_convert("Europe/Vienna"),
    "objects": lambda days: pd.Series(moments(days), dtype=object),
    "dates": lambda days: pd.Series(
        [None if d is None else date(2020, 3, 1) + timedelta(days=d) for d in days], dtype=object
    ),
    "Arrow timestamp": lambda days: arrow(pa.timestamp("us"))(
        [None if d is None else START + timedelta(days=d) for d in days]
    ),
    "Arrow timestamp, zone": lambda days: arrow(pa.timestamp("ms", "UTC"))(
        [None if d is None else START.replace(tzinfo=UTC) + timedelta(days=d) for d in days]
    ),
    "Arrow date": lambda days: arrow(pa.date32())(
        [None if d is None else date(2020, 3, 1) + timedelta(days=d) for d in days]
    ),
    "durations": lambda days: pd.Series(pd.to_timedelta(days, unit="D")),
    "durations in s": lambda days: pd.Series(pd.to_timedelta(days, unit="D")).astype("timedelta64[s]"),
    "Arrow durations": lambda days: arrow(pa.duration("us"))([None if d is None else timedelta(days=d) for d in days]),
}
for content, (here, there) in DAYS.items():
    for container, made in TIMES.items():
        case(f"{content} in {container}", made(here), made(there), Says("numbers", here, there, unit=86_400.0))
here, there = DAYS["days"]
case(
    "a zone appeared",
    TIMES["datetime64[ns]"](here),
    TIMES["UTC"](there),
    Says("numbers", here, there, unit=86_400.0, odd="warn"),
)
case(
    "a zone went",
    TIMES["Vienna"](here),
    TIMES["datetime64[s]"](there),
    Says("numbers", here, there, unit=86_400.0, odd="warn"),
)
case("another zone", TIMES["Vienna"](here), TIMES["a fixed offset"](there), Says("numbers", here, there, unit=86_400.0))
case(
    "another unit",
    TIMES["datetime64[s]"](here),
    TIMES["datetime64[ns]"](there),
    Says("numbers", here, there, unit=86_400.0),
)
case(
    "dates became times",
    TIMES["dates"](here),
    TIMES["datetime64[us]"](there),
    Says("numbers", here, there, unit=86_400.0),
)
case(
    "zones in objects",
    TIMES["UTC"](here),
    pd.Series(moments(there, tzinfo=UTC), dtype=object),
    Says("numbers", here, there, unit=86_400.0),
)
case(
    "zone or none, row by row",
    pd.Series([m.replace(tzinfo=UTC if i % 2 else None) for i, m in enumerate(moments(here))], dtype=object),
    pd.Series(moments(there), dtype=object),
    Says("numbers", here, there, unit=86_400.0),
)
east = timezone(timedelta(hours=5))
case(
    "two zones, row by row",
    pd.Series(
        [
            m.replace(tzinfo=UTC) if i % 2 else m.replace(tzinfo=UTC).astimezone(east)
            for i, m in enumerate(moments(here))
        ],
        dtype=object,
    ),
    pd.Series(moments(there, tzinfo=UTC), dtype=object),
    Says("numbers", here, there, unit=86_400.0),
)
case("times became numbers", TIMES["datetime64[ns]"](here), there, Says("nothing", odd="fail", why="became"))
case(
    "times became durations",
    TIMES["datetime64[ns]"](here),
    TIMES["durations"](there),
    Says("nothing", odd="fail", why="became"),
)
case(
    "times became text",
    TIMES["datetime64[ns]"](here),
    pd.Series(moments(there)).astype(str),
    Says("nothing", odd="fail", why="became"),
)
far = np.array(["1500-01-01", "2600-01-01"] * (N // 2), dtype="datetime64[s]")
case("years out of range", far, far[:M], Says("nothing", why="1678"))
case(
    "years out of range as dates",
    [date(1, 1, 1), date(9999, 12, 31)] * (N // 2),
    [date(1, 1, 1)] * M,
    Says("nothing", why="cannot be read"),
)

# Numbers at the ends of their types

here, there = [0.0, -0.0] * (N // 2), [-0.0] * M
case("signed zeros", here, there, Says("numbers", here, there))
tiny = 5e-324
here, there = [tiny * (i % 7) for i in range(N)], [tiny * (i % 5) for i in range(M)]
case("subnormal numbers", here, there, Says("numbers", here, there))
here, there = [1.0] * 20 + [1e300] * 40, [1.0] * 20 + [1e300] * 10 + [-1e300] * 10
case("1e300 and ordinary", here, there, Says("numbers", here, there))
big = 1.7e308
here, there = [-big] * 20 + [big] * 40, [-big] * 25 + [big] * 15
case("the largest doubles", here, there, Says("numbers", here, there))
normal = [DICE.gauss(0, 1) for _ in range(N)]
for name, outer in {"plus": [INF], "minus": [-INF], "both": [INF, -INF]}.items():
    here, there = [*normal[: N - 9], *(outer * 9)[:9]], [*normal[: M - 8], *(outer * 8)[:8]]
    case(f"infinity, {name}", here, there, Says("numbers", here, there))
    case(f"infinity in the reference alone, {name}", here, normal[:M], Says("numbers", here, normal[:M]))
    case(f"infinity in the current data alone, {name}", normal, there, Says("numbers", normal, there))
case("only infinity", [INF] * N, [INF] * M, Says("numbers", [INF] * N, [INF] * M))
case("infinity turned round", [INF] * N, [-INF] * M, Says("numbers", [INF] * N, [-INF] * M))
case(
    "infinity, float32",
    np.array([INF, 1.0, 2.0] * 20, dtype="f4"),
    np.array([-INF, 1.0] * 20, dtype="f4"),
    Says("numbers", [INF, 1.0, 2.0] * 20, [-INF, 1.0] * 20),
)
case(
    "infinity and missing", [INF, NAN, 1.0] * 20, [1.0, NAN] * 20, Says("numbers", [INF, None, 1] * 20, [1, None] * 20)
)
least, most = -(2**63), 2**63 - 1
here, there = [least] * 20 + [most] * 40, [least] * 25 + [0] * 5 + [most] * 10
case("int64 extremes", here, there, Says("numbers", here, there))
here, there = [2**62 + i // 7 * 4096 for i in range(N)], [2**62 + i // 7 * 4096 + 8192 for i in range(M)]
case("int64 beyond 2^53", here, there, Says("numbers", here, there))
here, there = [2**63 + 2**30 * i for i in range(N)], [2**63 + 2**30 * (i + 9) for i in range(M)]
case("uint64 above 2^63", np.array(here, dtype="u8"), np.array(there, dtype="u8"), Says("numbers", here, there))
case(
    "uint64 became int64",
    np.array([2**63 + 2**40 * i for i in range(N)], dtype="u8"),
    np.array([2**62] * M),
    Says("numbers", [2**63 + 2**40 * i for i in range(N)], [2**62] * M),
)
here, there = [0] * 20 + [2**64 - 1] * 40, [0] * 30 + [2**64 - 1] * 10
case("uint64 extremes", np.array(here, dtype="u8"), np.array(there, dtype="u8"), Says("numbers", here, there))
here, there = [10**30 * (i % 9) for i in range(N)], [10**30 * (i % 6) for i in range(M)]
case(
    "whole numbers of any size",
    pd.Series(here, dtype=object),
    pd.Series(there, dtype=object),
    Says("numbers", [float(v) for v in here], [float(v) for v in there]),
)
case(
    "1e9 plus noise",
    [1e9 + v for v in normal],
    [1e9 + v for v in normal[:M]],
    Says("numbers", [1e9 + v for v in normal], [1e9 + v for v in normal[:M]]),
)
case(
    "Decimal NaN",
    pd.Series([Decimal("NaN"), Decimal("2.5")] * 30),
    pd.Series([Decimal("2.5")] * M),
    Says("numbers", [None, 2.5] * 30, [2.5] * M),
)
case(
    "two modes",
    normal[:30] + [1e6 + v for v in normal[30:]],
    normal[:20] + [1e6 + v for v in normal[:20]],
    Says("numbers", normal[:30] + [1e6 + v for v in normal[30:]], normal[:20] + [1e6 + v for v in normal[:20]]),
)
case(
    "float32 fractions",
    np.array(normal, dtype="f4"),
    np.array(normal[:M], dtype="f4"),
    Says("numbers", [float(np.float32(v)) for v in normal], [float(np.float32(v)) for v in normal[:M]]),
)
case(
    "float32 fractions became float64",
    np.array(normal, dtype="f4"),
    normal[:M],
    Says("numbers", [float(np.float32(v)) for v in normal], normal[:M]),
)

# Strange labels

here, there = [1, "a", 2.5, None, "b", "1"] * 10, [1, "1", "c", None] * 10
case("types mixed", pd.Series(here, dtype=object), pd.Series(there, dtype=object), Says("labels", here, there))
here, there = [True, "True", False] * 20, [True, "True"] * 20
case("truth and its name", pd.Series(here, dtype=object), pd.Series(there, dtype=object), Says("labels", here, there))
for name, (one, two) in {
    "lone surrogates": ("\ud800", "b\udfff"),
    "markup": ("<script>alert(1)</script>", "</td>{{7*7}}"),
    "control characters": ("\x00", "\x1b[31m\r\n"),
    "zero width and emoji": ("a\u200b", "👩‍🔬"),
    "composed or not": ("é", "e\u0301"),
    "huge text": ("x" * 300_000, "y" * 300_000),
    "names of nothing": ("nan", "None"),
}.items():
    here, there = [one, two] * 30, [one, two, two, two] * 10
    case(f"labels: {name}", here, there, Says("labels", here, there))
case(
    "categorical numbers",
    pd.Categorical([1, 2, 2] * 20),
    pd.Categorical([2, 1] * 20),
    Says("labels", [1, 2, 2] * 20, [2, 1] * 20),
)
cut_at = pd.IntervalIndex.from_breaks([0, 10, 20, 30])
case(
    "categorical intervals",
    pd.cut(pd.Series([*range(1, 31)] * 2), cut_at),
    pd.cut(pd.Series([*range(1, 21)] * 2), cut_at),
    Says("labels", [1] * 20 + [2] * 20 + [3] * 20, [1] * 20 + [2] * 20),
)
levels = [f"level {i % 10_000}" for i in range(30_000)]
case("10,000 categories", levels, levels[:20_000], Says("labels", levels, levels[:20_000]))
levels = [f"level {i % 10_001}" for i in range(30_003)]
case("10,001 categories", levels, levels, Says("nothing", why="More than 10,000 categories"))
case("ids", [f"id-{i}" for i in range(N)], [f"id-{i}" for i in range(M, N + M)], Says("nothing", why="ids"))
case("ids on one side", ["a", "b"] * 30, [f"id-{i}" for i in range(60)], Says("nothing", why="ids"))
prose = [f"a sentence about nothing in particular, number {i}" for i in range(N)]
case("free text", prose, prose[:M], Says("nothing", why="Free text"))

# Nothing to compare

NOTHING = {
    "all missing floats": [NAN] * N,
    "all None": pd.Series([None] * N, dtype=object),
    "all NaT": pd.Series([pd.NaT] * N),
    "all NA": pd.array([pd.NA] * N, dtype="Int64"),
    "all NA truth": pd.array([pd.NA] * N, dtype="boolean"),
    "all NA text": pd.array([pd.NA] * N, dtype="string"),
    "Arrow null": arrow(pa.null())([None] * N),
    "Arrow all missing": arrow(pa.float64())([None] * N),
    "no category": pd.Categorical([None] * N, categories=["a"]),
    "all missing durations": pd.Series([pd.NaT] * N, dtype="timedelta64[ns]"),
}
for name, values in NOTHING.items():
    column = pd.Series(values)
    case(f"{name} on both sides", column, column[:M], Says("nothing", why="No value on either side"))
    numeric = pd.Series(np.arange(float(M)))
    case(f"{name} in the reference", column, numeric, Says("nothing", why="every one is missing", missing=-1.0))
    case(f"{name} in the current data", numeric, column, Says("nothing", why="every one is missing", missing=1.0))
    case(
        f"{name} for labels",
        pd.Series(["a", "b"] * 30),
        column,
        Says("nothing", why="every one is missing", missing=1.0),
    )
BLANK = pd.Series([], dtype="float64")
case("no rows in the reference", BLANK, [1.0, 2.0], Says("nothing", why="The reference has no rows"))
case("no rows in the current data", ["a", "b"], BLANK, Says("nothing", why="The current data has no rows"))
case("no rows at all", BLANK, BLANK, Says("nothing", why="has no rows"))
case("one row each, alike", [2.0], [2.0], Says("numbers", [2], [2]))
case("one row each", [2.0], [3.0], Says("numbers", [2], [3]))
case("one row against many", normal, [0.25], Says("numbers", normal, [0.25]))
case("many rows against one", [0.25], normal, Says("numbers", [0.25], normal))
case("one label each", ["a"], ["b"], Says("labels", ["a"], ["b"]))
case("one row, missing", normal, [NAN], Says("nothing", why="every one is missing", missing=1.0))
case("two rows", [1, 2], [2, 3], Says("numbers", [1, 2], [2, 3]))

ODD: dict[str, Any] = {
    "lists": [[1, 2]] * N,
    "empty lists": [[]] * N,
    "dicts": [{"a": 1}] * N,
    "sets": [{1}] * N,
    "tuples": [(1, 2)] * N,
    "arrays": [np.arange(2)] * N,
    "complex": np.full(N, 1 + 2j),
    "complex objects": pd.Series([1 + 2j, 3j] * 30, dtype=object),
    "bytes": [b"a", b"b"] * 30,
    "fractions": [Fraction(1, 3), Fraction(2, 3)] * 30,
    "objects of no kind": [object() for _ in range(N)],
    "functions": [len, print] * 30,
    "frames": [pd.DataFrame({"a": [1]})] * N,
    "periods": pd.period_range("2020-01", periods=N, freq="M"),
    "intervals": pd.interval_range(0, N),
    "times of day": [datetime(2020, 1, 1, i % 24).time() for i in range(N)],
    "Arrow lists": arrow(pa.list_(pa.int64()))([[1]] * N),
    "Arrow structs": arrow(pa.struct([("a", pa.int64())]))([{"a": 1}] * N),
    "Arrow binary": arrow(pa.binary())([b"a"] * N),
    "Arrow times of day": arrow(pa.time64("us"))([datetime(2020, 1, 1, i % 24).time() for i in range(N)]),
}
for name, values in ODD.items():
    column = pd.Series(values)
    case(name, column, column[:M], Says("nothing", why="cannot be compared"))
    case(f"numbers became {name}", normal, column, Says("nothing", odd="fail", why="became"))
for name, (one, two) in {
    "numbers became text": (normal, [str(v) for v in normal]),
    "text became numbers": (["a", "b"] * 30, normal),
    "numbers became labels": (normal, pd.Categorical(["a", "b"] * 30)),
    "numbers became durations": (normal, pd.to_timedelta([*range(N)], unit="h")),
    "labels became times": (["a", "b"] * 30, pd.date_range("2020", periods=N)),
}.items():
    case(name, one, two, Says("nothing", odd="fail", why="became"))


KNOWN: dict[str, str] = {}


def marked(names: Sequence[str]) -> list[Any]:
    return [pytest.param(n, marks=pytest.mark.xfail(strict=True, reason=KNOWN[n])) if n in KNOWN else n for n in names]


@pytest.mark.parametrize("name", marked([*CASES]))
def test_bad_columns(name):
    of = CASES[name]
    report = drift(pd.DataFrame({"x": of.here}), pd.DataFrame({"x": of.there}))
    check(report, "x", of.says)
    assert Report.from_json(report.to_json()) == report


# Frames: what is odd is not in the values but around them

PLAIN = NUMBERS["spread"]
NUMBERS_SAY = Says("numbers", *PLAIN)
LETTERS_SAY = Says("labels", *LETTERS["letters"])


def plain(name: Any = "x", side: int = 0) -> pd.DataFrame:
    return pd.DataFrame({name: PLAIN[side]})


@dataclass(frozen=True)
class Frames:
    here: Any
    there: Any
    says: dict[str, Says]  # name → what must come out
    schema: dict[str, str] = field(default_factory=dict)  # name → status of a result about the schema


FRAMES: dict[str, Frames] = {}
NAMES: dict[str, Any] = {
    "empty": "",
    "blank": "  ",
    "a number": 0,
    "a fraction": 1.5,
    "None": None,
    "NaN": NAN,
    "truth": True,
    "a tuple": ("a", 1),
    "a time": pd.Timestamp("2020-01-01"),
    "bytes": b"x",
    "markup": "<img src=x onerror=alert(1)>",
    "a template": "{{7*7}}{% raw %}",
    "a path": "../../etc/passwd",
    "a formula": "=1+1",
    "control characters": "a\x00b\x1b[31m\r\n",
    "a lone surrogate": "\ud800",
    "direction marks": "abc\u202egnp",
    "emoji": "👩‍🔬",
    "a comma": "a,b",
    "quotes": "a'\"`$(ls)",
    "very long": "x" * 20_000,
    "dunder": "__class__",
    "a method's name": "ks",
    "a pandas attribute": "values",
    "index": "index",
    "a format": "{0} %s",
}
for key, name in NAMES.items():
    shown = "\\ud800" if key == "a lone surrogate" else str(name)  # JSON cannot hold it
    FRAMES[f"name: {key}"] = Frames(plain(name), plain(name, 1), {shown: NUMBERS_SAY})
INDEXES: dict[str, Callable[[int], Any]] = {
    "one label for all": lambda n: [7] * n,
    "of NaN": lambda n: [NAN] * n,
    "of times": lambda n: pd.date_range("2020", periods=n),
    "of mixed types": lambda n: [*range(n - 3), None, "x", (1, 2)],
    "of levels": lambda n: pd.MultiIndex.from_arrays([[1] * n, range(n)]),
    "backwards": lambda n: range(n, 0, -1),
    "of categories": lambda n: pd.CategoricalIndex(["a"] * n),
}
for key, index in INDEXES.items():
    here, there = (
        plain().set_axis(pd.Index(index(N), tupleize_cols=False) if isinstance(index(N), list) else index(N)),
        plain(side=1),
    )
    FRAMES[f"index {key}"] = Frames(here, there, {"x": NUMBERS_SAY})
BOTH = [pd.DataFrame({"x": PLAIN[i], "l": LETTERS["letters"][i]}) for i in (0, 1)]
SAID = {"x": NUMBERS_SAY, "l": LETTERS_SAY}
OTHERS: dict[str, Frames] = {
    "order of columns changed": Frames(BOTH[0], BOTH[1][["l", "x"]], SAID),
    "column lost": Frames(BOTH[0], BOTH[1][["x"]], {"x": NUMBERS_SAY}, {"l": "fail"}),
    "column added": Frames(BOTH[0][["l"]], BOTH[1], {"l": LETTERS_SAY}, {"x": "warn"}),
    "name twice in the reference": Frames(
        BOTH[0].set_axis(["x", "x"], axis=1), plain(side=1), {}, {"x": "not_applicable"}
    ),
    "name twice in both": Frames(*(f[["x", "x", "l"]] for f in BOTH), {"l": LETTERS_SAY}, {"x": "not_applicable"}),
    "names of one text": Frames(BOTH[0].set_axis([1, "1"], axis=1), plain("1", 1), {}, {"1": "not_applicable"}),
    "number and its text": Frames(plain(5), plain("5", 1), {"5": NUMBERS_SAY}),
    "levels of names": Frames(
        *(f.set_axis(pd.MultiIndex.from_tuples([("a", "x"), ("a", "l")]), axis=1) for f in BOTH),
        {"('a', 'x')": NUMBERS_SAY, "('a', 'l')": LETTERS_SAY},
    ),
    "categories as names": Frames(*(f.set_axis(pd.CategoricalIndex(["x", "l"]), axis=1) for f in BOTH), SAID),
    "name of the names": Frames(*(f.rename_axis("x", axis=1) for f in BOTH), SAID),
    "nothing in common": Frames(plain("a"), plain("b", 1), {}, {"a": "fail", "b": "warn"}),
    "no columns": Frames(pd.DataFrame(), pd.DataFrame(), {}),
    "no columns but rows": Frames(pd.DataFrame(index=range(5)), pd.DataFrame(index=range(5)), {}),
    "columns on one side": Frames(plain(), pd.DataFrame(), {}, {"x": "fail"}),
    "no rows": Frames(BOTH[0][:0], BOTH[1][:0], {n: Says("nothing", why="has no rows") for n in "xl"}),
    "no rows in the current data": Frames(
        BOTH[0], BOTH[1][:0], {n: Says("nothing", why="The current data has no rows") for n in "xl"}
    ),
    "dict of lists": Frames({"x": PLAIN[0]}, {"x": PLAIN[1]}, {"x": NUMBERS_SAY}),
    "rows as dicts": Frames([{"x": v} for v in PLAIN[0]], plain(side=1), {"x": NUMBERS_SAY}),
    "two-dimensional array": Frames(np.array(PLAIN[0])[:, None], plain("x0", 1), {"x0": NUMBERS_SAY}),
    "structured array": Frames(
        np.array([(v,) for v in PLAIN[0]], dtype=[("x", "i4")]), plain(side=1), {"x": NUMBERS_SAY}
    ),
    "Arrow table": Frames(pa.table({"x": PLAIN[0]}), plain(side=1), {"x": NUMBERS_SAY}),
    "Arrow batches of one row": Frames(
        pa.Table.from_batches([pa.record_batch({"x": [v]}) for v in PLAIN[0]]),
        pa.table({"x": PLAIN[1]}),
        {"x": NUMBERS_SAY},
    ),
    "a Series": Frames(pd.Series(PLAIN[0], name="x"), pd.Series(PLAIN[1], name="x"), {"x": NUMBERS_SAY}),
    "a view of every second row": Frames(
        pd.DataFrame({"x": np.repeat(PLAIN[0], 2)})[::2],
        pd.DataFrame({"x": np.repeat(PLAIN[1], 2)})[::-2],
        {"x": NUMBERS_SAY},
    ),
    "columns of one block": Frames(
        pd.DataFrame(np.array([PLAIN[0], PLAIN[0]]).T, columns=["x", "y"]),
        pd.DataFrame(np.array([PLAIN[1], PLAIN[1]]).T, columns=["x", "y"]),
        {"x": NUMBERS_SAY, "y": NUMBERS_SAY},
    ),
    "read-only values": Frames(
        pd.DataFrame({"x": np.frombuffer(np.array(PLAIN[0]).tobytes(), dtype=np.int64)}, copy=False),
        plain(side=1),
        {"x": NUMBERS_SAY},
    ),
}
FRAMES |= OTHERS


@pytest.mark.parametrize("name", FRAMES)
def test_bad_frames(name):
    of = FRAMES[name]
    report = drift(of.here, of.there)
    for column, says in of.says.items():
        check(report, column, says)
    schema = {r.subject: str(r.status) for r in report.results if r.method == "schema" and r.subject is not None}
    assert schema == of.schema
    assert {r.subject for r in report.results if r.subject is not None} == {*of.says, *of.schema}
    assert Report.from_json(report.to_json()) == report
    html = report.to_html()
    assert "<img src=x" not in html and "\x00" not in html and "\x1b" not in html


def test_there_are_three_hundred():
    assert len(CASES) + len(FRAMES) >= 300


def test_no_column_disturbs_another():
    """All columns of one length in one frame: every number and reason is the one that the column has by itself."""
    size = Counter((len(of.here), len(of.there)) for of in CASES.values()).most_common(1)[0][0]
    alike = {name: of for name, of in CASES.items() if (len(of.here), len(of.there)) == size and name not in KNOWN}
    assert len(alike) > 150
    report = drift(
        pd.DataFrame({name: of.here for name, of in alike.items()}),
        pd.DataFrame({name: of.there for name, of in alike.items()}),
    )
    for name, of in alike.items():
        check(report, name, of.says)
    html, text = report.to_html(), report.to_text() if hasattr(report, "to_text") else str(report)
    assert "<script>alert(1)" not in html and "\x1b[31m" not in text


def test_nothing_drifts_from_itself():
    """Every column that has numbers, against itself: no distance, no alarm."""
    for name, of in CASES.items():
        if name in KNOWN:
            continue
        for column in (of.here, of.there):
            report = drift(pd.DataFrame({"x": column}), pd.DataFrame({"x": column.iloc[::-1]}))
            results = {r.method: r for r in report.results if r.subject == "x"}
            assert not [r for r in results.values() if r.status in ("warn", "fail", "error")], (name, results)
            for method, r in results.items():
                if r.value is not None and ":" not in str(method) and method != "anderson_darling":
                    assert r.value == pytest.approx(0, abs=1e-7), (name, method)
