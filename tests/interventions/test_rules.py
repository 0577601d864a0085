"""Every intervention against its rule, written plainly in float64, over one and five steps."""

import math

import numpy as np
import pytest
import torch

from zsl.training.step import token_losses


def norm(gradient):
    return math.sqrt(sum((g**2).sum() for g in gradient.values()))


RATES = (1e-2, 1e-2, 5e-3, 2e-3, 1e-2)


class Positions:
    """What each position contributes to the gradient of each weight by the proxy (A.3)."""

    def __init__(self, model, ids, denominator) -> None:
        inputs, outputs = {}, {}

        def seen(name):
            def hook(module, given, made):
                inputs[name], outputs[name] = given[0], made
                made.retain_grad()

            return hook

        kinds = (torch.nn.Linear, torch.nn.Embedding)
        modules = {n: m for n, m in model.named_modules() if isinstance(m, kinds)}
        handles = [module.register_forward_hook(seen(n)) for n, module in modules.items()]
        hidden = []
        last = model.transformer.ln_f.register_forward_hook(lambda _, x, y: hidden.append(y))
        logits = model(ids).logits
        logits.retain_grad()
        (token_losses(logits, ids).sum() / denominator).backward()
        for handle in (*handles, last):
            handle.remove()
        self.total = {n: w.grad.clone() for n, w in model.named_parameters()}
        self.absolute = {n: torch.zeros_like(w) for n, w in model.named_parameters()}
        model.zero_grad()
        for name, module in modules.items():
            dy, x, found = outputs[name].grad, inputs[name], self.absolute[f"{name}.weight"]
            if isinstance(module, torch.nn.Linear):
                for d, features in zip(dy.flatten(0, 1), x.flatten(0, 1), strict=True):
                    found += torch.outer(d, features).abs()
            elif "wte" in name:
                for d, id in zip(dy.flatten(0, 1), ids.flatten(), strict=True):
                    found[id] += d.abs()
            else:  # learned positions: read once for all sequences
                found[: ids.shape[1]] += self.by_sequence(model, ids, denominator)
        if model.config.weight_tying:
            pairs = zip(logits.grad.flatten(0, 1), hidden[0].flatten(0, 1), strict=True)
            for d, features in pairs:
                self.absolute["transformer.wte.weight"] += torch.outer(d, features).abs()

    @staticmethod
    def by_sequence(model, ids, denominator):
        """Each sequence is a batch of its own: its gradient at the positions it reads."""
        total, positions = 0, model.transformer.wpe.weight
        for one in ids:
            loss = token_losses(model(one[None]).logits, one[None]).sum() / denominator
            total = total + torch.autograd.grad(loss, positions)[0][: len(one)].abs()
        return total


def scaled(g, factors):
    changed = {n: g[n] * factors[n] for n in g}
    return {n: changed[n] * (norm(g) / norm(changed)) for n in g}


def agreement(trained, settings, kept, permute=lambda factors, t: factors):
    ids, every = trained.batch(), settings.every
    if trained.t % every == 0:
        found = Positions(trained.model, ids, ids[:, 1:].numel())
        factors = {}
        for n, total in found.total.items():
            total, absolute = total.abs().detach().numpy(), found.absolute[n].detach().numpy()
            C = np.divide(total, absolute, out=np.ones_like(total), where=absolute > 0)
            factors[n] = np.maximum(C, 1e-3) ** settings.gamma
        kept["factors"] = permute(factors, trained.t + 1)
    return scaled(trained.plain(), kept["factors"])


def placebo(trained, settings, kept):
    def permute(factors, t):
        seed = np.random.SeedSequence([settings.seed, t]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed >> np.uint64(1)))
        made = {}
        for n, f in factors.items():
            order = torch.randperm(f.size, generator=generator).numpy()
            made[n] = f.ravel()[order].reshape(f.shape)
        return made

    return agreement(trained, settings, kept, permute)


def gradient_of(trained, ids, weights):
    """Of the sum of losses with constant weights, over the number of predictions of a batch."""
    losses = token_losses(trained.model(ids).logits, ids)
    total = (losses * weights).sum() / (len(trained.batch()) * (ids.shape[1] - 1))
    made = torch.autograd.grad(total, list(trained.model.parameters()))
    return {n: g.numpy() for (n, _), g in zip(trained.model.named_parameters(), made, strict=True)}


