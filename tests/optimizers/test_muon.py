"""What makes Muon's update Muon's: singular values near 1, of the right matrices."""

import numpy as np
import pytest
import torch

from zsl.config.optimizers import Muon
from zsl.optimizers.muon import orthogonal_update, orthogonalised

SETTINGS = Muon(name="muon", learning_rate=1e-2)
BAND = (0.68, 1.14)
"""Where the quintic takes singular values above 1/50 of the Frobenius norm."""


def matrix(rows, columns, singular_values, seed=0):
    generator = np.random.default_rng(seed)
    u, _ = np.linalg.qr(generator.normal(size=(rows, len(singular_values))))
    v, _ = np.linalg.qr(generator.normal(size=(columns, len(singular_values))))
    return torch.from_numpy(u @ np.diag(singular_values) @ v.T)


def test_the_band_is_that_of_the_quintic():
    x = np.linspace(0.02, 1, 100_001)
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    assert BAND[0] < x.min() < BAND[0] + 0.01
    assert BAND[1] - 0.01 < x.max() < BAND[1]


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (32, 8)])
def test_singular_values_come_into_the_band_and_vectors_stay(shape):
    x = matrix(*shape, np.geomspace(1, 0.05, 8))
    made = orthogonalised(x)
    values = np.linalg.svd(made.numpy(), compute_uv=False)
    assert BAND[0] < values.min() and values.max() < BAND[1]
    u, _, vt = np.linalg.svd(x.numpy(), full_matrices=False)
    inner = u.T @ made.numpy() @ vt.T  # diagonal: U and V stay
    assert abs(inner - np.diag(np.diag(inner))).max() < 1e-9
    assert np.diag(inner).min() > BAND[0]
    torch.testing.assert_close(orthogonalised(1e3 * x), made, rtol=0, atol=1e-5)


def test_a_gradient_of_zero_moves_nothing():
    assert not orthogonal_update(torch.zeros(6, 4), {}, SETTINGS, 1).any()


@pytest.mark.parametrize(("shape", "parts"), [((8, 8), 1), ((24, 8), 3), ((64, 16), 2)])
def test_each_stacked_matrix_is_orthogonal_by_itself_and_scaled(shape, parts):
    rows, columns = shape[0] // parts, shape[1]
    pieces = [
        matrix(rows, columns, 10.0**i * np.geomspace(1, 0.1, min(rows, columns)), seed=i)
        for i in range(parts)
    ]
    update = orthogonal_update(torch.cat(pieces), {}, SETTINGS, parts).numpy()
    for piece in np.split(update, parts):
        values = np.linalg.svd(piece, compute_uv=False) / max(rows, columns) ** 0.5
        assert BAND[0] < values.min() and values.max() < BAND[1]
    if parts == 3:  # as one matrix, the smaller ones would all but vanish
        whole = orthogonal_update(torch.cat(pieces), {}, SETTINGS, 1).numpy()
        first, *_ = np.split(whole, parts)
        assert np.linalg.svd(first / 8**0.5, compute_uv=False).min() < BAND[0]


def test_queries_keys_and_values_are_split_and_embeddings_are_adamws(optimizer_run, train):
    run = optimizer_run("muon", weight_decay=0.0)
    trained, adamw = train(run), train(optimizer_run("adamw", weight_decay=0.0))
    before, gradients = trained.weights(), trained.gradients()
    trained.step(1e-2)
    adamw.step(1e-2)
    for name, weight in trained.weights().items():
        update = (before[name] - weight) / (1e-2 * run.optimizer.muon_rate)
        if name in ("transformer.wte.weight", "transformer.wpe.weight"):
            np.testing.assert_allclose(weight, adamw.weights()[name], rtol=0, atol=1e-7)
            continue
        n = 3 if "att_proj" in name else 1
        for piece, g in zip(np.split(update, n), np.split(gradients[name], n), strict=True):
            expected = orthogonalised(torch.from_numpy(g)).numpy() * max(g.shape) ** 0.5
            np.testing.assert_allclose(piece, expected, rtol=0, atol=1e-2)


def test_bfloat16_is_the_same_to_its_precision():
    x = matrix(16, 16, np.geomspace(1, 0.2, 16))
    x = x.float()
    published = SETTINGS.model_copy(update={"newton_schulz": "bfloat16"})
    exact = orthogonal_update(x, {}, SETTINGS, 1)
    rounded = orthogonal_update(x, {}, published, 1)
    difference = float((rounded - exact).norm() / exact.norm())
    assert 1e-3 < difference < 5e-2
    assert rounded.dtype == torch.float32


def test_every_weight_has_one_rule(optimizer_run, train):
    for model in ("gpt2", "swiglu"):
        trained = train(optimizer_run("muon", model, decay_embeddings=True))
        groups = trained.optimizer.param_groups
        names = [name for group in groups for name in group["param_names"]]
        assert sorted(names) == sorted(n for n, _ in trained.model.named_parameters())
        decaying = {n for g in groups if g["weight_decay"] > 0 for n in g["param_names"]}
        assert decaying == {n for n in names if n.startswith("transformer.w")}
