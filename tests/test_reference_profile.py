"""A model is watched by the profile that training kept of its data, where the data itself is gone."""

from __future__ import annotations

import pytest

from mlnb.core.errors import DataError
from mlnb.data.profile import Profile
from mlnb.drifting.engine import drift
from mlnb.pipelines.known import open_reference, reference_profile
from mlnb.pipelines.trained import recall, report_training
from mlnb.pipelines.watching import report_window
from mlnb.tracking.profiles import PLACE, stored_profile
from mlnb.tracking.run import track
from mlnb.training.fit import fit


@pytest.fixture
def watched(bike, bare_workspace):
    """A model of the hires of 2011, trained from a table that is gone afterwards; the run, and two windows of 2012."""
    year = bike[bike["dteday"] < "2012-01-01"].drop(columns=["casual", "registered"])
    windows = {
        name: bike[(bike["dteday"] >= start) & (bike["dteday"] < end)].drop(columns=["casual", "registered"])
        for name, start, end in (("whole", "2012-01-01", "2013-01-01"), ("july", "2012-07-01", "2012-08-01"))
    }
    path = bare_workspace.root / "hires.csv"
    year.to_csv(path, index=False)
    with track("train", kind="train", workspace=bare_workspace) as run:
        trained = fit(year, target="cnt")
        run.model(trained.pipeline, example=trained.train.head())
        run.profile(reference_profile(trained, year))
        run.log(report_training(trained, year, data=str(path)))
    return run, path, year, windows


def states(report):
    return {(r.subject, r.method): r.status for r in report.results if r.code.startswith("MLN-D") and r.subject}


def test_the_profile_says_what_the_table_said(watched):
    run, path, _, windows = watched
    model = recall(run.id)
    names = (model.data, "july")
    by_table = report_window(model, open_reference(model), windows["july"], names=names)
    path.unlink()
    kept = open_reference(model)
    assert isinstance(kept, Profile)
    by_profile = report_window(model, kept, windows["july"], names=names)
    first = next(r for r in by_profile.results if r.code == "MLN-M001")
    assert (first.status, first.method) == ("pass", "profile")
    table, profile = states(by_table), states(by_profile)
    said = "prediction of cnt"
    assert {k: v for k, v in profile.items() if k[0] != said} == {k: v for k, v in table.items() if k[0] != said}
    assert (said, "ks") in profile and profile["temp", "psi"] == "fail"
    assert any(not r.exact and r.interval for r in by_profile.results)


def test_a_model_s_address_is_a_reference(watched):
    run, _, year, windows = watched
    kept = stored_profile(f"runs:/{run.id}")
    by_address = drift(f"runs:/{run.id}", windows["whole"], columns="temp,hum,weathersit")
    assert states(by_address) == states(drift(year, windows["whole"], columns="temp,hum,weathersit"))
    psi = {r.subject: r.value for r in by_address.results if r.method == "psi"}
    exact = {r.subject: r.value for r in drift(year, windows["whole"]).results if r.method == "psi"}
    assert psi == {name: exact[name] for name in psi} and kept["cnt"].rows == len(year)


def test_a_run_without_a_profile_says_so(watched, bare_workspace):
    _, path, year, _ = watched
    with track("bare", kind="train", workspace=bare_workspace) as bare:
        trained = fit(year, target="cnt")
        bare.model(trained.pipeline, example=trained.train.head())
        bare.log(report_training(trained, year, data=str(path)))
    path.unlink()
    with pytest.raises(DataError, match="there is no file"):
        open_reference(recall(bare.id))
    with pytest.raises(DataError, match=f"run {bare.id[:8]} has no reference profile"):
        drift(f"runs:/{bare.id}", year)
    assert PLACE == "profiles/reference.json"


def test_labels_that_look_like_secrets_stay_out(bare_workspace):
    import pandas as pd

    from mlnb.drifting.profiling import profile

    calls = pd.DataFrame({"ms": [12.5, 80.0] * 20, "token": ["ghp_0123456789abcdefABCDEF0123456789abcd", "none"] * 20})
    with track("calls", workspace=bare_workspace) as run:
        run.profile(profile(calls))
    kept = stored_profile(f"runs:/{run.id}")
    assert kept.names == ["ms"] and kept.skipped == {"token": "its labels look like secrets"}
    texts = [p.read_text(errors="ignore") for p in bare_workspace.root.rglob("*") if p.is_file()]
    assert not any("ghp_0123456789" in text for text in texts)
