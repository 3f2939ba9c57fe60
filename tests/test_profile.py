"""Profiles: the laws of merging, the file and whoever alters it, bounds that hold, and every kind of column."""

from __future__ import annotations

import base64
import json
import math
import random
import subprocess
import sys
import tracemalloc
import zlib
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.core.errors import ArgumentError, DataError, FileError
from mlnb.data import labels as labelling
from mlnb.data.figures import mean_of, sd_of
from mlnb.data.grid import make_grid
from mlnb.data.keys import to_keys
from mlnb.data.labels import EmptyProfile, LabelProfile, label_profile, merge_labels, name_of
from mlnb.data.numbers import NumberProfile
from mlnb.data.profile import Profile, checksum, load_profile, merge_all, profile_from_json
from mlnb.drifting import bounds, profiling, stats
from mlnb.drifting.counting import count_column
from mlnb.drifting.profiling import profile

EXAMPLES = settings(max_examples=60, deadline=None)


def numbers(values, like=None, bins=64, **more) -> NumberProfile:
    made = count_column(lambda: [(values, None)], values.size, like=like, bins=bins, dtype=str(values.dtype), **more)
    assert isinstance(made, NumberProfile)
    return made


def table(*columns) -> Profile:
    return Profile({f"c{i}": column for i, column in enumerate(columns)}, columns[0].rows)


SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "ties": lambda rng, n: np.round(rng.normal(size=n), 1),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(size=n)),
    "far": lambda rng, n: 1e9 + rng.normal(size=n),
    "single": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "counts": lambda rng, n: rng.poisson(7, n),
    "huge": lambda rng, n: rng.integers(-(2**62), 2**62, n),
    "unsigned": lambda rng, n: rng.integers(0, 2**63, n).astype(np.uint64) * np.uint64(2),
    "seconds": lambda rng, n: (1.7e18 + 1e12 * rng.normal(size=n)).astype(np.int64),
    "wild": lambda rng, n: rng.choice([0.0, -0.0, 5e-324, 1e300, -1e300, np.inf, -np.inf, np.nan, 1.0], n),
    "constant": lambda rng, n: np.full(n, 3.5),
}


def sample(shape: str, seed: int, n: int) -> np.ndarray:
    return SHAPES[shape](np.random.default_rng(seed), n)


shapes, seeds = st.sampled_from(list(SHAPES)), st.integers(0, 2**32)


# ------------------------------------------------------------------------------------------------ what is counted
@pytest.mark.parametrize("shape", SHAPES)
def test_counts_sums_and_single_values_by_an_independent_formula(shape):
    values = sample(shape, 1, 700)
    made = numbers(values)
    present = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    keys = [int(k) for k in to_keys(present, made.kind)]
    starts = [int(s) for s in made.grid.starts[:-1]]
    held: dict[int, list[int]] = {}
    for key in keys:
        held.setdefault(max(i for i, s in enumerate(starts) if s <= key), []).append(key)
    assert made.bins.tolist() == sorted(held) and made.held.tolist() == [len(held[b]) for b in sorted(held)]
    for place, b in enumerate(made.bins.tolist()):
        start, width = int(made.grid.hull_start[b]), int(made.grid.hull_shift[b])
        offsets = [((k - start) << 32) >> width for k in held[b]]
        assert int(made.offsets[place]) == sum(offsets)
        assert (place in made.single) == (len(set(held[b])) == 1)
    assert (made.low, made.high) == (min(keys), max(keys))
    assert made.missing == values.size - present.size and made.rows == values.size
    infinite = (np.sum(present == -np.inf), np.sum(present == np.inf)) if values.dtype.kind == "f" else (0, 0)
    assert made.infinite == infinite


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"wild"}))
def test_mean_and_deviation(shape):
    values = sample(shape, 2, 5000)
    whole = numbers(values, bins=2048)
    parts = merge_all([table(numbers(v, like=whole)) for v in np.array_split(values, 9)])["c0"]
    wide = values.astype(np.longdouble)
    scale = float(np.abs(wide).max())
    for made in (whole, parts):
        assert math.isclose(mean_of(made), float(wide.mean()), rel_tol=1e-9, abs_tol=1e-9 * scale)
        assert math.isclose(sd_of(made), float(wide.std(ddof=1)), rel_tol=1e-9, abs_tol=1e-9 * scale)
    assert mean_of(parts) == mean_of(whole)


