"""Checkpoints of others, from a server or from folders, in folders as ours are."""

import pytest
import torch
from olmo_run import STEPS
from safetensors.torch import load_file

from zsl.checkpoints.contents import oddities
from zsl.checkpoints.errors import CheckpointError, MovedError
from zsl.checkpoints.fetching import fetch, kept_contents
from zsl.config.elsewhere import Elsewhere
from zsl.config.grids import checkpoint_name
from zsl.files import read_json, sha256
from zsl.models.families import family_of
from zsl.models.olmo.architecture import load_model

PARAMETERS = 24 * 8 + 2 * (4 * 8 * 8 + 64 * 8 + 32 * 8)
NAME = "someone/checkpoints"


@pytest.fixture
def theirs(hub, suite):
    for step in STEPS:
        hub.push_folder(NAME, f"tiny-step{step}", suite.folder / f"step{step}")
    return hub


def bring(tmp_path, asked=(4,), parameters=PARAMETERS, **source):
    given = {"revision": "tiny-step{step}", "steps": [1, 2, 4, 8, 16], **source}
    if "folder" not in given:
        given["repository"] = NAME
    return fetch(
        Elsewhere.model_validate(given),
        asked,
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
    assert here["checkpoints"]["step00000004"]["origin"] == "step4"


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


@pytest.fixture
def pythia(hub, tmp_path):
    """A tiny GPT-NeoX in float16, its revisions named as Pythia's; two have equal weights."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = GPTNeoXConfig(vocab_size=24, intermediate_size=32, max_position_embeddings=16, **shape)
    model = GPTNeoXForCausalLM(config)
    for step in (0, 1, 2, 4):
        if step > 1:
            with torch.no_grad():
                for weight in model.parameters():
                    weight.add_(0.1 * torch.randn_like(weight))
        folder = tmp_path / f"pythia/step{step}"
        model.half().save_pretrained(folder)
        model.float()
        hub.push_folder(NAME, f"tiny-step{step}", folder)
    return sum(weight.numel() for weight in model.parameters())


def test_models_of_transformers_are_taken_as_they_are(hub, pythia, tmp_path):
    manifest = bring(tmp_path, (0, 1, 2), pythia, steps=[0, 1, 2, 4], optimizer=False)
    told = manifest["checkpoints"]["step00000002"]
    assert told["format"] == "transformers" and len(told["weights"]) == len(
        load_file(tmp_path / "pythia/step2/model.safetensors")
    )
    folder = tmp_path / "fetched/step00000002"
    model = family_of(folder).load_model(folder)
    stored = load_file(tmp_path / "pythia/step2/model.safetensors")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert sum(float(w.sum()) for w in model.parameters()) == pytest.approx(
        sum(float(w.float().sum()) for w in stored.values()), rel=1e-5
    )
    faults = list(oddities(kept_contents(manifest)))
    assert [(fault.kind, fault.steps) for fault in faults] == [("equal weights", (0, 1))]


def test_no_state_of_an_optimizer_is_read_from_models_of_transformers(hub, pythia, tmp_path):
    with pytest.raises(CheckpointError, match=r"set source\.optimizer"):
        bring(tmp_path, (2,), pythia, steps=[0, 1, 2, 4])
