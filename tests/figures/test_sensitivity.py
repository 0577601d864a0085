"""The figure shows every refit, and marks those of the tables."""

import pandas as pd
import pytest

from zsl.figures import sensitivity
from zsl.files import write_json
from zsl.study import RunInfo, Study, write_csv

VALUES = {"T": [500, 1000, 2000], "cut": [10, 50, 90], "k": [1.1, 1.2, 1.5]}


@pytest.fixture
def make(tmp_path):
    def build(imported=()):
        files, runs = {"fits": [], "sensitivity": []}, []
        for position, label in enumerate("ab"):
            run, known = f"main-{label}", label not in imported
            rows = [
                {
                    "run": run, "parameter": name, "value": value, "L_d": 4 + 0.1 * i - position,
                    "t_d": 500.0 + 10 * i, "r_d": 0.03 + 0.001 * i, "RSLE": 0.01,
                    "break_inside": not (name == "cut" and i == 2),
                }
                for name, values in VALUES.items() for i, value in enumerate(values)
                if known or name != "k"
            ]  # fmt: skip
            files["sensitivity"].append(tmp_path / f"{run}.csv")
            write_csv(files["sensitivity"][-1], pd.DataFrame(rows))
            files["fits"].append(tmp_path / f"{run}.json")
            write_json(files["fits"][-1], {"run": run, "T": 2000, "cut": 50, "k": 1.2})
            runs.append(RunInfo(run, label, not known, None))
        paths = {kind: tuple(found) for kind, found in files.items()}
        return Study("test", False, tuple(runs), paths, sizes=("a", "b"))

    return build


def test_the_values_of_the_tables_are_marked(make):
    data = sensitivity.data(make())
    used = data[data["used"]]
    assert len(used) == 6
    assert set(zip(used["parameter"], used["value"], strict=True)) == {
        ("T", 2000), ("cut", 50), ("k", 1.2),
    }  # fmt: skip


def test_fits_without_a_break_are_crosses_and_break_the_line(make):
    study = make()
    figure = sensitivity.draw(sensitivity.data(study), study)
    cut = figure.axes[1].get_lines()
    lines = [line for line in cut if line.get_marker() == "None"]
    crosses = [line for line in cut if line.get_marker() == "x"]
    assert all(pd.isna(line.get_ydata()[2]) for line in lines) and len(lines) == 2
    assert [list(line.get_xdata()) for line in crosses] == [[90], [90]]


def test_without_single_losses_there_is_no_column_for_k(make):
    for imported, panels in (((), 9), (("a",), 9), (("a", "b"), 6)):
        study = make(imported=imported)
        assert len(sensitivity.draw(sensitivity.data(study), study).axes) == panels
