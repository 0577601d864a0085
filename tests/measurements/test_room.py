"""How many sequences are read at once, and refusals where a CPU has no memory for them."""

import pytest
import torch

from zsl import memory
from zsl.config.measurements import GradientOpposition, TokenLosses
from zsl.config.sources import TrainedTokenizer
from zsl.measurements.room import micro_batch_of
from zsl.memory import OutOfMemory
from zsl.models.olmo.build import empty_model
from zsl.training.micro_batch import first_size

ROWS, LENGTH, GIB = 50_304, 1024, 1 << 30


@pytest.fixture
def of_14M(make_run):
    """The run and the model that the paper calls 14M, without weights."""
    architecture = {"d_model": 256, "n_heads": 4, "n_layers": 4}
    run = make_run(model=architecture, sequence_length=LENGTH, batch_size=1024)
    tokenizer = TrainedTokenizer(kind="bpe", vocab_size=ROWS, embedding_size=ROWS)
    return run, empty_model(run.model, LENGTH, tokenizer)


@pytest.fixture
def free(monkeypatch):
    """A function that says how much memory is free."""

    def set_to(amount):
        monkeypatch.setattr(memory, "free_bytes", lambda: amount)

    return set_to


@pytest.mark.parametrize("measurement", [TokenLosses, GradientOpposition])
def test_all_sequences_are_not_read_at_once_on_a_cpu(of_14M, free, measurement):
    chosen = set()
    for amount in (None, 4 * GIB, 400 * GIB):
        free(amount)
        chosen.add(micro_batch_of(measurement(), of_14M[1], None, 976, LENGTH).size)
    (size,) = chosen  # whatever is free, else numbers would differ in their last bits
    assert 1 < size < 64
    free(None)
    assert micro_batch_of(measurement(), of_14M[1], None, 3, LENGTH).size == 3
    assert micro_batch_of(measurement(), of_14M[1], 700, 976, LENGTH).size == 700


def test_a_gpu_begins_with_all(of_14M):
    assert memory.at_once(976, GIB, torch.device("cuda")) == 976


@pytest.mark.parametrize(
    ("asked", "amount", "hint"),
    [(64, 2 * GIB, "lower measurements.micro_batch_size"), (1, GIB // 4, "shorter sequences")],
)
def test_too_little_memory_is_said_before_work(of_14M, free, asked, amount, hint):
    free(amount)
    with pytest.raises(OutOfMemory, match=f"need about .* GiB of memory.*{hint}"):
        micro_batch_of(GradientOpposition(), of_14M[1], asked, 976, LENGTH)


def test_training_on_a_cpu_does_not_read_the_whole_batch_at_once(of_14M, make_run):
    run, model = of_14M
    assert first_size(run, model, 1024) == 1  # the logits of one sequence are 0.2 GB
    precision = run.precision.model_copy(update={"micro_batch_size": 16})
    assert first_size(run.model_copy(update={"precision": precision}), model, 1024) == 16
    assert first_size(run.model_copy(update={"precision": precision}), model, 8) == 8


def test_training_that_a_cpu_has_no_memory_for_is_refused(
    make_run, tokenizer, tokens, one_process, free, tmp_path
):
    from zsl.training.trainer import make_trainer

    trainer = make_trainer(make_run(), tokenizer, tokens, 0, one_process)
    trainer.settle_micro_batch(tmp_path)
    free(1000)
    with pytest.raises(OutOfMemory, match="training steps of 4 sequences of 12 tokens"):
        trainer.settle_micro_batch(tmp_path)


def test_activations_are_not_less_than_a_pass_holds(make_run, tokenizer):
    """Bytes of all that a backward pass finds saved, counted."""
    from zsl.models.olmo.build import build_model

    architecture = {"d_model": 64, "n_heads": 4, "n_layers": 12}
    model = build_model(make_run(model=architecture, sequence_length=256), tokenizer)
    held = {}

    def keep(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model(torch.zeros(1, 256, dtype=torch.long), last_logits_only=True)
    for weight in model.parameters():
        held.pop(weight.untyped_storage().data_ptr(), None)
    saved = sum(held.values())
    assert hidden.logits.requires_grad
    estimated = model.activation_bytes(256, gradients=True)
    assert saved <= estimated <= 3 * saved
