"""Figure and tables of interventions, from runs whose losses follow known laws."""

import numpy as np
import pandas as pd
import pytest

from zsl.figures import mitigation, mitigation_dynamics
from zsl.study import RunInfo, Study, write_csv
from zsl.tables import table_mitigation, table_mitigation_rates

STEPS = np.array([0, 1, 2, 4, 8, 16, 32, 64])
COSTS = {"baseline": 1.0, "costly": 1.5, "placebo": 1.0}
BETTER = {"baseline": 0.0, "costly": -0.02, "placebo": 0.01}
MADE = {
    "costly": {"name": "agreement", "gamma": 1.0, "every": 1},
    "placebo": {"name": "placebo", "gamma": 1.0, "every": 1, "seed": 0},
}


def law(step):
    return 8 * step**-0.2


@pytest.fixture
def study(tmp_path):
    """Losses of a power law, better by arm; D better where losses are."""
    kinds = ("eval_loss", "delta_loss", "gradient_opposition", "token_gradients")
    files, runs, seeds = {kind: [] for kind in kinds}, [], {}
    noise = np.random.default_rng(0)

    def keep(kind, run, **columns):
        path = tmp_path / f"{kind}/{run}.csv"
        write_csv(path, pd.DataFrame({"run": run, **columns}))
        files[kind].append(path)

    def add(id, label, intervention, rate, arm, better):
        settings = {"batch_size": 2, "sequence_length": 8, "optimizer": {"learning_rate": rate}}
        settings |= {"intervention": intervention} if intervention else {}
        runs.append(RunInfo(id, label, False, 1, settings, 1e6 * COSTS[arm]))
        keep("eval_loss", id, step=STEPS, eval_loss=law(np.maximum(STEPS, 0.5)) + better)

    for suite in ("mitigation", "mitigation_cosine"):
        for arm in COSTS:
            id = f"{suite}-{arm}"
            add(id, arm, MADE.get(arm), 1e-2, arm, BETTER[arm])
            seeds[id] = [f"{id}_seed{seed}" for seed in (2, 3)]
            for again in seeds[id]:
                made = law(np.maximum(STEPS, 0.5)) + BETTER[arm] + 1e-4 * noise.normal()
                keep("eval_loss", again, step=STEPS, eval_loss=made)
            for run in (id, *seeds[id]):
                D = 0.5 + BETTER[arm] + 1e-4 * noise.normal()
                keep("delta_loss", run, step=STEPS[1:-1], step_next=STEPS[2:], D=D, M=1.0)
                keep("gradient_opposition", run, step=STEPS, D_proxy=D / 2)
                keep("token_gradients", run, step=STEPS, C_g=0.1)
    for arm in COSTS:
        for rate, worse in ((5e-3, 0.1), (1e-2, 0.3 if arm == "costly" else 0), (2e-2, 0.2)):
            name = f"{arm}_{rate:g}"
            add(f"mitigation_rates-{name}", name, MADE.get(arm), rate, arm, worse)
    paths = {kind: tuple(reversed(found)) for kind, found in files.items()} | {"fits": ()}
    return Study("x", False, tuple(runs), paths, seeds=seeds)


def test_at_equal_tokens_losses_are_compared_step_by_step(study):
    data = mitigation.data(study)
    rows = data[(data["part"] == "tokens") & (data["suite"] == "mitigation")]
    assert (rows["tokens"] == 16 * rows["step"]).all() and (rows["step"] > 0).all()
    of_first = rows[rows["seed"] == 0]
    assert np.allclose(of_first["difference"], of_first["arm"].map(BETTER), atol=1e-12)
    assert len(rows) == 3 * 3 * 7


def test_at_equal_flops_the_baseline_is_further(study):
    """Interpolation in log-log is exact of a power law."""
    data = mitigation.data(study)
    rows = data[(data["part"] == "flops") & (data["arm"] == "costly") & (data["seed"] == 0)]
    inside = rows["step"] * 1.5 <= 64
    assert rows.loc[~inside, "difference"].isna().all() and (~inside).any()
    known = rows[inside]
    truth = law(known["step"]) - 0.02 - law(1.5 * known["step"])
    assert np.allclose(known["difference"], truth, atol=1e-12)
    base = data[(data["part"] == "flops") & (data["arm"] == "baseline")]
    assert np.allclose(base["difference"], 0, atol=1e-12)


def test_the_grid_chooses_the_lowest_loss_and_tells_what_is_not_used(study):
    data = mitigation.data(study)
    grid = data[data["part"] == "grid"]
    chosen = grid[grid["chosen"].astype(bool)].set_index("arm")
    assert chosen["rate"].to_dict() == {"baseline": 1e-2, "costly": 5e-3, "placebo": 1e-2}
    assert chosen["used"].to_dict() == {"baseline": True, "costly": False, "placebo": True}
    table = table_mitigation_rates.grid(study)
    assert table_mitigation_rates.edges(table) == ["costly"]
    assert "At the edge of the grid: costly." in table_mitigation_rates.notes(study, table)


def test_the_table_says_whether_lower_D_comes_with_lower_loss(study):
    rows = table_mitigation.rows(study).set_index("label")
    assert rows["loss"]["baseline"] == pytest.approx(law(64), abs=1e-3)
    assert rows["loss_baseline"]["costly"] == pytest.approx(-0.02, abs=1e-3)
    assert rows["loss_placebo"]["costly"] == pytest.approx(-0.03, abs=1e-3)
    assert rows["D_baseline"]["placebo"] == pytest.approx(0.01, abs=1e-3)
    assert rows["D_proxy"]["costly"] == pytest.approx(0.24, abs=1e-3)
    assert rows["loss_baseline_p"]["costly"] < 1e-3 and rows["seeds"].eq(3).all()
    assert rows["loss_baseline"].isna()["baseline"] and rows["t_d"].isna().all()
    said = " ".join(table_mitigation.notes(study, rows.reset_index()))
    assert "D is lower than the baseline's (p < 0.05) in: costly; of these the loss is" in said
    assert "lower in: costly, and higher in: –" in said
    assert "Without a sound fit for every seed: baseline, costly, placebo." in said


def test_dynamics_hold_every_checkpoint_and_seed(study):
    data = mitigation_dynamics.data(study)
    curves = data[data["part"] == "curve"]
    assert len(curves) == 3 * 3 * (6 + 6 + 7 + 7)
    late = data[(data["part"] == "last") & (data["quantity"] == "D")].set_index("arm")
    assert late["difference"]["costly"] == pytest.approx(-0.02, abs=1e-3)
    assert late["loss_difference"]["placebo"] == pytest.approx(0.01, abs=1e-3)
