"""One value of 1e6 in 100,000 rows: who still sees that N(0.3, 1) is not N(0, 1).

Evidently's methods are Evidently's own. The estimates of NannyML and whylogs are written here from their published
definitions: a KS between 10,000 equal-width bins of the reference, a Jensen–Shannon distance over bins by Doane's rule,
and a Hellinger distance over 30 equal-width bins.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from benchmarks.drift.measuring import Row

ROWS = 100_000
OURS = ("ks", "psi", "js", "kl", "wasserstein", "total_variation", "hellinger", "cramer_von_mises", "energy")


def of_ours(here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """Every distance that the check measures of numbers."""
    import pandas as pd

    import mlnb
    from mlnb.drifting.policy import DISTANCES

    asked = [m for m in OURS if m in DISTANCES]
    report = mlnb.drift(pd.DataFrame({"x": here}), pd.DataFrame({"x": there}), methods=asked)
    return {f"mlnb {r.method}": r.value for r in report.results if r.subject == "x" and r.method in asked and r.value}


def of_evidently(here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """Their distances of numbers, as their report gives them."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    found = {}
    definition = DataDefinition(numerical_columns=["x"])
    sides = [Dataset.from_pandas(pd.DataFrame({"x": x}), data_definition=definition) for x in (there, here)]
    for method in ("psi", "jensenshannon", "kl_div", "hellinger", "wasserstein"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said: Any = Report([DataDriftPreset(num_method=method)]).run(*sides).dict()
        found[f"Evidently {method}"] = float(said["metrics"][-1]["value"])
    return found


def of_equal_widths(here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """PSI and JS over ten bins of one width between the least and the largest value."""
    edges = np.histogram_bin_edges(np.concatenate([here, there]), bins=10)
    p, q = (np.maximum(np.histogram(x, edges)[0] / x.size, 1e-4) for x in (here, there))
    return {"equal widths, PSI": float(np.sum((q - p) * np.log(q / p))), "equal widths, JS": _js(p, q)}


def of_estimates(here: np.ndarray, there: np.ndarray) -> dict[str, float]:
    """What NannyML and whylogs estimate from bins."""
    edges = np.histogram_bin_edges(here, bins=10_000)
    below = [np.cumsum(np.histogram(x, edges)[0]) / x.size for x in (here, there)]
    doane = np.histogram_bin_edges(here, bins="doane" if here.max() < 1e5 else 40)
    p, q = (np.histogram(x, doane)[0] / x.size for x in (here, there))
    p, q = (np.append(side, max(0.0, 1 - side.sum())) for side in (p, q))
    thirty = np.histogram_bin_edges(np.concatenate([here, there]), bins=30)
    a, b = (np.histogram(x, thirty)[0] / x.size for x in (here, there))
    return {
        "as NannyML: KS of 10,000 bins": float(np.abs(below[0] - below[1]).max()),
        "as NannyML: JS": _js(p, q),
        "as whylogs: Hellinger": math.sqrt(max(0.0, 1 - float(np.sqrt(a * b).sum()))),
        "Wasserstein over std": _wasserstein(here, there) / float(here.std()),
    }


def _wasserstein(here: np.ndarray, there: np.ndarray) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(here, there))


def _js(p: np.ndarray, q: np.ndarray) -> float:
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(p, q, base=2))


def main(quick: bool = False) -> list[Row]:
    """Every distance without and with the outlier; ours must keep what they found."""
    rng = np.random.default_rng(0)
    here, there = rng.standard_normal(ROWS), rng.standard_normal(ROWS) + 0.3
    spoilt = here.copy()
    spoilt[0] = 1e6
    rows = []
    for of in (of_ours, of_equal_widths, of_estimates, *(() if quick else (of_evidently,))):
        clean, after = of(here, there), of(spoilt, there)
        for name, value in clean.items():
            kept = after[name] / value
            mine = name.startswith("mlnb") and "wasserstein" not in name and "energy" not in name
            rows.append(
                Row(
                    f"one outlier in 100,000: {name}",
                    value,
                    after[name],
                    unit="clean, spoilt",
                    goal="keeps 99 %" if mine else "",
                    holds=abs(kept - 1) < 0.01 if mine else None,
                    note="blind" if kept < 0.5 else "explodes" if kept > 2 else "",
                )
            )
    return rows
