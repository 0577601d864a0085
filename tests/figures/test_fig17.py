"""Fig. 17: what is drawn is accuracy against loss, and deceleration is where the fits say."""

import numpy as np
import pandas as pd
import pytest

from zsl.figures import fig17
from zsl.registry import BY_ID
from zsl.study import RunInfo, Study, write_csv

TASKS = {"boolq": (0.5, 40), "sciq": (0.25, 30)}
"""Chance and number of items cut."""
STEPS = [0, *(1 << i for i in range(11))]
T_D = {"37M": 256.0, "78M": 100.0}


def accuracy(position, task, step):
    return TASKS[task][0] + 0.02 * position + 0.01 * np.log2(step + 1)


@pytest.fixture
def study(tmp_path):
    """Three runs, of which the two largest were asked."""
    files = {"downstream": [], "eval_loss": [], "fits": []}
    for position, label in enumerate(("14M", "37M", "78M")):
        run = f"main-{label}"
        losses = {"run": run, "step": STEPS, "eval_loss": 11 - position - np.log(np.add(STEPS, 1))}
        files["eval_loss"].append(tmp_path / f"loss-{label}.csv")
        write_csv(files["eval_loss"][-1], pd.DataFrame(losses))
        if label not in T_D:
            continue
        rows = [
            {"run": run, "step": step, "task": task, "accuracy": accuracy(position, task, step),
             "se": 0.03 + 0.001 * position, "chance": chance, "items": 50, "cut": cut}
            for step in STEPS for task, (chance, cut) in TASKS.items()
        ]  # fmt: skip
        files["downstream"].append(tmp_path / f"accuracy-{label}.csv")
        write_csv(files["downstream"][-1], pd.DataFrame(rows))
        files["fits"].append(tmp_path / f"{label}.json")
        files["fits"][-1].write_text(f'{{"run": "{run}", "t_d": {T_D[label]}, "doubts": {{}}}}')
    runs = tuple(RunInfo(f"main-{label}", label, False, 1) for label in ("14M", "37M", "78M"))
    paths = {kind: tuple(reversed(found)) for kind, found in files.items()}
    return Study("x", False, runs, paths, sizes=("14M", "37M", "78M"))


def test_data_joins_accuracy_and_loss_of_each_checkpoint(study):
    data = fig17.data(study)
    points = data[data["part"] == "curve"]
    assert len(points) == 2 * len(TASKS) * len(STEPS)
    assert list(points["label"].unique()) == ["37M", "78M"]
    for row in points.to_dict("records"):
        position = ("14M", "37M", "78M").index(row["label"])
        assert row["eval_loss"] == pytest.approx(11 - position - np.log(row["step"] + 1))
        assert row["accuracy"] == pytest.approx(accuracy(position, row["task"], row["step"]))
        assert row["se"] == pytest.approx(0.03 + 0.001 * position)
        assert (row["chance"], row["cut"]) == TASKS[row["task"]] and row["items"] == 50


def test_the_dotted_line_starts_at_the_last_checkpoint_up_to_t_d(study):
    data = fig17.data(study)
    starts = data[data["dotted"].fillna(False).astype(bool)]
    assert sorted(zip(starts["label"], starts["task"], starts["step"], strict=True)) == [
        ("37M", "boolq", 256), ("37M", "sciq", 256), ("78M", "boolq", 64), ("78M", "sciq", 64),
    ]  # fmt: skip
    assert data[data["part"] == "t_d"].set_index("label")["step"].to_dict() == T_D


def test_panels_show_the_data_with_the_loss_falling_to_the_right(study):
    data = fig17.data(study)
    figure = fig17.draw(data, study)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [
        "boolq (50 items, 40 cut)", "sciq (50 items, 30 cut)"
    ]  # fmt: skip
    for axes, task in zip(panels, TASKS, strict=True):
        left, right = axes.get_xlim()
        points = data[data["task"] == task]
        assert left > points["eval_loss"].max() and right < points["eval_loss"].min()
        drawn = {xy for line in axes.get_lines() for xy in zip(*line.get_data(), strict=True)}
        assert set(zip(points["eval_loss"], points["accuracy"], strict=True)) <= drawn
        (chance,) = [line for line in axes.get_lines() if len(set(line.get_ydata())) == 1]
        assert chance.get_ydata()[0] == TASKS[task][0]
        for container, (_, rows) in zip(axes.containers, points.groupby("label"), strict=True):
            segments = container[2][0].get_segments()
            lengths = [high[1] - low[1] for low, high in segments]
            np.testing.assert_allclose(lengths, 2 * rows["se"], rtol=1e-9)


def test_lines_change_at_deceleration(study):
    """Of each run and task: thin up to the dotted piece, thick after it."""
    data = fig17.data(study)
    axes = fig17.draw(data, study).axes[0]
    for label, t_d in T_D.items():
        rows = data[(data["label"] == label) & (data["task"] == "boolq")]
        losses = dict(zip(rows["eval_loss"], rows["step"], strict=True))
        for line in axes.get_lines():
            x = line.get_xdata()
            if len(x) != 2 or x[0] not in losses or line.get_linestyle() == "None":
                continue
            start, end = losses[x[0]], losses[x[1]]
            width = fig17.BEFORE["linewidth"] if end <= t_d else fig17.AFTER["linewidth"]
            assert line.get_linewidth() == width
            assert line.is_dashed() == (start <= t_d < end)


def test_the_caption_says_what_is_asked():
    target = BY_ID["fig17"]
    assert target.inputs == ("downstream", "eval_loss", "fits") and target.mini
    assert "{experiment.measurements.downstream.asked}" in target.caption
