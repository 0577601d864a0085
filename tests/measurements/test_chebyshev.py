import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsl.measurements.chebyshev import chebyshev_points, error_estimate, interpolation_matrix


@given(n=st.integers(2, 20).map(lambda half: 2 * half + 1), span=st.floats(1e-3, 1e3))
def test_points_are_symmetric_and_hold_zero_and_the_ends(n, span):
    points = chebyshev_points(n, span)
    assert len(points) == n
    assert points[0] == -span and points[-1] == span and points[n // 2] == 0
    assert np.all(np.diff(points) > 0)
    np.testing.assert_allclose(points, -points[::-1], atol=1e-15 * span)


@given(degree=st.integers(0, 10), seed=st.integers(0, 99))
def test_polynomials_up_to_the_number_of_points_are_exact(degree, seed):
    polynomial = np.polynomial.Polynomial(np.random.default_rng(seed).normal(size=degree + 1))
    points, at = chebyshev_points(11, 1.5), np.linspace(-1.5, 1.5, 37)
    made = interpolation_matrix(points, at) @ polynomial(points)
    np.testing.assert_allclose(made, polynomial(at), atol=1e-11 * (1 + 1.5**degree))


@pytest.mark.parametrize("n", [5, 7, 9, 11, 17])
@pytest.mark.parametrize("function", [np.sin, np.exp, lambda x: 1 / (3 + x)])
def test_the_estimate_exceeds_the_error_where_the_function_is_resolved(n, function):
    points, at = chebyshev_points(n, 1.0), np.linspace(-1, 1, 501)
    error = np.abs(interpolation_matrix(points, at) @ function(points) - function(at)).max()
    estimate = error_estimate(function(points))
    assert error <= estimate + 1e-14
    assert estimate < 1e5 * error + 1e-12


def test_the_estimate_sees_what_is_not_resolved():
    points = chebyshev_points(11, 1.0)
    assert error_estimate(np.sign(points)) > 0.01


def test_the_estimate_is_made_per_column():
    points = chebyshev_points(9, 2.0)
    columns = np.stack([np.sin(points), np.exp(points)], axis=1)
    assert error_estimate(columns) == pytest.approx(
        [error_estimate(np.sin(points)), error_estimate(np.exp(points))]
    )