@pytest.mark.parametrize("shape", SHAPES)
def test_edges_and_cut_are_those_of_the_definition(shape):
    reference, current = sample(shape, 3, 3000), sample(shape, 4, 2000)
    with np.errstate(all="ignore"):
        truth = stats.cut(reference, current)
    made = numbers(reference)
    other = numbers(current, like=made)
    assert np.array_equal(made.edges, truth.edges) and made.cut.tolist() == truth.reference[:-1].tolist()
    assert other.cut.tolist() == truth.current[:-1].tolist()


# ------------------------------------------------------------------------------------------------ laws
@EXAMPLES
@given(shapes, seeds, st.lists(st.integers(0, 400), max_size=5), st.randoms())
def test_parts_on_one_grid_are_the_whole_to_the_bit(shape, seed, cuts, order):
    values = sample(shape, seed, 400)
    like = numbers(sample(shape, seed + 1, 900))
    whole = profile({"x": values}, like=table_named(like))
    parts = [profile({"x": v}, like=table_named(like)) for v in np.split(values, sorted(cuts))]
    order.shuffle(parts)
    assert merge_all(parts) == whole
    while len(parts) > 1:  # as any tree
        a, b = order.sample(range(len(parts)), 2)
        joined = parts[a].merge(parts[b])
        parts = [p for i, p in enumerate(parts) if i not in (a, b)] + [joined]
    assert parts[0] == whole and parts[0].rows == 400


def table_named(column, name="x") -> Profile:
    return Profile({name: column}, column.rows)


@EXAMPLES
@given(shapes, seeds)
def test_unlike_grids_merge_associatively_and_exactly(shape, seed):
    values = [sample(shape, seed + i, 50 + 130 * i) for i in range(3)]
    parts = [profile({"x": v}, bins=16 << (i + seed) % 4) for i, v in enumerate(values)]
    merged = {p[0].merge(p[1]).merge(p[2]).digest for p in permutations(parts)}
    merged |= {p[0].merge(p[1].merge(p[2])).digest for p in permutations(parts)} | {merge_all(parts).digest}
    assert len(merged) == 1
    column, every = merge_all(parts)["x"], np.concatenate(values)
    if isinstance(column, EmptyProfile):
        return
    keys = to_keys(every[~np.isnan(every)] if every.dtype.kind == "f" else every, column.kind)
    at = np.searchsorted(column.grid.starts[:-1], keys, side="right") - 1
    assert column.counts.tolist() == np.bincount(at, minlength=column.grid.size).tolist()
    for place, key in zip(column.single, column.keys, strict=True):
        assert set(keys[at == column.bins[place]].tolist()) == {int(key)}
    alone = [b for b in column.bins if len(set(keys[at == b].tolist())) == 1]
    assert len(alone) == column.single.size


@EXAMPLES
@given(shapes, seeds)
def test_identity_and_subtraction(shape, seed):
    first, second = (sample(shape, seed + i, 300) for i in range(2))
    a = profile({"x": first, "y": list("ab") * 150})
    b = profile({"x": second, "y": list("bc") * 150}, like=a)
    both = a.merge(b)
    assert a.merge(Profile()) == a == Profile().merge(a) and merge_all([]) == Profile()
    left = both.subtract(b)
    assert left.rows == 300 and left["y"] == a["y"]
    if isinstance(left["x"], EmptyProfile):
        return
    for name in ("rows", "missing"):
        assert getattr(left["x"], name) == getattr(a["x"], name)
    for name in ("bins", "held", "offsets", "cut"):
        assert np.array_equal(getattr(left["x"], name), getattr(a["x"], name)), name
    assert left["x"].low is None and left["x"].moments is None
    assert set(left["x"].keys.tolist()) <= set(a["x"].keys.tolist())
    assert both.subtract(a).subtract(b).rows == 0


def test_what_was_not_merged_cannot_be_subtracted():
    a = profile({"x": np.arange(100.0), "y": ["a"] * 100})
    for part, word in (
        (profile({"x": np.arange(101.0)}, like=a), "not in the whole"),
        (profile({"x": np.arange(50.0) * 7}), "two grids"),
        (profile({"y": ["b"]}), "not in the whole"),
        (profile({"z": [1.0]}), "'z'"),
        (profile({"y": [1.0]}), "'y' is categorical here and numeric there"),
    ):
        with pytest.raises(DataError, match=word):
            a.subtract(part)


