"""Fig. 6: the numbers in the sketch are those of its vectors."""

import re

import numpy as np
import pytest

from zsl.figures import fig06


@pytest.fixture
def data(make):
    return fig06.data(make())


def part(data, panel, name):
    return data[(data["panel"] == panel) & (data["part"] == name)]


def D(values):
    """Eq. 3."""
    return 1 - abs(sum(values)) / sum(abs(value) for value in values)


def test_all_numbers_follow_from_the_vectors(data):
    for panel in data["panel"].unique():
        gradients = part(data, panel, "gradient")
        (update,) = part(data, panel, "update")[["x", "y"]].to_numpy()
        opposition = part(data, panel, "interference")[["x", "y"]].to_numpy()[0]
        assert opposition == pytest.approx([D(gradients["x"]), D(gradients["y"])])  # Eq. 4
        changes = [x * update[0] + y * update[1] for x, y in gradients[["x", "y"]].to_numpy()]
        assert gradients["value"].to_numpy() == pytest.approx(changes)  # Eq. 7
        assert part(data, panel, "update")["value"].item() == pytest.approx(D(changes))  # Eq. 8


def test_projections_are_the_nearest_points_on_the_line_of_the_update(data):
    for panel in data["panel"].unique():
        (update,) = part(data, panel, "update")[["x", "y"]].to_numpy()
        gradients = part(data, panel, "gradient")[["x", "y"]].to_numpy()
        feet = part(data, panel, "projection")[["x", "y"]].to_numpy()
        for gradient, foot in zip(gradients, feet, strict=True):
            assert np.linalg.det([foot, update]) == pytest.approx(0)
            assert (gradient - foot) @ update == pytest.approx(0)


def test_the_panels_show_what_their_titles_say(data):
    opposition, first_order = {}, {}
    for panel in data["panel"].unique():
        name = panel.split()[1]
        opposition[name] = part(data, panel, "interference")[["x", "y"]].to_numpy().mean()
        first_order[name] = part(data, panel, "update")["value"].item()
    assert opposition["mitigated"] == opposition["exacerbated"] > 0.4
    assert first_order["mitigated"] < opposition["mitigated"]
    assert first_order["exacerbated"] > opposition["exacerbated"]
    assert opposition["induced"] == 0 and first_order["induced"] > 0.9


def test_the_numbers_written_are_those_of_the_data(data, make):
    drawing = fig06.draw(data, make())
    for axes in drawing.axes:
        panel = axes.get_title()
        x, y = part(data, panel, "interference")[["x", "y"]].to_numpy()[0]
        value = part(data, panel, "update")["value"].item()
        (text,) = [text.get_text() for text in axes.texts if "D(" in text.get_text()]
        written = [float(number) for number in re.findall(r"\d\.\d\d", text)]
        assert written == [round(x, 2), round(y, 2), round(value, 2)]


def test_arrows_end_at_the_vectors(data, make):
    drawing = fig06.draw(data, make())
    for axes in drawing.axes:
        rows = data[(data["panel"] == axes.get_title()) & (data["part"] != "projection")]
        vectors = {(x, y) for x, y in rows[["x", "y"]].to_numpy() if (x, y) != (0, 0)}
        arrows = {text.xy for text in axes.texts if getattr(text, "arrow_patch", None)}
        assert arrows == vectors
