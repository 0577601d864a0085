import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsl.measurements.interference import interference

VALUES = st.lists(st.floats(-10, 10, allow_subnormal=False), min_size=1, max_size=50)


@given(VALUES)
def test_interference_equals_exact_arithmetic(values):
    """D and M from rational numbers (Eqs. 3, 5), and |mean| = M (1 - D) (Eq. 6)."""
    exact = [Fraction(v) for v in values]
    total, absolute = abs(sum(exact)), sum(map(abs, exact))
    measured = interference(np.array(values))
    assert pytest.approx(float(absolute / len(values)), rel=1e-12, abs=1e-300) == measured.M
    if absolute == 0:
        assert math.isnan(measured.D)
        return
    assert pytest.approx(float(1 - total / absolute), abs=1e-12) == measured.D
    assert abs(measured.mean) == pytest.approx(float(total / len(values)), abs=1e-12)
    assert 0 <= measured.D <= 1


def test_known_cases():
    assert interference(np.array([1.0, -1.0])).D == 1
    assert interference(np.array([-2.0, -1.0])).D == 0
    assert pytest.approx(0.5) == interference(np.array([3.0, -1.0])).D


def test_accumulates_in_float64():
    values = np.full(10_000_001, 0.1, dtype=np.float32)
    exact = float(np.float32(0.1))
    assert interference(values).mean == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_undefined_input_is_an_error(values):
    with pytest.raises(ValueError):
        interference(np.array(values))