def test_columns_of_one_side_and_without_values():
    full, void = profile({"x": [1.5, 2.5], "y": ["a", "b"]}), profile({"x": [None, None, None], "z": [1, 2, 3]})
    merged = full.merge(void)
    assert merged == void.merge(full) and merged.rows == 5 and merged.names == ["x", "y", "z"]
    assert (merged["x"].rows, merged["x"].missing, merged["y"].rows, merged["z"].rows) == (5, 3, 2, 3)
    assert merged.subtract(void)["x"].missing == 0


@pytest.mark.parametrize(
    ("one", "two", "word"),
    [
        ([1.5], ["a"], "'x' is numeric (float64) here and categorical"),
        ([1.5], [2], "'x' has float64 and int64 keys"),
        ([1.5], np.array([1.5], np.float32), "'x' has float64 and float32 keys"),
        ([1], pd.to_datetime(["2024-01-01"]), "'x' has numeric and datetime"),
        (pd.to_datetime(["2024-01-01"]), pd.to_datetime(["2024-01-01"], utc=True), "'x' has no and a time zone"),
    ],
)
def test_conflicts_name_the_column(one, two, word):
    a, b = (profile(pd.DataFrame({"x": side, "ok": 1})) for side in (one, two))
    for pair in ((a, b), (b, a)):
        with pytest.raises(DataError) as caught:
            merge_all(pair)
        assert caught.value.fields["column"] == "x"
    with pytest.raises(DataError) as caught:
        a.merge(b)
    assert word in str(caught.value)


def test_merge_all_is_the_fold_of_merge():
    reference = profile({s: sample(s, 0, 2000) for s in SHAPES})
    days = [profile({s: sample(s, day, 150) for s in SHAPES}, like=reference) for day in range(1, 13)]
    fold = Profile()
    for day in days:
        fold = fold.merge(day)
    assert fold == merge_all(days) and fold.rows == 12 * 150
    for shape in set(SHAPES) - {"wild"}:
        assert math.isclose(fold[shape].moments.m2, merge_all(days)[shape].moments.m2, rel_tol=1e-9, abs_tol=1e-9)


# ------------------------------------------------------------------------------------------------ labels
label = st.one_of(st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False, width=16), st.text(max_size=3))


@EXAMPLES
@given(st.lists(st.dictionaries(label, st.integers(0, 9), max_size=8), min_size=1, max_size=4), st.randoms())
def test_labels_add_up_in_any_order(parts, order):
    made = [label_profile(p, i) for i, p in enumerate(parts)]
    merged = merge_labels(made)
    order.shuffle(made)
    assert merge_labels(made) == merged
    for name, count in merged.names.items():
        assert count == sum(n for p in parts for key, n in p.items() if name_of(key) == name)
    assert merged.rows == sum(sum(p.values()) for p in parts) + merged.missing


def test_labels_of_all_types_are_told_apart():
    odd = [True, 1, 1.0, "1", "True", float("inf"), pd.Timestamp("2024-01-01"), "x" * 500, "x" * 501, -0.0]
    names = [name_of(x) for x in odd]
    assert len(set(names)) == len(odd) and all(len(n) < 210 for n in names) and name_of(0.0) == name_of(-0.0)


def test_a_sketch_is_a_function_of_the_data(monkeypatch):
    rng = np.random.default_rng(1)
    ids = {f"id {i}": int(n) for i, n in enumerate(rng.geometric(0.4, 12_000))}
    whole = label_profile(ids, 3)
    assert not whole.exact and label_profile(dict(list(ids.items())[:10_000]), 0).exact
    for seed in range(3):
        side = np.random.default_rng(seed).integers(0, 4, len(ids))
        parts = [
            label_profile({k: n for (k, n), s in zip(ids.items(), side, strict=True) if s == r}, 0) for r in range(4)
        ]
        parts.append(label_profile({}, 3))
        assert merge_labels(parts) == whole == merge_labels([merge_labels(parts[2:]), *parts[:2]])
    assert all(ids[k] == n for k, n in whole.counts.items()) and abs(whole.distinct / 12_000 - 1) < 0.1
    assert all(whole.sketch.most(name_of(k)) >= n for k, n in ids.items())
    exact = sorted(ids, key=lambda k: labelling.hash_of(name_of(k)))[:1024]
    assert set(whole.counts) == set(exact)
    with pytest.raises(DataError, match="too many labels"):
        table_named(whole).subtract(table_named(whole))
    with pytest.raises(DataError, match=r"about 1\d,\d{3} labels"):
        bounds.binned("psi", whole, whole)


