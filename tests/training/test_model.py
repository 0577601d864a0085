import math
from typing import get_args

import numpy as np
import pytest
import torch
from olmo.config import SchedulerType
from olmo.model import OLMo

from zsl.config.parameters import n_parameters
from zsl.config.schema import EXTENSIBLE, Model, Schedule
from zsl.config.sources import TrainedTokenizer
from zsl.models.olmo.build import build_model, model_config
from zsl.training.model import learning_rate, make_optimizer, make_scheduler
from zsl.training.order import batch_indices, data_order, run_order
from zsl.training.parallel import Processes

GPT2 = {
    "mlp_ratio": 4,
    "activation": "gelu",
    "rope": False,
    "init": "gpt2",
    "layer_norm_eps": 1e-6,
}


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


def test_gpt2_at_the_papers_size():
    """The paper's "144M" of C.2, on the meta device: built, not filled."""
    model = Model(d_model=1024, n_layers=16, n_heads=16, **GPT2)
    tokenizer = TrainedTokenizer(kind="bpe", vocab_size=50_257, embedding_size=50_304)
    assert n_parameters(model, tokenizer.rows, 1024) == 253_886_464
    config = model_config(model, 1024, tokenizer)
    config.init_device = "meta"
    built = OLMo(config, init_params=False)
    assert sum(p.numel() for p in built.parameters()) == 253_886_464
    shapes = {
        name: tuple(p.shape) for name, p in built.named_parameters() if ".blocks." not in name
    }
    assert shapes == {
        "transformer.wte.weight": (50_304, 1024),
        "transformer.wpe.weight": (1024,) * 2,
    }
    assert built.transformer.ln_f.eps == 1e-6


def test_gpt2_initialisation(make_run, tokenizer):
    """Normal weights of standard deviation 0.02, smaller where they add to the residual stream."""
    run = make_run(model={"d_model": 128, "n_layers": 8, "n_heads": 4, **GPT2})
    normal = run.model_copy(update={"model": run.model.model_copy(update={"init": "normal"})})
    unscaled = build_model(normal, tokenizer).state_dict()
    for name, weight in build_model(run, tokenizer).state_dict().items():
        residual = name.endswith(("attn_out.weight", "ff_out.weight"))
        std = 0.02 / math.sqrt(2 * 8) if residual else 0.02
        assert float(weight.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel())), (
            name
        )
        factor = 1 / math.sqrt(2 * 8) if residual else 1
        torch.testing.assert_close(weight, unscaled[name] * factor)
        if weight.numel() > 60_000:  # not truncated at three standard deviations
            assert float((abs(weight) > 3 * std).double().mean()) == pytest.approx(0.0027, rel=0.3)


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


def test_linear_rate_from_zero(make_run):
    run = make_run(
        steps=1000,
        schedule={
            "name": "linear_with_warmup",
            "warmup_steps": 100,
            "warmup_start": 0,
            "final_fraction": 0,
        },
        optimizer={"learning_rate": 1e-3},
    )
    scheduler = make_scheduler(run)
    expected = {1: 1e-5, 50: 5e-4, 100: 1e-3, 101: 1e-3 * 899 / 900, 550: 5e-4, 1000: 0.0}
    for step, rate in expected.items():
        assert learning_rate(run, scheduler, step) == pytest.approx(rate, rel=1e-12, abs=1e-18)


def test_every_schedule_of_olmo_has_its_name_here():
    known = get_args(Schedule.model_fields["name"].annotation)
    assert sorted(known) == sorted(SchedulerType)


BY_HAND = {
    "inverse_sqrt_with_warmup": {400: 5e-4, 900: 1e-3 / 3},
    "cosine_linear_envelope": {550: 1e-4 + 9e-4 / 4, 1000: 1e-4},
    "max_scheduler": {101: 1e-4 + 9e-4 * (1 + math.cos(math.pi / 900)) / 2, 900: 1e-3 / 3},
}


@pytest.mark.parametrize("name", BY_HAND)
def test_rates_by_hand(make_run, name):
    """With 1,000 steps, a warm-up of 100, a peak of 1e-3 and a tenth of it at the end."""
    run = make_run(
        steps=1000,
        schedule={"name": name, "warmup_steps": 100},
        optimizer={"learning_rate": 1e-3},
    )
    scheduler = make_scheduler(run)
    for step, rate in {50: 5.5e-4, 100: 1e-3, **BY_HAND[name]}.items():
        assert learning_rate(run, scheduler, step) == pytest.approx(rate, rel=1e-12), step


@pytest.mark.parametrize("name", EXTENSIBLE)
def test_the_rate_of_a_run_that_can_be_made_longer_does_not_know_its_end(make_run, name):
    schedule = {"name": name, "warmup_steps": 0 if name == "constant" else 100}
    runs = [make_run(steps=steps, schedule=schedule) for steps in (500, 1000)]
    for step in (1, 99, 100, 300, 500):
        short, long = (learning_rate(run, make_scheduler(run), step) for run in runs)
        assert short == long > 0


def test_no_warm_up(make_run):
    run = make_run(schedule={"warmup_steps": 0}, optimizer={"learning_rate": 3.6e-3})
    assert learning_rate(run, make_scheduler(run), 1) == 3.6e-3


def test_draws_are_a_steps_own(make_run):
    """Uniform, with replacement; the same whatever was drawn before and however it is shared."""
    run = make_run(sampling="offsets", batch_size=512)
    order = run_order(run, 10, seed=3)
    batches = [batch_indices(order, step, 512) for step in (1, 2, 3)]
    again = run_order(run, 10, seed=3)
    assert np.array_equal(batch_indices(again, 3, 512), batches[2])
    assert not np.array_equal(batches[0], batches[1])
    assert not np.array_equal(batch_indices(run_order(run, 10, seed=4), 1, 512), batches[0])
    counts = np.bincount(np.concatenate(batches), minlength=10)
    assert counts.sum() == 3 * 512 and len(counts) == 10
    chi_squared = ((counts - 153.6) ** 2 / 153.6).sum()
    assert chi_squared < 27.9  # exceeded by one in a thousand seeds
    shares = [Processes(rank, 4, torch.device("cpu")).share(batches[0], 512) for rank in range(4)]
    assert np.array_equal(np.concatenate(shares), batches[0])


def test_a_shuffled_run_reads_the_one_order(make_run):
    assert np.array_equal(run_order(make_run(), 101, 6198), data_order(101, 6198))


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
    def decay_of_embedding(model=None, **settings):
        architecture = {"d_model": 8, "n_layers": 2, "n_heads": 2, **(model or {})}
        run = make_run(model=architecture, optimizer={"learning_rate": 1e-2, **settings})
        model = build_model(run, tokenizer)
        groups = make_optimizer(run, model).param_groups
        return {name: group["weight_decay"] for group in groups for name in group["param_names"]}

    decays = decay_of_embedding()
    assert decays.pop("transformer.wte.weight") == 0
    assert set(decays.values()) == {0.1}
    assert decay_of_embedding(decay_embeddings=True)["transformer.wte.weight"] == 0.1
    learned = decay_of_embedding(GPT2)
    assert {n for n, decay in learned.items() if decay == 0} == {
        "transformer.wte.weight",
        "transformer.wpe.weight",
    }
    assert set(decay_of_embedding(GPT2, decay_embeddings=True).values()) == {0.1}
