"""``zsl plan`` and the DAG refuse imported curves that their jobs, or the fits, would refuse."""

import json

import pytest

from zsl.config.load import resolve
from zsl.errors import ZslError
from zsl.planning.imported import check_imported

DOWNLOAD = {"url": "https://a.b/c.csv", "sha256": "0" * 64}


def plan(suite=None, **settings):
    imported = {"defaults": {"values": "raw"}, "runs": {"own": settings}}
    suites = {"main": {"imported": imported, **(suite or {})}}
    return resolve({"experiment": "x", "suites": suites}, environ={})


@pytest.fixture
def path(tmp_path):
    """A good curve: 200 losses, the last at step 2,000."""
    file = tmp_path / "own.csv"
    file.write_text("step,loss\n" + "".join(f"{10 * t},{5 - t / 1000}\n" for t in range(1, 201)))
    return file


def test_a_good_curve_passes(path):
    check_imported(plan(path=str(path)))


def test_a_missing_file_is_named_with_its_key(tmp_path):
    key = r"suites\.main\.imported\.runs\.own\.path = '.*none\.csv': No such file"
    with pytest.raises(ZslError, match=key):
        check_imported(plan(path=str(tmp_path / "none.csv")))
    with pytest.raises(ZslError, match="no plain file"):
        check_imported(plan(path=str(tmp_path), format="csv"))


def test_a_bad_row_is_named(path):
    path.write_text(path.read_text() + "2010.5,4\n")
    with pytest.raises(ZslError, match=r"own\.csv, line 202: step '2010\.5' is no whole number"):
        check_imported(plan(path=str(path)))


def test_a_curve_that_the_cut_leaves_nothing_of_is_an_error(path):
    said = "main-own ends at step 2000 and has 0 losses after the cut at step 2000; a fit needs 6"
    with pytest.raises(ZslError, match=said):
        check_imported(plan({"cut": 2000}, path=str(path)))
    with pytest.raises(ZslError, match="has 5 losses after"):
        check_imported(plan({"cut": 1500}, path=str(path)))
    check_imported(plan({"cut": 1400}, path=str(path)))


def test_what_has_to_be_downloaded_is_left_to_its_job():
    check_imported(plan(**DOWNLOAD))


def test_the_authors_file_may_hold_a_step_twice(tmp_path):
    steps = [*range(10, 300), 299]
    curve = {"smoothed_loss": {"x": steps, "y": [5 - step / 1000 for step in steps]}}
    file = tmp_path / "bnsl_fit.json"
    file.write_text(json.dumps({"own": curve}))
    check_imported(plan(path=str(file), format="authors"))
    curve["smoothed_loss"]["y"][-1] += 0.1
    file.write_text(json.dumps({"own": curve}))
    with pytest.raises(ZslError, match=r"step 299 has the loss 4\.801, and 4\.701 in point 290"):
        check_imported(plan(path=str(file), format="authors"))
