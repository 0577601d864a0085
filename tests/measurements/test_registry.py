"""What the registry of measurements says is what there is."""

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import pytest

from zsl.config.measurements import MEASUREMENT_OF, MEASUREMENTS, Measurements
from zsl.curves.measured import CURVES
from zsl.lineage.fingerprint import modules_of
from zsl.models.base import LanguageModel
from zsl.registry.target import InputKind

ROOT = Path(__file__).parents[2]
OF_TRAINING = {"train_loss", "fits", "sensitivity"}
KINDS = list(MEASUREMENTS.values())


@pytest.mark.parametrize("kind", KINDS, ids=MEASUREMENTS)
def test_a_measurement_has_its_modules_and_what_it_asks_for(kind):
    if kind.reads != "losses":
        modules = [import_module(name) for name in kind.modules()]
        assert callable(modules[0].prepare) and callable(modules[1].measure)
    for capability in kind.capabilities:
        assert callable(getattr(LanguageModel, capability))
    assert Measurements().of(kind.name).name == kind.name


def test_all_curves_are_made_from_one():
    assert {*MEASUREMENT_OF} == {*get_args(InputKind)} - OF_TRAINING
    assert {*MEASUREMENT_OF} - {"breakdown"} == {*CURVES}
    assert sum(len(kind.curves) for kind in KINDS) == len(MEASUREMENT_OF)


def test_the_documentation_lists_them():
    text = (ROOT / "docs/measurements.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ((?:`\w+`(?:, )?)+) \|$", text, re.MULTILINE)
    listed = {name: tuple(curves.replace("`", "").split(", ")) for name, curves in rows}
    assert listed == {kind.name: kind.curves for kind in KINDS}


def test_gradients_by_hand_are_code_of_what_makes_them_alone():
    """Neither training nor the losses are stale when they change."""
    by_hand = {f"zsl.models.olmo.{name}" for name in ("exact_gradients", "tangents")}
    counted = {
        kind.name: by_hand & {*modules_of("workflow/scripts/measure.py", kind.modules())}
        for kind in KINDS
        if kind.reads != "losses"
    }
    assert counted.pop("token_gradients") == by_hand
    assert counted.pop("cross_section") == {"zsl.models.olmo.tangents"}
    assert not any(counted.values())
    assert not by_hand & {*modules_of("workflow/scripts/train.py")}