def test_a_digest_does_not_depend_on_the_process():
    code = (
        "from mlnb.data.labels import label_profile as p\n"
        "print(p({f'id {i}': 1 + i % 7 for i in range(11000)}, 1).digest, p({'a': 1, True: 2}, 0).digest)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = label_profile({f"id {i}": 1 + i % 7 for i in range(11_000)}, 1), label_profile({True: 2, "a": 1}, 0)
    assert run.stdout.split() == [p.digest for p in here]


# ------------------------------------------------------------------------------------------------ files
@pytest.fixture(scope="module")
def various() -> Profile:
    """A profile with all that there is in one."""
    frame = {s: sample(s, 5, 600) for s in SHAPES}
    more = {"town": ["Bern", "Cork", None] * 200, "void": [None] * 600, "id": [f"n{i}" for i in range(600)]}
    made = profile({**frame, **more})
    unlike = profile({"normal": sample("normal", 6, 300) + 1, "seconds": sample("seconds", 7, 300)})
    sketch = Profile({"many": label_profile({f"n{i}": 1 for i in range(11_000)}, 2)}, 11_002, {"odd": "why"})
    return made.merge(unlike, sketch)


def test_read_back_equal(various, tmp_path):
    path = various.save(tmp_path / "reference.json")
    again = load_profile(path)
    assert again == various and again.names == various.names and again.skipped == {"odd": "why"}
    for name, column in various.columns.items():
        assert again[name] == column and type(again[name]) is type(column)
        if isinstance(column, NumberProfile):
            assert again[name].moments == column.moments
    assert again.to_json() == various.to_json() and again.merge(various) == various.merge(various)
    assert [p.name for p in tmp_path.iterdir()] == ["reference.json"]
    with pytest.raises(FileError, match="End it with"):
        various.save(tmp_path / "reference.pkl")


def test_size_and_certified_distance_at_the_default():
    rng = np.random.default_rng(0)
    n = 60_000
    drifted = {
        "normal": lambda s: rng.normal(s, 1, n),
        "lognormal": lambda s: np.exp(rng.normal(s, 1, n)),
        "poisson": lambda s: rng.poisson(20 + 4.5 * s, n),
        "decimals": lambda s: np.round(rng.normal(s, 1, n), 2),
        "mixed": lambda s: np.where(rng.random(n) < 0.6, 0, np.exp(rng.normal(s, 1, n))),
    }
    before = {name: of(0.0) for name, of in drifted.items()}
    reference = profile(before)
    for name in drifted:
        assert len(Profile({name: reference[name]}, n).to_json()) < 32_000
    for by in (0.1, 0.3, 0.5):
        after = {name: of(by) for name, of in drifted.items()}
        current = profile(after, like=reference)
        for name in drifted:
            proven, truth = bounds.ks(reference[name], current[name]), stats.ks(before[name], after[name]).statistic
            assert proven.low <= truth <= proven.high and proven.width <= 2e-3, (name, by, proven)


def refused(text) -> str:
    """The one line with which a text is refused."""
    with pytest.raises(DataError) as caught:
        profile_from_json(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_cut_off_and_flipped_files(various):
    text = various.to_json().encode()
    chance = random.Random(3)
    for _ in range(60):
        refused(text[: chance.randrange(len(text) - 1)])
    for _ in range(150):
        place = chance.randrange(len(text) - 1)
        flipped = bytearray(text)
        flipped[place] ^= 1 << chance.randrange(7)
        assert bytes(flipped) != text
        refused(bytes(flipped))
    for other in (b"", b"[]", b"{}", b"null", b"\x80\x04\x95", b"[" * 100_000, b'{"format": "mlnb-profile"}'):
        refused(other)


def leaves(tree, path=()):
    """Paths of all values in a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from leaves(value, (*path, key))


ODD = [None, True, -1, 0, 1, 2**53, 2**64, 1.5, "", "x", "0", str(2**64), [], {}, [[1, 1]], [None], {"shape": [[9, 9]]}]


def test_a_signed_forgery_is_refused_or_harmless(various):
    """Whoever alters a file and its checksum gets a line, or a profile that everything still works on."""
    text, chance = various.to_json(), random.Random(5)
    paths = list(leaves(json.loads(text)))
    caught = 0
    for _ in range(250):
        form = json.loads(text)
        *way, last = chance.choice(paths)
        place = form
        for key in way:
            place = place[key]
        place[last] = chance.choice(ODD)
        form["sha256"] = checksum(form)
        try:
            made = profile_from_json(json.dumps(form))
        except DataError as err:
            caught += "\n" not in str(err)
            continue
        made.to_frame()
        assert made.merge(made).rows == 2 * made.rows
    assert caught > 150


def test_a_small_file_that_claims_much_is_refused_before_it_is_unpacked(various):
    form = json.loads(various.to_json())
    name = next(n for n, c in form["columns"].items() if c["form"] == "numbers")
    nothing = base64.b64encode(zlib.compress(b"")).decode()
    for length in (65_538, 2**26 - 4):
        many = {**form, "columns": {name: {**form["columns"][name]}}}
        many["columns"][name]["bins"] = {"shape": [[length, 0]] * 5, "data": nothing}
        tracemalloc.start()
        assert "more than 65,537" in refused(json.dumps({**many, "sha256": checksum(many)}))
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()
    ones = {"shape": [[65_537, 0]] * 5, "data": nothing}
    crowd = {**form, "columns": {f"x{i}": {**form["columns"][name], "bins": ones} for i in range(1700)}}
    assert "unpacks to more than 4 GiB" in refused(json.dumps({**crowd, "sha256": checksum(crowd)}))


def test_a_file_too_large_for_a_profile_is_not_parsed(various, tmp_path, monkeypatch):
    monkeypatch.setattr("mlnb.data.profile.MOST_FILE", 1 << 20)
    path = tmp_path / "huge.json"
    path.write_text(" " * (1 << 20) + various.to_json())
    with pytest.raises(DataError, match="more than the 1 MiB that a profile may have"):
        load_profile(path)


def test_versions(various):
    form = json.loads(various.to_json())
    newer = json.dumps({**form, "version": 2})
    assert "version 2" in refused(newer) and "update mlnb" in refused(newer)
    for odd in (0, -1, "1", None, True, 1.0):
        refused(json.dumps({**form, "version": odd}))


def test_a_missing_file_is_one_line(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match="cannot read"):
            load_profile(path)


# ------------------------------------------------------------------------------------------------ every way in
@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 4000
    return pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.05, np.nan, np.round(rng.gamma(3, 30, n), 2)),
            "items": pd.array(rng.poisson(3, n), dtype="Int64"),
            "small": rng.normal(size=n).astype(np.float32),
            "town": pd.Categorical(rng.choice(["Bern", "Cork"], n)),
            "note": pd.array(rng.choice(["a", None, "b"], n), dtype="string"),
            "paid": pd.Timestamp("2024-05-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
            "took": pd.to_timedelta(rng.integers(0, 10**6, n), unit="s"),
            "gift": rng.random(n) < 0.1,
            "void": None,
        }
    )


def test_same_bits_from_every_source(orders, tmp_path, monkeypatch):
    reference = profile(orders.sample(frac=0.5, random_state=1))
    whole = profile(orders, like=reference)
    assert not whole.skipped and whole.names == list(orders.columns)
    orders.to_parquet(tmp_path / "all.parquet", row_group_size=700)
    for i in range(3):
        orders.iloc[i::3].to_parquet(tmp_path / f"part{i}.parquet", row_group_size=500)
    monkeypatch.setattr("mlnb.drifting.counting.KEPT_ROWS", 1000)
    sources = {
        "shuffled": orders.sample(frac=1, random_state=3),
        "parquet": tmp_path / "all.parquet",
        "glob": str(tmp_path / "part*.parquet"),
    }
    made = {name: profile(source, like=reference) for name, source in sources.items()}
    made["parts"] = merge_all(profile(orders.iloc[i::5], like=reference) for i in (3, 1, 4, 0, 2))
    monkeypatch.setattr(profiling, "COMPILED_FROM", 1)
    made["compiled"] = profile(orders, like=reference)
    made["compiled parquet"] = profile(tmp_path / "all.parquet", like=reference)
    for name, other in made.items():
        for column in whole.names:
            same_but_dtype = [_without_dtype(p[column]) for p in (other, whole)]
            assert same_but_dtype[0] == same_but_dtype[1], (name, column)
    own = profile(orders)
    monkeypatch.setattr(profiling, "COMPILED_FROM", 10**9)
    assert profile(orders) == own == profile(orders)


@pytest.mark.parametrize("parts", [1, 7])
def test_dask_counts_where_its_partitions_are(orders, parts, monkeypatch):
    import dask
    import dask.dataframe as dd

    from mlnb.data import dask_asking, dask_table

    orders = orders.assign(hole=np.where(np.arange(len(orders)) < 1500, np.nan, orders["small"]), least=0)
    orders["most"] = np.arange(len(orders), dtype=np.uint64) + np.uint64(2**63)
    with dask.config.set({"dataframe.convert-string": False, "scheduler": "synchronous"}):
        collection = dd.from_pandas(orders, npartitions=parts, sort=False)
        truth = profile(orders)
        assert profile(collection, engine="cpu") == truth

        def fetched(*_):
            raise AssertionError("a partition was brought here")

        asked, computed = [], dask_asking.computed
        monkeypatch.setattr(dask_table.DaskTable, "partitions", fetched)
        monkeypatch.setattr(dask_asking, "computed", lambda *a: asked.append(1) or computed(*a))
        for engine in ("auto", "dask"):
            asked.clear()
            made = profile(collection, engine=engine)
            assert made == truth and made.digest == truth.digest and not made.skipped
            assert len(asked) <= 6  # rows, kinds, samples, counts, values of the quantiles: however many columns
        half = orders.iloc[1::2]
        like = profile(half, like=truth)
        there = profile(dd.from_pandas(half, npartitions=parts, sort=False), like=truth)
        assert there == like and there.digest == like.digest
        monkeypatch.setattr("mlnb.drifting.dask_counting.COMPILED", 1)
        assert profile(collection) == truth
        for name, column in truth.columns.items():
            moments = getattr(column, "moments", None), getattr(made[name], "moments", None)
            assert moments[0] is None or math.isclose(moments[0].mean, moments[1].mean, rel_tol=1e-9, abs_tol=1e-9)


def test_profiles_are_not_counted_on_a_gpu():
    with pytest.raises(ArgumentError, match=r"no engine 'gpu'"):
        profile(pd.DataFrame({"a": [1.0]}), engine="gpu")


def _without_dtype(column):
    from dataclasses import replace

    return column.rows if isinstance(column, EmptyProfile) else replace(column, dtype="")


def test_kinds(orders):
    made = profile(orders)
    assert [c.holds for c in made.columns.values()] == [
        *("numeric", "numeric", "numeric", "categorical", "categorical"),
        *("datetime", "duration", "boolean", "empty"),
    ]
    assert made["paid"].zoned and made["paid"].times and not made["items"].zoned
    frame = made.to_frame()
    assert frame.loc["paid", "min"] == orders["paid"].min().tz_localize(None)
    assert frame.loc["took", "max"] == orders["took"].max()
    assert frame.loc["items", "distinct"] == orders["items"].nunique() and frame.loc["note", "distinct"] == 2
    assert math.isclose(frame.loc["amount", "mean"], orders["amount"].mean())
    assert math.isclose(frame.loc["amount", "sd"], orders["amount"].std())
    assert frame.loc["amount", "missing"] == orders["amount"].isna().sum()
    assert "<table" in made._repr_html_() and len(repr(made).splitlines()) < 15


def test_columns_that_cannot_be_profiled_are_named():
    frame = pd.DataFrame({"ok": [1.0, 2.0], "odd": [1j, 2j], "lists": [[1], [2]]})
    made = profile(frame)
    assert made.names == ["ok"] and set(made.skipped) == {"odd", "lists"}
    assert "cannot be profiled" in made.skipped["odd"] and "odd is not in it" in repr(made)
    with pytest.raises(DataError, match="cannot be profiled"):
        made["odd"]
    assert made.merge(made).skipped == made.skipped


def test_types_that_changed_follow_the_reference_where_nothing_is_lost():
    like = profile({"count": np.arange(50), "flag": [True, False] * 25, "size": np.arange(50.0), "half": np.arange(50)})
    now = profile(
        {"count": [1.0, None, 3.0], "flag": [True, False, None], "size": [1, 2, 3], "half": [0.5, 1.0, 2.0]}, like=like
    )
    assert [now[c].kind for c in ("count", "size", "half")] == ["int64", "float64", "float64"]
    assert like.merge(profile({"count": [1.0, None, 3.0]}, like=like))["count"].missing == 1
    assert isinstance(now["flag"], LabelProfile) and now["half"].cut.sum() == 3
    with pytest.raises(DataError, match="'half' has int64 and float64 keys"):
        like.merge(now)


def test_arguments():
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    assert profile(frame, columns="b").names == ["b"] == profile(frame, columns=["b"]).names
    made = profile(frame)
    assert profile(made) is made and profile(made, columns="a").names == ["a"]
    for wrong in ({"columns": "c"}, {"bins": 1}, {"bins": 2.5}, {"engine": "gpus"}, {"like": frame}):
        with pytest.raises(ArgumentError):
            profile(frame, **wrong)
    double = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    with pytest.raises(DataError, match="several columns named 'a'"):
        profile(double)
    assert profile(pd.DataFrame()).rows == 0


# ------------------------------------------------------------------------------------------------ bounds
def pairs(count: int, seed: int):
    """Random pairs of samples, of one shape or of two."""
    rng = np.random.default_rng(seed)
    names = sorted(SHAPES)
    for _ in range(count):
        n, m = (int(10 ** rng.uniform(0, 3.3)) for _ in range(2))
        first = names[rng.integers(len(names))]
        second = first if rng.random() < 0.8 else names[rng.integers(len(names))]
        one, two = sample(first, rng.integers(2**32), n), sample(second, rng.integers(2**32), m)
        if two.dtype.kind == "f" and rng.random() < 0.5:
            two = two * two.dtype.type(1.2) + two.dtype.type(0.2)
        if not any(np.isnan(side.astype(float)).all() for side in (one, two)):
            yield one, two, int(2 ** rng.integers(4, 12)), int(rng.integers(4))


def two_sides(one, two, bins, way):
    """Profiles alike, each on its own grid, merged from unlike parts, or a profile and raw values."""
    reference = profile({"x": one}, bins=bins)
    if way == 0:
        return reference["x"], profile({"x": two}, like=reference)["x"]
    if way == 1:
        return reference["x"], profile({"x": two}, bins=bins)["x"]
    if way == 2:
        return (
            merge_all(profile({"x": v}, bins=bins) for v in (side[::2], side[1::2]) if v.size)["x"]
            for side in (one, two)
        )
    return reference["x"], two


def certified(count: int, seed: int) -> dict[str, list[float]]:
    """Check that the exact value lies in every interval; the widths."""
    widths: dict[str, list[float]] = {}
    for one, two, bins, way in pairs(count, seed):
        reference, current = two_sides(one, two, bins, way)
        with np.errstate(all="ignore"):
            truths = {"ks": stats.ks(one, two).statistic, "wasserstein": stats.wasserstein(one, two).statistic}
            truths |= {m: getattr(stats, m)(one, two).statistic for m in stats.OF_SHARES}
        for method, truth in truths.items():
            of = getattr(bounds, method, None)
            proven = of(reference, current) if of else bounds.binned(method, reference, current)
            slack = 1e-9 * abs(truth) if method == "wasserstein" and np.isfinite(truth) else 1e-12
            assert proven.low - slack <= truth <= proven.high + slack, (method, way, bins, truth, proven)
            if np.isfinite(proven.high):
                relative = max(truth, 1e-300) if method == "wasserstein" else 1.0
                widths.setdefault(f"{method} {('alike', 'unlike', 'merged', 'raw')[way]}", []).append(
                    proven.width / relative
                )
        for share in (0.1, 0.5, 0.9):
            with np.errstate(all="ignore"):
                truth = float(np.quantile(stats.as_numbers(one).values, share))
            proven = bounds.quantile(reference, share)
            slack = 1e-12 * abs(truth)
            assert not proven.low - slack > truth and not truth > proven.high + slack
    return widths


def test_intervals_hold():
    widths = certified(250, 1)
    assert max(widths["psi alike"]) == 0 == max(widths["psi raw"])


@pytest.mark.long
def test_intervals_hold_in_ten_thousand_trials():
    widths = certified(10_500, 2)
    for method, found in sorted(widths.items()):
        print(f"{method:28s} {len(found):6d} median {np.quantile(found, 0.5):.2e}, 90 % {np.quantile(found, 0.9):.2e}")


@pytest.mark.parametrize("size", [3, 11, 40])
def test_quantiles_that_share_a_bin_leave_the_number_of_bins_open(size):
    rng = np.random.default_rng(size)
    for _ in range(15):
        one, two = rng.normal(size=size), rng.normal(1, 2, size=15)
        reference = merge_all([profile({"x": one[::2]}, bins=16), profile({"x": one[1::2]}, bins=16)])["x"]
        proven = bounds.binned("psi", reference, two)
        assert proven.low <= stats.psi(one, two).statistic <= proven.high


def test_an_interval_can_be_wrong():
    """The test above is able to fail: the number of other data lies outside."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=5000), rng.normal(0.3, 1, 5000)
    reference = profile({"x": a})
    current = profile({"x": b}, like=reference)["x"]
    for method in ("ks", "wasserstein"):
        proven = getattr(bounds, method)(reference["x"], current)
        assert not proven.low <= getattr(stats, method)(a, b + 0.05).statistic <= proven.high
    alone = bounds.binned("psi", reference["x"], profile({"x": b})["x"])
    assert not alone.low <= stats.psi(a, b + 0.05).statistic <= alone.high


def test_raw_values_narrow_the_interval():
    rng = np.random.default_rng(3)
    a, b = rng.poisson(5, 4000).astype(float), rng.normal(5, 2, 4000)
    reference = profile({"x": a})["x"]
    apart, raw = bounds.ks(reference, profile({"x": b}, bins=64)["x"]), bounds.ks(reference, b)
    assert raw.exact and raw.low == stats.ks(a, b).statistic and apart.width > 0.01
    assert bounds.binned("psi", reference, b).low == stats.psi(a, b).statistic


def test_labels_compare_exactly():
    a, b = ["x"] * 60 + ["y"] * 40, ["x"] * 30 + ["z"] * 70 + [None] * 5
    one, two = profile({"c": a})["c"], profile({"c": b})["c"]
    for method in stats.OF_SHARES:
        assert bounds.binned(method, one, two).low == getattr(stats, method)(a, b).statistic
    with pytest.raises(DataError, match="numbers"):
        bounds.binned("psi", one, profile({"c": [1.0]})["c"])
    with pytest.raises(DataError, match="categories"):
        bounds.ks(profile({"c": [1.0]})["c"], one)
    with pytest.raises(DataError):
        bounds.ks(profile({"c": [1.0]})["c"], pd.Series(pd.to_datetime(["2024-01-01"])))


def test_columns_without_values_compare_by_their_missing_share():
    rng = np.random.default_rng(1)
    full, void = rng.normal(size=500), np.full(300, np.nan)
    one, two = profile({"x": full})["x"], profile({"x": void})["x"]
    for method in stats.OF_SHARES:
        of = getattr(stats, method)
        assert bounds.binned(method, one, two).low == of(full, void).statistic
        assert math.isclose(bounds.binned(method, two, one).low, of(void, full).statistic, rel_tol=1e-12)
        assert bounds.binned(method, two, two).low == 0
    for a, b in ((one, two), (two, one)):
        with pytest.raises(DataError, match="no values"):
            bounds.ks(a, b)


def test_bound_tells():
    assert bounds.Bound(0.1, 0.2).tells(0.05) and bounds.Bound(0.1, 0.2).tells(0.2)
    assert not bounds.Bound(0.1, 0.2).tells(0.15) and bounds.Bound(0.2, 0.2, exact=True).width == 0


def test_grid_of_a_reference_without_values():
    assert make_grid(np.empty(0), "float64", 64).size > 0
    assert isinstance(profile({"x": np.full(5, np.nan)})["x"], EmptyProfile)
