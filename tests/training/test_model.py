import math

import numpy as np
import pytest
import torch

from zsl.config.parameters import n_parameters
from zsl.training.model import build_model, learning_rate, make_optimizer, make_scheduler
from zsl.training.order import batch_indices, data_order


@pytest.mark.parametrize(
    "model",
    [
        {"d_model": 8, "n_layers": 2, "n_heads": 2},
        {"d_model": 8, "n_layers": 1, "n_heads": 2, "weight_tying": False},
        {"d_model": 12, "n_layers": 3, "n_heads": 3, "mlp_ratio": 4, "activation": "gelu"},
        {"d_model": 12, "n_layers": 1, "n_heads": 2, "rope": False, "mlp_ratio": 4},
    ],
)
def test_number_of_parameters_is_that_of_the_model(make_run, tokenizer, model):
    run = make_run(model=model)
    built = build_model(run, tokenizer)
    assert n_parameters(run.model, tokenizer.rows, run.sequence_length) == sum(
        p.numel() for p in built.parameters()
    )


def test_model_is_the_paper_architecture(make_run, tokenizer):
    config = build_model(make_run(), tokenizer).config
    dropouts = (config.attention_dropout, config.residual_dropout, config.embedding_dropout)
    assert dropouts == (0, 0, 0)
    assert config.rope and not config.alibi and not config.include_bias
    assert config.layer_norm_type == "rms" and not config.layer_norm_with_affine
    assert config.weight_tying and config.init_fn == "mitchell"
    assert config.embedding_size == 24 and config.vocab_size == 20


def test_initial_weights_depend_on_the_seed_alone(make_run, tokenizer):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build_model(make_run(), tokenizer).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    again = build_model(make_run(), tokenizer).state_dict()
    other = build_model(make_run(seed=2), tokenizer).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_trapezoidal_rate(make_run):
    run = make_run(schedule={"warmup_steps": 2000}, optimizer={"learning_rate": 6.81e-4})
    scheduler = make_scheduler(run)
    for step in (1, 2, 1000, 1999, 2000, 2001, 100_000):
        expected = 6.81e-4 * (0.1 + 0.9 * min(step, 2000) / 2000)
        assert learning_rate(run, scheduler, step) == pytest.approx(expected, rel=1e-14)


def test_cosine_rate(make_run):
    run = make_run(
        steps=1000,
        schedule={"name": "cosine_with_warmup", "warmup_steps": 100},
        optimizer={"learning_rate": 1e-3},
    )
    scheduler = make_scheduler(run)
    for step in (100, 101, 550, 999, 1000):
        angle = math.pi * (step - 100) / 900
        expected = 1e-4 + 9e-4 * (1 + math.cos(angle)) / 2
        assert learning_rate(run, scheduler, step) == pytest.approx(expected, rel=1e-12)
    assert learning_rate(run, scheduler, 50) == pytest.approx(1e-3 * (0.1 + 0.9 / 2))


def test_data_order_is_one_pcg64_shuffle_cut_by_any_batch_size():
    order = data_order(101, 6198)
    expected = np.arange(101, dtype=np.uint32)
    np.random.Generator(np.random.PCG64(6198)).shuffle(expected)
    assert np.array_equal(order, expected)
    for batch_size in (1, 4, 10):
        steps = range(1, 101 // batch_size + 1)
        read = np.concatenate([batch_indices(order, s, batch_size) for s in steps])
        assert np.array_equal(read, expected[: len(read)])


def test_embeddings_do_not_decay_unless_asked(make_run, tokenizer):
    def decay_of_embedding(**settings):
        run = make_run(optimizer={"learning_rate": 1e-2, **settings})
        model = build_model(run, tokenizer)
        groups = make_optimizer(run, model).param_groups
        return {name: group["weight_decay"] for group in groups for name in group["param_names"]}

    decays = decay_of_embedding()
    assert decays.pop("transformer.wte.weight") == 0
    assert set(decays.values()) == {0.1}
    assert decay_of_embedding(decay_embeddings=True)["transformer.wte.weight"] == 0.1
