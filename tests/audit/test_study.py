"""Checks of a study, each broken once, and what they say then."""

from __future__ import annotations

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from zsl.audit.study import check_study
from zsl.config.grids import checkpoint_name
from zsl.files import sha256
from zsl.lineage.store import Record

FIRST, SECOND = "00000000-00000064", "00000064-00000128"
CHECKS = {
    "grid": "the grid of checkpoints is complete",
    "different": "all checkpoints of a run are different",
    "named": "checkpoints are of the step that their names say",
    "losses": "losses go on across segments",
    "order": "runs read the same tokens in the same order",
    "apart": "evaluation tokens are not among the training tokens",
    "shown": "figures and tables show the T and runs that they record",
    "pinned": "the packages installed were those pinned",
    "time": "nothing was read before it was made",
}


def make_record(path, rule, *, outputs=(), inputs=(), minute=0, **content):
    content = {
        "rule": rule,
        "wildcards": {},
        "params": {},
        "facts": {},
        "outputs": [{"path": f"results/tiny/{o['path']}", **_without_path(o)} for o in outputs],
        "inputs": list(inputs),
        "time": {
            "start": f"2026-01-01T00:{minute:02}:00Z",
            "end": f"2026-01-01T00:{minute:02}:30Z",
        },
        **content,
    }
    return Record(f"lineage/{path}.json", path, content, "results/tiny/")


def _without_path(output):
    return {key: value for key, value in output.items() if key != "path"}


def segment(run, name, steps, *, seed=1, order="a", weights=""):
    """The record of a segment whose checkpoints have made-up digests."""
    files = {
        f"{checkpoint_name(s)}/model.safetensors": weights or f"{run} of {seed} at {s}"
        for s in steps
    }
    return make_record(
        f"training/{run}/{name}",
        "train",
        wildcards={"run": run, "segment": name},
        params={"run": {"corpus": "text", "seed": seed, "model": {}, "sequence_length": 16}},
        facts={"data_order": {"sha256": order}},
        outputs=[{"path": f"training/{run}/{name}", "files": files, "sha256": run}],
    )


def checked(results, records, name, plan=None):
    """What one check says of records; the others have to run, too."""
    checks = {c.name: c for c in check_study(results, {r.path: r for r in records}, plan)}
    assert set(checks) == set(CHECKS.values())
    return checks[CHECKS[name]]


def write_losses(results, run, name, losses):
    first = int(name[:8]) + 1
    path = results / "training" / run / f"{name}.steps.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["step", "train_loss"])
        rows.writerows([first + i, loss] for i, loss in enumerate(losses))


@pytest.mark.parametrize(
    "name", ["grid", "different", "named", "order", "apart", "shown", "pinned"]
)
def test_without_records_there_is_nothing_to_check(tmp_path, name):
    found = checked(tmp_path, [], name)
    assert found.holds is None
    assert found.said == ("there is nothing to check it on",)


def test_a_gap_in_the_grid(tmp_path):
    layout = SimpleNamespace(checkpoints=[0, 1, 64])
    plan = SimpleNamespace(runs={"main-a": None}, layout=lambda run: layout)
    whole = [segment("main-a", FIRST, [0, 1, 64])]
    assert checked(tmp_path, whole, "grid", plan).holds is True
    found = checked(tmp_path, [segment("main-a", FIRST, [0, 64])], "grid", plan)
    assert (found.holds, found.said) == (False, ("main-a has no checkpoint of steps 1",))


def test_checkpoints_with_the_same_weights(tmp_path):
    assert checked(tmp_path, [segment("main-a", FIRST, [0, 1])], "different").holds is True
    found = checked(tmp_path, [segment("main-a", FIRST, [0, 1], weights="x")], "different")
    assert found.said == ("main-a step00000001 has the weights of main-a step00000000",)
    assert found.holds is False


def test_runs_may_start_alike_but_no_more(tmp_path):
    alike = [segment("main-a", FIRST, [0], weights="x"), segment("main-b", FIRST, [0], weights="x")]
    assert checked(tmp_path, alike, "different").holds is True
    other = segment("main-b", FIRST, [0], weights="x", seed=2)
    found = checked(tmp_path, [alike[0], other], "different")
    assert found.said == ("main-b step00000000 has the weights of main-a step00000000",)


