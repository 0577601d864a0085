"""Every optimizer's steps against its published rule, written out in float64."""

import math

import numpy as np
import pytest

from zsl.config.optimizers import AdEMAMix, CAdamW
from zsl.optimizers.ademamix import warm_up

RATES = (4e-4, 1e-3, 2e-3, 2e-3, 1.6e-3)
CLIPPING = {"off": float("inf"), "on": 0.05}


def clipped(gradients, largest):
    norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
    factor = min(1.0, largest / (norm + 1e-6))  # as torch
    return {name: factor * g for name, g in gradients.items()}, norm


def adam(g, t, kept, o):
    """Kingma and Ba: both corrected moments."""
    b1, b2 = o.betas
    kept["m"] = b1 * kept.get("m", 0) + (1 - b1) * g
    kept["v"] = b2 * kept.get("v", 0) + (1 - b2) * g**2
    return kept["m"] / (1 - b1**t), kept["v"] / (1 - b2**t)


def adamw(g, t, kept, o):
    m, v = adam(g, t, kept, o)
    return m / (np.sqrt(v) + o.eps)


def c_adamw(g, t, kept, o):
    """Liang et al., Algorithm 2, with the share's floor of their code."""
    u = adamw(g, t, kept, o)
    phi = (u * g > 0).astype(float)
    return phi * u / max(phi.mean(), 1e-3)


def ademamix(g, t, kept, o):
    """Pagliardini et al., Algorithm 1, with the schedules of its Section 3."""
    m1, v = adam(g, t, kept, o)
    T, b1, b3 = o.t_alpha_beta3, o.betas[0], o.beta3
    alpha = min(t * o.alpha / T, o.alpha)
    logs = np.log(b1), np.log(b3)
    beta = np.exp(logs[0] * logs[1] / ((1 - t / T) * logs[1] + t / T * logs[0]))
    beta = min(beta, b3)
    kept["m2"] = beta * kept.get("m2", 0) + (1 - beta) * g
    return (m1 + alpha * kept["m2"]) / (np.sqrt(v) + o.eps)


def newton_schulz(x):
    """Jordan et al.: five steps of their quintic, from the Frobenius norm."""
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
    return x


def muon(g, t, kept, o, parts):
    kept["b"] = o.momentum * kept.get("b", 0) + g
    ahead = g + o.momentum * kept["b"]
    made = [newton_schulz(p) * math.sqrt(max(p.shape)) for p in np.split(ahead, parts)]
    return np.concatenate(made)


def parts(name, swiglu):
    return 3 if "att_proj" in name else 2 if swiglu and "ff_proj" in name else 1


def rule(name, weight, run):
    """Update rule of a weight, and its rate and decay over those of the run."""
    o = run.optimizer
    embedding = name.startswith("transformer.w")
    decay = o.weight_decay * (o.decay_embeddings or not embedding)
    if o.name != "muon":
        return {"adamw": adamw, "c_adamw": c_adamw, "ademamix": ademamix}[o.name], 1.0, decay
    if embedding:
        return adamw, 1.0, decay
    pieces = parts(name, run.model.activation == "swiglu")
    decay = o.weight_decay * o.decay_matrices
    return (lambda g, t, kept, o: muon(g, t, kept, o, pieces)), o.muon_rate, decay


@pytest.mark.parametrize("clip", CLIPPING)
@pytest.mark.parametrize("model", ["gpt2", "swiglu"])
@pytest.mark.parametrize("everything_decays", [False, True])
@pytest.mark.parametrize("name", ["adamw", "c_adamw", "ademamix", "muon"])
def test_one_and_five_steps_are_those_of_the_published_rule(
    optimizer_run, train, name, everything_decays, model, clip
):
    decays = {"decay_embeddings": everything_decays, "weight_decay": 0.3}
    if name == "muon":
        decays["decay_matrices"] = everything_decays
    run = optimizer_run(name, model, clip=CLIPPING[clip], **decays)
    trained = train(run)
    weights = trained.weights()
    start, kept = weights, {n: {} for n in weights}
    for t, rate in enumerate(RATES, start=1):
        gradients, norm = clipped(trained.gradients(), run.optimizer.clip)
        assert (norm > run.optimizer.clip) == (clip == "on")
        trained.step(rate)
        for n, w in weights.items():
            update, factor, decay = rule(n, w, run)
            u = update(gradients[n], t, kept[n], run.optimizer)
            weights = {**weights, n: w - factor * rate * (u + decay * w)}
        for n, w in trained.weights().items():
            np.testing.assert_allclose(w, weights[n], rtol=0, atol=1e-6, err_msg=f"{n}, step {t}")
    assert all(abs(weights[n] - start[n]).max() > 3e-4 for n in weights)  # 1e-6 tells something


def test_rules_differ_where_they_should(optimizer_run, train):
    """In the first step moments are the gradient itself, so that no coordinate is masked."""
    changes, weight = {}, "transformer.blocks.0.attn_out.weight"
    for name in ("adamw", "c_adamw", "ademamix"):
        settings = {"alpha": 1e-12, "betas": [0.9, 0.95]} if name == "ademamix" else {}
        trained = train(optimizer_run(name, "gpt2", **settings))
        trained.step()
        first = trained.weights()[weight]
        trained.step()
        changes[name] = first, trained.weights()[weight]
    for name in ("c_adamw", "ademamix"):
        np.testing.assert_allclose(changes[name][0], changes["adamw"][0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(changes["ademamix"][1], changes["adamw"][1], rtol=0, atol=1e-6)
    assert abs(changes["c_adamw"][1] - changes["adamw"][1]).max() > 1e-4


def test_warm_ups_of_ademamix():
    """alpha is linear in t and so is the half-life ln(1/2) / ln(beta3), from beta1's on."""
    settings = AdEMAMix(name="ademamix", learning_rate=1e-3)
    assert (settings.beta3, settings.alpha, settings.t_alpha_beta3) == (0.9999, 8, 50_000)
    half_lives = [math.log(0.5) / math.log(warm_up(t, settings)[1]) for t in (1, 12_500, 37_500)]
    first, last = math.log(0.5) / math.log(0.9), math.log(0.5) / math.log(0.9999)
    shares = [(h - first) / (last - first) for h in half_lives]
    assert shares == pytest.approx([1 / 50_000, 0.25, 0.75], rel=1e-9)
    assert [warm_up(t, settings)[0] for t in (1, 12_500, 37_500)] == pytest.approx([1.6e-4, 2, 6])
    assert warm_up(50_000, settings) == warm_up(10**6, settings) == (8, 0.9999)


def test_floor_of_the_share_of_c_adamw():
    import torch

    from zsl.optimizers.c_adamw import cautious_update

    settings = CAdamW(name="c_adamw", learning_rate=1e-3, eps=1e-12)
    state = {}
    cautious_update(torch.ones(4000), state, settings)
    against = -0.01 * torch.ones(4000)  # too small to turn the moment
    against[:2] = 0.01
    update = cautious_update(against, state, settings)
    b1, b2 = settings.betas
    g = against[0].item()
    m = (b1 * (1 - b1) + (1 - b1) * g) / (1 - b1**2)
    v = (b2 * (1 - b2) + (1 - b2) * g**2) / (1 - b2**2)
    expected = m / math.sqrt(v) / 1e-3  # not / (2 / 4000)
    assert update[:2].tolist() == pytest.approx([expected] * 2, rel=1e-5)
    assert not update[2:].any()
