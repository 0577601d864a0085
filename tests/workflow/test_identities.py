"""The paper's identities on real checkpoints, each from parts that were made independently.

On the tiny experiments always; on mini where its results are there (``make all``).
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from zsl.config.grids import checkpoint_name
from zsl.config.load import load
from zsl.data.manifest import read_manifest
from zsl.data.tokens import open_split
from zsl.measurements.first_order import first_order
from zsl.measurements.next_step import NextStep, cosine, norm, unseen_batches
from zsl.measurements.single_step import mean_gradient
from zsl.models.olmo.architecture import load_model
from zsl.training.order import data_order

LARGER = ("whole", "mini")


@pytest.fixture(params=["stages", *(pytest.param(n, marks=pytest.mark.slow) for n in LARGER)])
def experiment(request):
    """Results and configuration of a finished experiment."""
    project = request.getfixturevalue(request.param)
    return project.results, project.config


def measured(results, measurement):
    """Run and datasets of every checkpoint."""
    found = []
    for path in sorted((results / "measurements" / measurement).glob("*/*.h5")):
        with h5py.File(path) as file:
            for name, group in file.items():
                values = {key: d[()] for key, d in group.items() if isinstance(d, h5py.Dataset)}
                found.append(((path.parent.name, name), values | dict(group.attrs)))
    assert found
    return dict(found)


def test_change_of_loss_is_magnitude_times_constructive_interference(experiment):
    """Eq. 6: the change from mean losses, D and M from the changes of single tokens."""
    losses = measured(experiment[0], "token_losses")
    for (run, _), change in measured(experiment[0], "delta_loss").items():
        before, after = (
            losses[run, checkpoint_name(change[step])]["token_losses"].mean(dtype=np.float64)
            for step in ("step", "step_next")
        )
        assert abs(after - before) == pytest.approx(change["M"] * (1 - change["D"]), abs=1e-9)


def test_first_order_interference_splits_into_its_factors(experiment):
    """Eq. 9: the left side from forward mode, C_g and C_uG from backward passes."""
    for each in measured(experiment[0], "token_gradients").values():
        right = each["C_g"] * each["C_uG"] / each["C_ug"]
        assert 1 - each["D_first_order"] == pytest.approx(right, rel=1e-3, abs=1e-6)
        mean = abs(each["first_order_delta_loss"].mean())
        M = np.abs(each["first_order_delta_loss"]).mean()
        assert mean == pytest.approx(M * right, rel=1e-3, abs=1e-6 * M)  # Eq. 15
        assert 0 <= each["C_g"] <= each["max_C"] <= 1  # Section 3.4, by convexity


def test_the_step_on_the_line_is_the_optimizers_step(experiment):
    """The cross-section at alpha = norm of the step, and losses after that step was made."""
    steps = measured(experiment[0], "single_step")
    for key, line in measured(experiment[0], "cross_section").items():
        if key not in steps:
            continue  # a run that is repeated for its seed
        made = steps[key]
        assert line["update_norm"] == pytest.approx(made["update_norm"][0], rel=1e-6)
        at_step = line["cross_section"][line["alpha"] == line["update_norm"]][0]
        at_start = line["cross_section"][line["alpha"] == 0][0]
        change = made["delta_loss_eval"][0][: len(at_step)]
        np.testing.assert_allclose(at_step - at_start, change, atol=2e-4)


def test_sum_of_first_order_changes_is_the_update_times_the_gradient(experiment):
    """Eqs. 7 and 11: sum_i dl_i = N u . G = N norm(u) norm(G) cos(u, G), with the tokens of
    one sequence after the other on the left, and one backward pass on the right."""
    results, config = experiment
    plan = load([config])
    torch.set_num_threads(1)
    for id in plan.run_ids("main")[:2]:
        run = plan.runs[id]
        manifest = read_manifest(results / f"data/{run.corpus}/manifest.json")
        files = results / f"data/{run.corpus}/tokens"
        train = open_split(files, manifest, "train", run.sequence_length)
        length = plan.corpus(id).evaluation.sequence_length
        held_out = torch.from_numpy(open_split(files, manifest, "eval", length).batch(np.arange(4)))
        order = data_order(len(train), plan.experiment.data_seed)
        batch = torch.from_numpy(train.batch(unseen_batches(order, run, 1)[0]))
        for segment in plan.layout(id).segments:
            folder = results / f"training/{id}/{segment.name}" / checkpoint_name(segment.end)
            step = NextStep(run, load_model(folder).eval(), torch.device("cpu"))
            update = step.update(folder, batch)
            changes = first_order(step.model, held_out, update, 1)
            G = mean_gradient(step.model, held_out, 4)
            product = norm(update) * norm(G) * cosine(update, G)
            scale = float(changes.abs().mean())
            assert float(changes.mean()) == pytest.approx(product, abs=1e-5 * scale)