ADAMW = {"name": "adamw", "learning_rate": 0.01, "betas": [0.9, 0.95], "clip": 1.0}
WARM = {"name": "constant_with_warmup", "warmup_steps": 32, "warmup_start": 0.1}
LIKE = {"optimizer": ADAMW, "schedule": WARM, "batch_size": 16, "steps": 4096}
CLIPPED = {"optimizer": {**ADAMW, "clip": 2.0}}
COSINE = {"schedule": {**WARM, "name": "cosine_with_warmup", "final_fraction": 0.1}, "steps": 2048}
INVERSE = {"schedule": {**WARM, "name": "inverse_sqrt_with_warmup"}, "steps": 2048}
LARGER = {"schedule": {**COSINE["schedule"], "name": "max_scheduler"}, "steps": 2048}
OTHER_NAME = {"optimizer": {**ADAMW, "name": "c_adamw"}}


@pytest.mark.parametrize(
    ("step", "other", "holds"),
    [
        (0, {"optimizer": {}, "batch_size": 32, "corpus": "other"}, True),
        (4096, {"steps": 8192, "checkpoints": {"every": 64}}, True),
        (4096, {"precision": {"micro_batch_size": 4, "compile": True}}, True),
        (4096, CLIPPED, True),
        (32, COSINE, True),
        (52, COSINE, True),
        (64, COSINE, False),
        (32, INVERSE, True),
        (33, INVERSE, False),
        (64, LARGER, False),
        (64, {"optimizer": {**ADAMW, "betas": [0.9, 0.999]}, "batch_size": 32}, False),
        (64, {"optimizer": {**ADAMW, "betas": [0.9, 0.999]}}, False),
        (1, OTHER_NAME, True),
        (2, OTHER_NAME, False),
        (1, {"optimizer": {**ADAMW, "name": "muon"}}, False),
        (1, {"optimizer": {**ADAMW, "learning_rate": 0.02}}, False),
        (1, {"schedule": {**WARM, "warmup_steps": 64}}, False),
        *[(1, {key: 32}, False) for key in ("batch_size", "sequence_length")],
        (1, {"corpus": "other"}, True),
        (1, {"precision": {"compute": "bfloat16"}}, False),
    ],
)
def test_runs_may_share_weights_as_long_as_they_are_alike(tmp_path, step, other, holds):
    records = [segment(run, FIRST, [step], weights="x") for run in ("main-a", "main-b")]
    for record, settings in zip(records, (LIKE, {**LIKE, **other}), strict=True):
        record.content["params"]["run"] |= settings
    name = checkpoint_name(step)
    found = checked(tmp_path, records, "different")
    assert found.said == (() if holds else (f"main-b {name} has the weights of main-a {name}",))
    assert found.holds is holds


@pytest.mark.parametrize(
    ("one", "other"),
    [(INVERSE, {**INVERSE, "steps": 4096}), (COSINE, LARGER)],
    ids=["a root, longer", "the larger of cosine and root, which is a cosine first"],
)
def test_schedules_that_are_alike_at_first(tmp_path, one, other):
    records = [segment(run, FIRST, [64], weights="x") for run in ("main-a", "main-b")]
    for record, settings in zip(records, (one, other), strict=True):
        record.content["params"]["run"] |= {**LIKE, **settings}
    assert checked(tmp_path, records, "different").holds is True


def test_runs_on_other_tokens_share_no_weights(tmp_path):
    """Corpora of two names may hold the same tokens."""
    records = [segment(run, FIRST, [64], weights="x") for run in ("main-a", "main-b")]
    for record, digest in zip(records, "xy", strict=True):
        files = {"train-00000.bin": digest, "eval-00000.bin": "e"}
        record.content["inputs"] = [{"path": "data/text/tokens", "files": files}]
    assert checked(tmp_path, records, "different").holds is False
    files["train-00000.bin"] = "x"
    assert checked(tmp_path, records, "different").holds is True


