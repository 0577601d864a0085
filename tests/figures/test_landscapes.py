"""Figs 8 and 18 to 21: landscapes of losses along the next update."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_hex

from zsl import registry
from zsl.errors import ZslError
from zsl.figures import fig08, fig18, fig19, fig20, fig21, heat_maps, style
from zsl.figures import token_panels as panels
from zsl.figures.render import save
from zsl.study import write_csv

T_D = {"14M": 5900, "37M": 5300, "78M": 4600}


def read(study, kind, label):
    return study.of_run(kind, f"main-{label}")


def collection(axes):
    (lines,) = [a for a in axes.collections if isinstance(a, LineCollection)]
    return lines


def meshes(axes):
    return [a for a in axes.collections if isinstance(a, QuadMesh)]


def test_fig_8_shows_the_largest_model_before_around_and_after_its_deceleration(make):
    """t_d = 4,600: divided by 64 and 8, itself, and times 8, of which the last is 16,384."""
    data = fig08.data(make())
    assert list(data["label"].unique()) == ["78M"]
    assert sorted(data["step"].unique()) == [64, 512, 4096, 16384]
    assert set(fig08.data(make(imported=("78M",)))["label"]) == {"37M"}
    without = fig08.data(make(without_fit=("78M",)))
    assert sorted(without["step"].unique()) == [1, 32, 512, 16384]


def test_figs_18_and_19_part_the_checkpoints_at_deceleration(make):
    """The first t_d is 4,600: 2,048 to 4,096 are before it, 4,096 to 8,192 are not."""
    study = make()
    assert sorted(fig19.data(study)["step"].unique()) == [1, 8, 64, 256, 2048]
    assert sorted(fig18.data(study)["step"].unique()) == [4096, 8192, 16384]
    steps = set(fig18.data(study)["step"]) | set(fig19.data(study)["step"])
    assert 0 not in steps


@pytest.mark.parametrize(
    ("t_d", "before", "after"),
    [(1.5, [1], [1, 2, 4, 8]), (2, [1], [2, 4, 8]), (8, [1, 2, 4], [8]), (900, [1, 2, 4, 8], [8])],
)
def test_no_side_of_deceleration_is_empty(make, monkeypatch, t_d, before, after):
    table = pd.DataFrame({"run": "main-14M", "step": [0, 1, 2, 4, 8, 9]})
    monkeypatch.setattr(style, "deceleration", lambda *_: pd.DataFrame({"step": [t_d]}))
    assert panels.split_at_deceleration(table, make()) == (before, after)


def test_without_any_fit_the_checkpoints_are_halved(make):
    labels = ("14M", "37M", "78M")
    study = make(without_fit=labels)
    table = study.curve("token_landscapes")
    before, after = panels.split_at_deceleration(table, study)
    assert before + after == [1 << i for i in range(15)]
    assert abs(len(before) - len(after)) == 1


def test_only_checkpoints_that_all_runs_have_are_compared():
    rows = [("a", 1), ("a", 2), ("a", 8), ("b", 1), ("b", 3), ("b", 8)]
    table = pd.DataFrame(rows, columns=["run", "step"])
    assert panels.powers_of_two(table) == [1, 8]
    with pytest.raises(ZslError, match="power of two in common"):
        panels.powers_of_two(table[table["step"].isin([2, 3])])


@pytest.mark.parametrize("module", [fig08, fig18, fig19])
def test_every_token_has_the_colour_of_its_sign_at_the_update(module, make):
    study = make()
    data = module.data(study)
    drawing = module.draw(data, study)
    shown = 0
    for _, rows in data.groupby(["step", "run"], sort=True):
        label, step = rows[["label", "step"]].iloc[0]
        written = read(study, "token_landscapes", label)
        written = written[written["step"] == step]
        expected = {}
        for _, token in written.groupby("token"):
            at_update = token.loc[token["alpha"] == token["update_norm"], "delta_loss"].item()
            points = tuple(map(tuple, token[["alpha", "delta_loss"]].to_numpy()))
            expected[points] = style.IMPROVES if at_update < 0 else style.DEGRADES
        assert set(expected.values()) == {style.IMPROVES, style.DEGRADES}
        lines = collection(drawing.axes[shown])
        drawn = {
            tuple(map(tuple, segment)): to_hex(colour)
            for segment, colour in zip(lines.get_segments(), lines.get_colors(), strict=True)
        }
        assert drawn == expected
        (update,) = [line for line in drawing.axes[shown].get_lines() if line.is_dashed()]
        assert set(update.get_xdata()) == set(written["update_norm"])
        shown += 1
    assert shown == len(drawing.axes)


def test_a_token_without_its_change_at_the_update_is_named(make):
    study = make()
    (path,) = [path for path in study.files["token_landscapes"] if path.stem == "main-78M"]
    table = pd.read_csv(path, float_precision="round_trip")
    lost = (table["token"] == 21) & (table["step"] == 64) & (table["alpha"] == table["update_norm"])
    write_csv(path, table[~lost])
    with pytest.raises(ZslError, match="run main-78M, step 64, token 21"):
        fig08.data(study)


@pytest.mark.parametrize("module", [fig08, fig18])
def test_the_limits_of_changes_hold_as_many_values_as_the_caption_says(module, make):
    study = make()
    data = module.data(study)
    drawing = module.draw(data, study)
    groups = [data] if module is fig08 else [rows for _, rows in data.groupby("step")]
    for axes, rows in zip(drawing.axes[:: len(drawing.axes) // len(groups)], groups, strict=True):
        low, high = axes.get_ylim()
        assert low == -high
        inside = rows["delta_loss"].abs() <= high
        assert inside.mean() == pytest.approx(0.95, abs=1 / len(rows))
    for name in ("fig08", "fig18"):
        assert "95 %" in registry.BY_ID[name].caption


def test_the_grid_shows_the_same_few_tokens_everywhere(make, monkeypatch):
    study = make()
    monkeypatch.setattr(panels, "TOKENS", 5)
    data = fig18.data(study)
    kept = {tuple(sorted(set(rows["token"]))) for _, rows in data.groupby(["run", "step"])}
    assert kept == {(3, 20, 40, 50, 60)}


def test_the_caption_of_the_grid_says_how_many_tokens_it_shows():
    assert f"at most {panels.TOKENS}" in registry.BY_ID["fig18"].caption


def test_the_grid_has_a_column_per_model_and_a_row_per_step(make):
    study = make()
    drawing = fig18.draw(fig18.data(study), study)
    titles = [axes.get_title() for axes in drawing.axes]
    assert titles == ["14M", "37M", "78M", *[""] * 6]
    assert [axes.get_ylabel() for axes in drawing.axes[::3]] == [
        "$t$ = 4096", "$t$ = 8192", "$t$ = 16384",
    ]  # fmt: skip


def test_edges_are_half_way_between_centres_and_as_far_beyond_the_ends():
    np.testing.assert_allclose(heat_maps.edges(np.array([0.0, 1, 3])), [-0.5, 0.5, 2, 4])
    np.testing.assert_allclose(heat_maps.edges(np.array([5.0])), [4.5, 5.5])


@pytest.mark.parametrize("module", [fig20, fig21])
def test_the_cells_of_the_heat_maps_carry_the_change_of_their_step_and_alpha(module, make):
    study = make()
    data = module.data(study)
    drawing = module.draw(data, study)
    reach = 10 if module is fig20 else 2
    for axes, label in zip(drawing.axes, study.labels(), strict=False):
        written = read(study, "landscapes", label)
        written = written[written["step"] > 0]
        seen = 0
        for row in written.itertuples():
            if abs(row.alpha) > reach:
                continue
            (value,) = [
                mesh.get_array()[i, 0]
                for mesh in meshes(axes)
                for (left, right), heights in [ends(mesh)]
                for i in range(len(heights) - 1)
                if left < row.step < right and heights[i] < row.alpha < heights[i + 1]
            ]
            assert value == row.delta_loss
            seen += 1
        assert seen >= 15 * 6
        assert axes.get_ylim() == (-reach, reach)


def ends(mesh):
    """Steps that a column of cells reaches from and to, and the alphas between its cells."""
    corners = mesh.get_coordinates()
    return corners[0, :, 0], corners[:, 0, 1]


@pytest.mark.parametrize("module", [fig20, fig21])
def test_cells_fill_the_heat_maps_without_gaps(module, make):
    study = make()
    drawing = module.draw(module.data(study), study)
    for axes in drawing.axes[:3]:
        columns = sorted((ends(mesh) for mesh in meshes(axes)), key=lambda e: e[0][0])
        low, high = axes.get_ylim()
        for ((left, right), heights), ((after, _), _) in pairwise(columns):
            assert right == after > left
            assert heights[0] <= low and high <= heights[-1]
        assert axes.get_xlim() == (columns[0][0][0], columns[-1][0][1])


@pytest.mark.parametrize("module", [fig20, fig21])
def test_heat_maps_have_one_scale_red_below_zero_and_blue_above(module, make):
    study = make()
    data = module.data(study)
    drawing = module.draw(data, study)
    norms = {mesh.norm for axes in drawing.axes[:3] for mesh in meshes(axes)}
    assert len(norms) == 1
    (norm,) = norms
    colours = meshes(drawing.axes[0])[0].get_cmap()
    reach = drawing.axes[0].get_ylim()[1]
    largest = data.loc[data["alpha"].abs() <= reach, "delta_loss"].abs().max()
    assert (norm.vmin, norm.vmax) == (-largest, largest)
    assert colours(norm(0.0))[:3] == pytest.approx((0.97, 0.97, 0.97), abs=0.01)
    red, _, blue, _ = colours(norm(-largest / 10))
    assert red > blue
    red, _, blue, _ = colours(norm(largest / 10))
    assert blue > red


def test_heat_maps_mark_the_update_of_each_step_and_t_d_of_the_run(make):
    study = make()
    drawing = fig20.draw(fig20.data(study), study)
    for axes, label in zip(drawing.axes, study.labels(), strict=False):
        written = read(study, "landscapes", label).groupby("step")["update_norm"].first()[1:]
        dashed = [line for line in axes.get_lines() if line.is_dashed()]
        bars = [line for line in axes.get_lines() if not line.is_dashed()]
        assert [list(line.get_xdata()) for line in dashed] == [pytest.approx([T_D[label]] * 2)]
        marked = {}
        for bar in bars:
            (left, right), (low, high) = bar.get_xdata(), bar.get_ydata()
            assert low == high
            marked[round(2 ** ((np.log2(left) + np.log2(right)) / 2))] = low
        assert marked == written.to_dict()


def test_the_zoom_is_an_option(make):
    study = make(fig21_zoom=4.0)
    drawing = fig21.draw(fig21.data(study), study)
    assert drawing.axes[0].get_ylim() == (-4, 4)
    assert set(fig21.data(study)["alpha"].abs().dropna().unique()) >= {0, 0.5, 1.5, 3, 5}
    assert 10 not in set(fig21.data(study)["alpha"])


def test_the_scale_of_colours_stays_readable_with_tiny_and_with_no_changes():
    spread = pd.Series([-1e-9, 1e-9, 2e-9, 3.0])
    assert heat_maps.scale(spread).linthresh >= 3e-5
    assert heat_maps.scale(pd.Series([0.0, 0.0])).vmax == 1


@pytest.mark.parametrize("module", [fig08, fig18, fig19, fig20, fig21])
def test_what_is_drawn_from_thousands_of_values_is_one_image_per_panel(module, make, tmp_path):
    study = make()
    data = module.data(study)
    drawing = module.draw(data, study)
    save(drawing, tmp_path / "f.svg", "svg")
    heat = module in (fig20, fig21)
    panels_drawn = 3 if heat else len(drawing.axes)
    bar = 1 if heat else 0
    assert (tmp_path / "f.svg").read_text().count("<image ") == panels_drawn + bar
