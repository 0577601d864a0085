"""Checkpoints of others, from a server or from folders, in folders as ours are."""

import pytest
from olmo_run import STEPS

from zsl.checkpoints.errors import CheckpointError, MovedError
from zsl.checkpoints.fetching import fetch
from zsl.config.elsewhere import Elsewhere
from zsl.config.grids import checkpoint_name
from zsl.files import read_json, sha256
from zsl.models.olmo.architecture import load_model

PARAMETERS = 24 * 8 + 2 * (4 * 8 * 8 + 64 * 8 + 32 * 8)
NAME = "someone/checkpoints"


@pytest.fixture
def theirs(hub, suite):
    for step in STEPS:
        hub.push_folder(NAME, f"tiny-step{step}", suite.folder / f"step{step}")
    return hub


def bring(tmp_path, steps=(4,), parameters=PARAMETERS, **source):
    given = {"revision": "tiny-step{step}", "steps": [1, 2, 4, 8, 16], **source}
    if "folder" not in given:
        given["repository"] = NAME
    return fetch(
        Elsewhere.model_validate(given),
        steps,
        folder=tmp_path / "fetched",
        work=tmp_path / "work",
        pins=tmp_path / "pins.json",
        parameters=parameters,
    )


def test_weights_digests_and_origin(theirs, suite, tmp_path):
    manifest = bring(tmp_path, (2, 4))
    for step in (2, 4):
        folder = tmp_path / "fetched" / checkpoint_name(step)
        found = load_model(folder).state_dict()
        assert all((found[name] == weight).all() for name, weight in suite.weights[step].items())
        told = manifest["checkpoints"][folder.name]
        original = suite.folder / f"step{step}"
        for name in ("config.yaml", "model.pt", "optim.pt"):
            assert told["files"][name]["sha256"] == sha256(original / name)
        commit = theirs.revisions[NAME][f"tiny-step{step}"]
        assert told["origin"] == f"{NAME} tiny-step{step}@{commit}"
    there = {f"{p.parent.name}/{p.name}": sha256(p) for p in (tmp_path / "fetched").glob("*/*")}
    assert manifest["files"] == there
    assert not (tmp_path / "work").exists()


def test_the_same_from_a_folder_and_by_the_name_of_each_step(theirs, suite, tmp_path):
    by_pattern = bring(tmp_path / "a")
    by_map = bring(tmp_path / "b", revision={s: f"tiny-step{s}" for s in STEPS})
    here = bring(tmp_path / "c", folder=str(suite.folder), revision="step{step}")
    assert by_pattern == by_map
    assert by_pattern["files"] == here["files"]
    assert here["checkpoints"]["step00000004"]["origin"] == str(suite.folder / "step4")


def test_a_folder_of_ours_is_taken_as_it_is(theirs, tmp_path):
    first = bring(tmp_path / "a")
    own = bring(tmp_path / "b", folder=str(tmp_path / "a/fetched"), revision="step{step}")
    assert own["files"] == first["files"]
    assert own["checkpoints"]["step00000004"]["format"] == "zsl"


def test_without_the_optimizer_its_file_is_not_fetched(theirs, tmp_path):
    manifest = bring(tmp_path, optimizer=False)
    assert "optim.pt" not in manifest["checkpoints"]["step00000004"]["files"]
    assert theirs.times("optim.pt") == 0


def test_a_file_of_a_checkpoint_is_asked_for_once(theirs, tmp_path):
    bring(tmp_path, (1, 2, 4))
    assert all(n == 1 for line, n in theirs.asked.items() if line.startswith("GET /cdn/"))


def test_another_number_of_parameters(theirs, tmp_path):
    with pytest.raises(CheckpointError, match=r"2,240 parameters, and the configuration's 2,000"):
        bring(tmp_path, parameters=2000)


def test_a_step_that_is_not_there(theirs, tmp_path):
    with pytest.raises(CheckpointError, match=r"no name is 'tiny-step\{step\}' with step 3"):
        bring(tmp_path, (3,))


def test_a_branch_that_moved_is_an_error(theirs, suite, tmp_path):
    bring(tmp_path)
    pinned = read_json(tmp_path / "pins.json")
    theirs.push_folder(NAME, "tiny-step4", suite.folder / "step8")
    with pytest.raises(MovedError, match="tiny-step4 was commit"):
        bring(tmp_path)
    assert read_json(tmp_path / "pins.json") == pinned


def test_exchanged_steps_are_an_error(theirs, suite, tmp_path):
    theirs.push_folder(NAME, "tiny-step4", suite.folder / "step8")
    with pytest.raises(CheckpointError, match="is of step 8, not of step 4"):
        bring(tmp_path)


def test_the_repair_is_made_where_it_is_asked_for(theirs, tmp_path):
    plain, mended = bring(tmp_path / "a", (16,)), bring(tmp_path / "b", (16,), repair=True)
    name = "step00000016"
    assert plain["checkpoints"][name]["repair"] is None
    assert mended["checkpoints"][name]["repair"]
    assert plain["checkpoints"][name]["weights"] != mended["checkpoints"][name]["weights"]