def test_a_checkpoint_of_another_step(tmp_path):
    for step in (0, 1):
        folder = tmp_path / "training/main-a" / FIRST / checkpoint_name(step)
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"step": step}))
    records = [segment("main-a", FIRST, [0, 1])]
    assert checked(tmp_path, records, "named").holds is True
    (folder / "state.json").write_text('{"step": 2}')
    found = checked(tmp_path, records, "named")
    assert (found.holds, found.said) == (False, ("main-a step00000001 is of step 2",))
    (folder / "state.json").write_text("{")
    found = checked(tmp_path, records, "named")
    assert found.holds is False
    assert found.said[0].startswith("cannot be checked: BrokenFileError")


def test_a_checkpoint_that_does_not_say_its_step(tmp_path):
    folders = [tmp_path / "training/main-a" / FIRST / checkpoint_name(step) for step in (0, 1, 2)]
    for step, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"step": step}))
    for folder in folders[1:]:
        (folder / "state.json").unlink()
    records = [segment("main-a", FIRST, [0, 1, 2])]
    found = checked(tmp_path, records, "named")
    gone = "main-a step00000001 and 1 more have no state.json"
    assert (found.holds, found.said) == (None, (gone,))
    (folders[0] / "state.json").write_text('{"step": 3}')
    found = checked(tmp_path, records, "named")
    assert (found.holds, found.said) == (False, ("main-a step00000000 is of step 3", gone))


def test_losses_of_one_segment_have_nothing_to_go_on_from(tmp_path):
    found = checked(tmp_path, [segment("main-a", FIRST, [0, 64])], "losses")
    assert (found.holds, found.said) == (None, ("every run is one segment",))


@pytest.mark.parametrize(
    ("jump", "said"), [(0.0, ()), (0.5, ("main-a: the loss jumps by 0.", "nats at step 64"))]
)
def test_a_jump_of_the_loss_between_segments(tmp_path, jump, said):
    noise = 0.02 * np.random.default_rng(0).standard_normal(128)
    losses = 5 - 0.01 * np.arange(128) + noise
    write_losses(tmp_path, "main-a", FIRST, losses[:64])
    write_losses(tmp_path, "main-a", SECOND, losses[64:] + jump)
    records = [segment("main-a", FIRST, [0, 64]), segment("main-a", SECOND, [128])]
    found = checked(tmp_path, records, "losses")
    assert found.holds is not bool(said)
    assert all(words in found.said[0] for words in said)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_losses_that_are_not_finite(tmp_path, value):
    losses = np.linspace(5, 4, 128)
    losses[70] = value
    write_losses(tmp_path, "main-a", FIRST, losses[:64])
    write_losses(tmp_path, "main-a", SECOND, losses[64:])
    records = [segment("main-a", FIRST, [0, 64]), segment("main-a", SECOND, [128])]
    found = checked(tmp_path, records, "losses")
    assert found.holds is False
    assert f"main-a {SECOND}: the loss is not finite at step 71" in found.said


@pytest.mark.parametrize("length", [4, 16])
def test_segments_that_are_too_short_to_tell_a_jump(tmp_path, length):
    """There the jump has nothing to stand out from; one that can be told is told beside it."""
    first, second = f"00000000-{length:08d}", f"{length:08d}-{2 * length:08d}"
    write_losses(tmp_path, "main-a", first, [5.0] * length)
    write_losses(tmp_path, "main-a", second, [9.0] * length)
    records = [segment("main-a", name, []) for name in (first, second)]
    found = checked(tmp_path, records, "losses")
    too_few = f"main-a: too few losses around step {length} to tell a jump"
    assert (found.holds, found.said) == (None, (too_few,))
    write_losses(tmp_path, "main-b", FIRST, [5 + 0.01 * (i % 3) for i in range(64)])
    write_losses(tmp_path, "main-b", SECOND, [9.0] * 64)
    records += [segment("main-b", name, []) for name in (FIRST, SECOND)]
    found = checked(tmp_path, records, "losses")
    assert found.holds is False
    assert found.said == ("main-b: the loss jumps by 3.990 nats at step 64", too_few)