def micro_batch_agreement(trained, settings, kept):
    ids, M = trained.batch(), settings.micro_batches
    parts = [gradient_of(trained, part, 1.0) for part in ids.split(len(ids) // M)]
    made = {}
    for n in parts[0]:
        agree = abs(sum(np.sign(part[n]) for part in parts)) / M >= settings.threshold
        made[n] = np.where(agree, sum(part[n] for part in parts), 0)
    return made


def token_weights(trained, settings, kept):
    """d/dl of (1 - p)^f l is (1 - p)^f + f (1 - p)^(f - 1) p l, by hand."""
    ids = trained.batch()
    logits = trained.model(ids).logits.detach().numpy()[:, :-1]
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    weights = np.zeros(ids[:, 1:].shape)
    for s, (row, targets) in enumerate(zip(p, ids[:, 1:].numpy(), strict=True)):
        losses = -np.log([row[i, target] for i, target in enumerate(targets)])
        least = sorted(losses)[-math.ceil(settings.top * len(losses))]
        for i, (target, loss) in enumerate(zip(targets, losses, strict=True)):
            error = row[i] - (np.arange(row.shape[1]) == target)
            q, f = 1 - row[i, target], settings.focal
            weight = q**f + (f * q ** (f - 1) * (1 - q) * loss if f else 0)
            weight *= min(1, settings.clip / np.linalg.norm(error))
            kept_part = math.ceil(settings.top * len(losses)) / len(losses)
            weights[s, i] = weight / kept_part if loss >= least else 0
    return gradient_of(trained, ids, torch.from_numpy(weights))


def projection(trained, settings, kept):
    ids, G = trained.batch(), settings.groups
    targets = ids[:, 1:].numpy()
    if settings.by == "frequency":
        counts = np.bincount(targets.ravel())
        group, before = {}, 0
        for token in sorted(range(len(counts)), key=lambda token: -counts[token]):
            group[token] = min(before * G // targets.size, G - 1)
            before += counts[token]
        members = np.vectorize(group.get)(targets)
    else:
        losses = token_losses(trained.model(ids).logits, ids).detach().numpy()
        members = np.argsort(np.argsort(losses, 1), 1) * G // targets.shape[1]
    parts = [gradient_of(trained, ids, torch.from_numpy(1.0 * (members == a))) for a in range(G)]
    parts = [np.concatenate([g.ravel() for g in part.values()]) for part in parts]
    draws, total, conflicts = np.random.default_rng([settings.seed, trained.t + 1]), 0, 0
    for a in range(G):
        own = parts[a].copy()
        for b in draws.permutation([b for b in range(G) if b != a]):
            if (own @ parts[b]) < 0:
                own -= (own @ parts[b]) / (parts[b] @ parts[b]) * parts[b]
                conflicts += 1
        total = total + own
    kept["conflicts"] = kept.get("conflicts", 0) + conflicts
    made, at = {}, 0
    for n, w in trained.weights().items():
        made[n], at = total[at : at + w.size].reshape(w.shape), at + w.size
    return made


RULES = [agreement, placebo, micro_batch_agreement, token_weights, projection]
CASES = [
    (agreement, {"gamma": 0.5}),
    (agreement, {"gamma": 1}),
    (agreement, {"gamma": -0.5}),
    (agreement, {"gamma": 0.5, "every": 3}),
    (placebo, {"gamma": 1, "seed": 5}),
    (placebo, {"gamma": 0.5, "every": 2}),
    (micro_batch_agreement, {"micro_batches": 2}),
    (micro_batch_agreement, {"micro_batches": 4, "threshold": 0.5}),
    (token_weights, {"clip": 0.9, "focal": 0, "top": 1}),
    (token_weights, {"clip": float("inf"), "focal": 2, "top": 1}),
    (token_weights, {"clip": float("inf"), "focal": 0.5, "top": 1}),
    (token_weights, {"clip": float("inf"), "focal": 0, "top": 0.3}),
    (token_weights, {}),
    (projection, {"by": "frequency"}),
    (projection, {"by": "loss"}),
    (projection, {"by": "loss", "groups": 3, "seed": 2}),
]


@pytest.mark.parametrize(
    ("rule", "settings"), CASES, ids=[f"{rule.__name__} {made}" for rule, made in CASES]
)
@pytest.mark.parametrize("model", ["swiglu", "gpt2"])
def test_one_and_five_steps_are_those_of_the_rule(intervened, train, rule, settings, model):
    """Gradient, clipping and AdamW (A.1): weights after each step to 1e-9 of float64."""
    trained = train(intervened(rule.__name__, model, **settings))
    o, kept = trained.run.optimizer, {}
    weights = trained.weights()
    m = v = {n: 0.0 for n in weights}
    differs = 0.0
    for t, rate in enumerate(RATES, start=1):
        gradient, plain = rule(trained, trained.run.intervention, kept), trained.plain()
        differs = max(differs, *(abs(gradient[n] - plain[n]).max() for n in plain))
        clip = min(1.0, o.clip / (norm(gradient) + 1e-6))
        result = trained.step(rate)
        assert float(result.grad_norm) == pytest.approx(norm(gradient), rel=1e-9)
        m = {n: 0.9 * m[n] + 0.1 * clip * g for n, g in gradient.items()}
        v = {n: 0.95 * v[n] + 0.05 * (clip * g) ** 2 for n, g in gradient.items()}
        for n, w in weights.items():
            decay = 0.0 if n.startswith(("transformer.wte", "transformer.wpe")) else 0.1
            update = m[n] / (1 - 0.9**t) / (np.sqrt(v[n] / (1 - 0.95**t)) + o.eps)
            weights[n] = w * (1 - rate * decay) - rate * update
        for n, w in trained.weights().items():
            np.testing.assert_allclose(w, weights[n], rtol=0, atol=1e-9, err_msg=f"{n}, step {t}")
    assert differs > 1e-4, "the rule changes something"
    assert kept.get("conflicts", 1), "some groups conflict"


def test_the_loss_that_is_logged_is_the_plain_one(intervened, train):
    for rule in RULES:
        trained = train(intervened(rule.__name__))
        ids = trained.batch()
        plain = token_losses(trained.model(ids).logits, ids).mean()
        assert float(trained.step().loss) == pytest.approx(plain.item(), rel=1e-12), rule.__name__
