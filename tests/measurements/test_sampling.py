import numpy as np
import pytest
import torch
from scipy.stats import binom

from zsl.measurements.sampling import Estimate, sample, total_of
from zsl.models.base import every_token
from zsl.models.olmo.build import build_model

SEEDS = 600
PIECES = {"chunk": 4, "tile_bytes": 2**20}


@pytest.fixture
def model(make_run, tokenizer):
    architecture = {"d_model": 8, "n_layers": 2, "n_heads": 2}
    return build_model(make_run(model=architecture), tokenizer)


@pytest.fixture
def input_ids():
    return torch.randint(20, (12, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def s_and_shares(model, input_ids, random_update):
    """s_i of every token of a model, and what is known of them."""
    update = random_update(model)
    s, shares = model.exact_gradients().token_sums(
        input_ids, every_token(input_ids), update, **PIECES
    )
    return s.numpy(), shares.numpy()


def estimates(s, x, size):
    """From one sample after another."""
    samples = (sample(len(s), size, seed) for seed in range(SEEDS))
    return [total_of(s[chosen], chosen, x) for chosen in samples]


def within_chance(values, truth, sigmas=3.0):
    """Whether the mean of independent ``values`` is as near to ``truth`` as it should be."""
    values = np.asarray(values)
    return abs(values.mean() - truth) < sigmas * values.std(ddof=1) / np.sqrt(len(values))


def test_a_sample_is_without_replacement_and_fixed_by_its_seed():
    assert len(set(sample(50, 20, 0).tolist())) == 20
    np.testing.assert_array_equal(sample(50, 20, 3), sample(50, 20, 3))
    assert sorted(sample(8, 20, 1).tolist()) == list(range(8))
    counts = np.bincount(np.concatenate([sample(10, 3, seed) for seed in range(2000)]))
    assert (abs(counts - 600) < 5 * np.sqrt(2000 * 0.3 * 0.7)).all()


@pytest.mark.parametrize("size", [8, 24])
def test_the_total_is_unbiased(s_and_shares, size):
    s, x = s_and_shares
    assert within_chance([e.value for e in estimates(s, x, size)], s.sum())


def test_the_total_is_unbiased_however_little_the_shares_say():
    """Least squares of skewed values on a few of them is biased itself."""
    generator = np.random.default_rng(0)
    x = generator.lognormal(0, 1, (200, 2))
    s = x[:, 0] ** 2 + generator.lognormal(0, 1, 200)
    assert within_chance([e.value for e in estimates(s, x, 10)], s.sum())


def test_all_tokens_leave_no_error(s_and_shares):
    s, x = s_and_shares
    chosen = sample(len(s), len(s), 0)
    estimate = total_of(s[chosen], chosen, x)
    assert estimate.value == pytest.approx(s.sum(), rel=1e-12)
    assert estimate.se == 0


def test_shares_that_say_everything_leave_no_error():
    x = np.random.default_rng(0).lognormal(0, 1, (100, 2))
    s = x @ [0.5, 3.0]
    chosen = sample(100, 9, 0)
    estimate = total_of(s[chosen], chosen, x)
    assert estimate.value == pytest.approx(s.sum(), rel=1e-12)
    assert estimate.se == pytest.approx(0, abs=1e-10 * s.sum())


def test_shares_make_the_error_smaller(s_and_shares):
    s, x = s_and_shares
    with_shares, without = estimates(s, x, 24), estimates(s, np.ones((len(s), 1)), 24)
    errors = [np.std([e.value for e in each]) for each in (with_shares, without)]
    assert errors[0] < 0.7 * errors[1]
    stated = np.sqrt(np.mean([e.se**2 for e in with_shares]))
    assert errors[0] == pytest.approx(stated, rel=0.1)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_of_the_ratio_hold_the_truth_as_often_as_they_say(s_and_shares, level):
    s, x = s_and_shares
    part = 0.1 * s.sum()
    intervals = [e.ratio_of(part).interval(level) for e in estimates(s, x, 24)]
    held = sum(low <= 0.1 <= high for low, high in intervals)
    low, high = binom.interval(0.999, SEEDS, level)
    assert low <= held <= high


def test_the_ratio_is_unbiased_to_first_order():
    """With errors of 15 % the plain ratio is 2.3 % too large; what remains is of fourth order."""
    drawn = 100 * (1 + 0.15 * np.random.default_rng(0).standard_normal(40_000))
    estimates = [Estimate(value, 15.0, 30) for value in drawn]
    plain = np.mean([5 / e.value for e in estimates])
    assert plain == pytest.approx(0.05 * (1 + 0.15**2), rel=5e-3)
    assert np.mean([e.ratio_of(5).value for e in estimates]) == pytest.approx(0.05, rel=5e-3)
    assert Estimate(100.0, 2.0, 30).ratio_of(5).se == pytest.approx(0.05 * 0.02)


def test_interval_is_students():
    low, high = Estimate(10.0, 2.0, 4).interval()
    assert (low, high) == pytest.approx((10 - 2 * 2.7764451, 10 + 2 * 2.7764451))


def test_sums_of_a_sample_are_unbiased(model, input_ids):
    """N / n times sum_i abs(g_ij) of the sample, for every coordinate j."""
    input_ids = input_ids[:2]
    tokens = every_token(input_ids)
    each = [
        model.exact_gradients().absolute_sums(input_ids, token[None], **PIECES) for token in tokens
    ]
    g = np.stack([np.concatenate([w.flatten() for w in sums.values()]) for sums in each])
    n = 6
    drawn = np.stack([g[sample(len(g), n, seed)].sum(0) * len(g) / n for seed in range(SEEDS)])
    errors = drawn.mean(0) - g.sum(0)
    sigma = drawn.std(0, ddof=1) / np.sqrt(SEEDS)
    z = errors[sigma > 0] / sigma[sigma > 0]
    assert np.mean(z**2) == pytest.approx(1, abs=0.25)
    assert within_chance(drawn.sum(1), g.sum())
    whole = model.exact_gradients().absolute_sums(input_ids, **PIECES)
    together = np.concatenate([w.flatten() for w in whole.values()])
    np.testing.assert_allclose(g.sum(0), together, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("untied", [False, True])
def test_shares_are_parts_of_single_tokens_gradients(
    model, input_ids, gradients_by_token, random_update, untied
):
    """Of the topmost block, in which all weights but those of keys are outer products."""
    update = random_update(model)
    each = gradients_by_token(model, input_ids)
    expected = sum(
        (update[name] * g).abs()[:, rows].flatten(1).sum(1)
        for name, g in each.items()
        if name.startswith("transformer.blocks.1.")
        for rows in (
            [0, 1, 2, 3, 4, 5, 6, 7, *range(16, 24)] if "att_proj" in name else slice(None),
        )
    )
    one = every_token(input_ids)[:1]
    _, shares = model.exact_gradients().token_sums(input_ids, one, update, **PIECES, untied=untied)
    torch.testing.assert_close(shares[:, 1].float(), expected, rtol=1e-4, atol=1e-7)
    logits = model(input_ids).logits[:, :-1].detach()
    h = torch.linalg.lstsq(model.transformer.wte.weight, logits.flatten(0, 1).T).solution.T
    e = logits.softmax(-1).flatten(0, 1)
    e[torch.arange(len(e)), input_ids[:, 1:].flatten()] -= 1
    unembedding = ((e.abs() @ update["transformer.wte.weight"].abs()) * h.abs()).sum(1)
    torch.testing.assert_close(shares[:, 0].float(), unembedding, rtol=1e-4, atol=1e-6)