def test_a_step_that_is_missing_and_a_segment_that_is(tmp_path):
    losses = np.linspace(5, 4, 128)
    write_losses(tmp_path, "main-a", FIRST, losses[:63])
    write_losses(tmp_path, "main-a", SECOND, losses[64:])
    records = [segment("main-a", FIRST, [0, 64]), segment("main-a", SECOND, [128])]
    found = checked(tmp_path, records, "losses")
    too_few = "main-a: too few losses around step 64 to tell a jump"
    assert found.said == (f"main-a {FIRST}: its steps are not 1 to 64", too_few)
    later = "00000128-00000256"
    write_losses(tmp_path, "main-a", FIRST, losses[:64])
    write_losses(tmp_path, "main-a", later, losses)
    found = checked(tmp_path, [records[0], segment("main-a", later, [256])], "losses")
    assert found.said == (f"main-a: {later} does not follow {FIRST}",)


def test_runs_that_read_in_another_order(tmp_path):
    alike = [segment("main-a", FIRST, [0]), segment("main-b", FIRST, [0])]
    assert checked(tmp_path, alike, "order").holds is True
    found = checked(tmp_path, [alike[0], segment("main-b", FIRST, [0], order="b")], "order")
    assert found.holds is False
    assert found.said == ("runs of corpus text read 2 orders: main-a, main-b",)


def test_a_segment_that_reads_in_another_order(tmp_path):
    """Whichever it is: a later one does not stand for those before it."""
    for first, second in ("ba", "ab"):
        records = [
            segment("main-a", FIRST, [0], order=first),
            segment("main-a", SECOND, [128], order=second),
            segment("main-b", FIRST, [0], order="a"),
        ]
        found = checked(tmp_path, records, "order")
        assert found.holds is False
        assert found.said == ("runs of corpus text read 2 orders: main-a, main-b",)


def test_evaluation_tokens_among_the_training_tokens(made, tmp_path):
    results = tmp_path / "tiny"
    shutil.copytree(made.results / "data", results / "data")
    content = json.loads((made.results / "lineage/data/invented/manifest.json").read_text())
    record = Record("lineage/data/invented/manifest.json", "0", content, "results/tiny/")
    assert checked(results, [record], "apart").holds is True
    tokens = results / "data/invented/tokens"
    train = np.fromfile(tokens / "train-00000.bin", np.uint16)
    evaluation = np.fromfile(tokens / "eval-00000.bin", np.uint16)
    window = content["params"]["corpus"]["evaluation"]["window"]
    train[100 : 100 + window] = evaluation[:window]
    train.tofile(tokens / "train-00000.bin")
    found = checked(results, [record], "apart")
    assert found.holds is False
    words = f"windows of {window} evaluation tokens are in train-00000.bin, the first at token 100"
    assert words in found.said[0]


def shown(results, *, recorded=None, away=False):
    """A figure that read two fits, and what its record says of them."""
    (results / "fits").mkdir(exist_ok=True)
    inputs = [{"path": "results/other/fits/main-a.json", "sha256": "0"}] if away else []
    for run, fit in FITS.items():
        path = results / f"fits/{run}.json"
        path.write_text(json.dumps({"run": run, **fit}))
        inputs.append({"path": f"results/tiny/fits/{run}.json", "sha256": sha256(path)})
    facts = {} if recorded is None else {"shown": recorded}
    return make_record("figures/fig02", "figure", inputs=inputs, facts=facts)


FITS = {"main-a": {"T": 32, "imported": False}, "main-b": {"T": 64, "imported": True}}


@pytest.mark.parametrize(
    ("settings", "holds", "words"),
    [
        ({"recorded": FITS}, True, ""),
        ({}, None, "figures/fig02 does not record which T and runs it shows"),
        ({"recorded": {}}, False, "records None of main-a, and read {'T': 32"),
        ({"recorded": {**FITS, "main-a": FITS["main-b"]}}, False, "records {'T': 64"),
        (
            {"recorded": {**FITS, "main-b": {"T": 64, "imported": False}}},
            False,
            "of main-b, and read {'T': 64, 'imported': True}",
        ),
        (
            {"recorded": FITS, "away": True},
            False,
            "reads what is not of this experiment: results/other/fits/main-a.json",
        ),
    ],
)
def test_a_figure_that_shows_other_fits_than_it_records(tmp_path, settings, holds, words):
    found = checked(tmp_path, [shown(tmp_path, **settings)], "shown")
    assert found.holds is holds
    assert words in "".join(found.said)


def test_fits_that_were_made_anew_are_not_those_that_a_figure_shows(tmp_path):
    """The figure is stale then, or the fit is altered, which is said of them."""
    record = shown(tmp_path, recorded=FITS)
    (tmp_path / "fits/main-a.json").write_text('{"run": "main-a", "T": 16, "imported": false}')
    assert checked(tmp_path, [record], "shown").holds is True


def test_another_version_was_installed_than_is_pinned(tmp_path):
    def record(version):
        packages = {"torch": version, "numpy": "1.0"}
        pins = {"torch": "2.0", "numpy": "1.0"}
        environment = {"packages": packages}
        return make_record("fits/a", "fit", params={"packages": pins}, environment=environment)

    assert checked(tmp_path, [record("2.0+cpu")], "pinned").holds is True
    found = checked(tmp_path, [record("2.1")], "pinned")
    assert (found.holds, found.said) == (False, ("torch 2.1, pinned 2.0: fits/a and 0 more",))


@pytest.mark.parametrize(
    "environment", [{}, {"environment": {}}, {"environment": {"packages": {"numpy": "1.0"}}}]
)
def test_a_version_that_was_not_recorded(tmp_path, environment):
    pins = {"packages": {"torch": "2.0"}}
    record = make_record("fits/a", "fit", params=pins, **environment)
    found = checked(tmp_path, [record], "pinned")
    unknown = "torch, pinned 2.0, is not among the packages recorded: fits/a and 0 more"
    assert (found.holds, found.said) == (None, (unknown,))
    packages = {"packages": {"torch": "2.1"}}
    other = make_record("fits/b", "fit", params=pins, environment=packages)
    found = checked(tmp_path, [record, other], "pinned")
    assert (found.holds, found.said) == (
        False,
        ("torch 2.1, pinned 2.0: fits/b and 0 more", unknown),
    )


@pytest.mark.parametrize(("minute", "holds"), [(20, True), (7, True), (1, False)])
def test_what_was_read_before_it_was_made(tmp_path, minute, holds):
    """Clocks of two machines may differ by minutes."""
    maker = make_record(
        "curves/a", "curve", outputs=[{"path": "curves/a.csv", "sha256": "0"}], minute=10
    )
    read = [{"path": "results/tiny/curves/a.csv", "record": maker.sha256}]
    found = checked(
        tmp_path, [maker, make_record("fits/a", "fit", inputs=read, minute=minute)], "time"
    )
    assert found.holds is holds
    words = "fits/a ended before curves/a.csv, which it read, was made"
    assert found.said == (() if holds else (words,))


def test_what_began_long_before_what_it_read_was_made(tmp_path):
    """It ended after it, which is not enough."""
    maker = make_record(
        "curves/a", "curve", outputs=[{"path": "curves/a.csv", "sha256": "0"}], minute=10
    )
    read = [{"path": "results/tiny/curves/a.csv", "record": maker.sha256}]
    reader = make_record("fits/a", "fit", inputs=read, minute=20)
    reader.content["time"]["start"] = "2026-01-01T00:06:00Z"
    assert checked(tmp_path, [maker, reader], "time").holds is True
    reader.content["time"]["start"] = "2026-01-01T00:05:00Z"
    found = checked(tmp_path, [maker, reader], "time")
    assert found.holds is False
    assert found.said == ("fits/a began before curves/a.csv, which it read, was made",)


def test_what_ended_before_it_began(tmp_path):
    record = make_record("fits/a", "fit")
    record.content["time"]["start"] = "2027-01-01T00:00:00Z"
    found = checked(tmp_path, [record], "time")
    assert (found.holds, found.said) == (False, ("fits/a ended before it began",))
