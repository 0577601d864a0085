"""What is known of OLMo stays where it belongs, and another family needs nothing else."""

import ast
from pathlib import Path

import h5py
import pytest
import torch
from torch import nn

import zsl
from zsl.config.measurements import TokenGradients
from zsl.errors import MeasurementError
from zsl.measurements import gradient_opposition, token_gradients
from zsl.measurements.first_order import first_order
from zsl.measurements.single_step import mean_gradient
from zsl.measurements.token_losses import evaluate
from zsl.models.base import LanguageModel
from zsl.training.step import token_losses

SOURCE = Path(zsl.__file__).parent


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize(
    ("library", "rooms"), [("olmo", {"models", "training"}), ("transformers", {"models"})]
)
def test_a_library_of_models_is_imported_where_models_are_made(library, rooms):
    found = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        if any(name.partition(".")[0] == library for name in imported(path))
    }
    assert found == rooms


def test_names_of_weights_are_known_to_adapters_alone():
    for room in ("measurements", "measure", "curves", "optimizers", "planning"):
        for path in (SOURCE / room).rglob("*.py"):
            assert "transformer." not in path.read_text(), path


class Bag(LanguageModel):
    """A family of its own: each token is predicted from the one before it."""

    embedding, output = "embed.weight", "head.weight"
    tied, context = False, 9

    def __init__(self, rows=7, width=4, bias=False):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(rows, width)
        self.places = nn.Embedding(self.context, width)
        self.inner = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, rows, bias=bias)

    def load(self, folder):
        raise NotImplementedError

    def hidden(self, input_ids, embedded=None):
        x = self.embed(input_ids) if embedded is None else embedded
        x = x + self.places(torch.arange(input_ids.shape[1])[None])
        return self.norm(x + torch.tanh(self.inner(x)))

    def logits(self, hidden, on_logits=None):
        logits = self.head(hidden)
        if on_logits:
            on_logits(hidden, logits)
        return logits

    def activation_bytes(self, positions, *, gradients):
        return positions


@pytest.fixture
def model():
    return Bag().double()


@pytest.fixture
def input_ids():
    return torch.randint(7, (3, 9), generator=torch.Generator().manual_seed(0))


def losses(model, input_ids):
    return token_losses(model.logits(model.hidden(input_ids)), input_ids)


def test_it_is_measured_as_any_model(model, input_ids, gradients_by_token, random_update):
    each = gradients_by_token(model, input_ids, losses)
    torch.testing.assert_close(
        torch.from_numpy(evaluate(model, input_ids, 2)).double(),
        losses(model, input_ids).float().double(),
    )
    n = input_ids[:, 1:].numel()
    for name, gradient in mean_gradient(model, input_ids, 2).items():
        torch.testing.assert_close(gradient, each[name].sum(0) / n)
    update = random_update(model)
    changes = sum((update[name] * g).flatten(1).sum(1) for name, g in each.items())
    torch.testing.assert_close(first_order(model, input_ids, update, 2).flatten(), changes)
    with pytest.raises(MeasurementError, match=r"first-order changes of a model with head\.bias"):
        first_order(Bag(bias=True), input_ids, update, 2)


def test_one_token_deep_the_proxy_is_the_truth(model, input_ids, gradients_by_token):
    """Each position's share of a gradient is then the gradient of its own loss."""
    model = Bag(bias=True).double()
    each = gradients_by_token(model, input_ids, losses)
    measured = gradient_opposition.opposition(model, input_ids, 2)
    assert measured.keys() == each.keys()
    for name, gradients in each.items():
        torch.testing.assert_close(measured[name].total, gradients.sum(0))
        torch.testing.assert_close(measured[name].absolute, gradients.abs().sum(0))
    apart = {name for name, sums in measured.items() if sums.vocabulary}
    assert apart == {"embed.weight", "places.weight", "head.weight", "head.bias"}


def test_what_it_cannot_do_is_one_message_before_any_work(model, input_ids, tmp_path):
    model.hidden = None
    with (
        h5py.File(tmp_path / "t.h5", "w") as file,
        pytest.raises(MeasurementError, match="per-token gradients of Bag models are not"),
    ):
        token_gradients.measure(model, input_ids, {}, TokenGradients(), 2, file)


def test_weights_of_an_unknown_kind_are_named(model, input_ids):
    model.gain = nn.Parameter(torch.ones(1).double())
    with pytest.raises(MeasurementError, match="gradient opposition of gain cannot be measured"):
        gradient_opposition.opposition(model, input_ids, 2)


def test_weights_that_are_used_outside_of_their_module_are_named(model, input_ids):
    model.spare = nn.Linear(4, 4).double()
    hidden = model.hidden
    model.hidden = lambda ids, embedded=None: hidden(ids, embedded) @ model.spare.weight
    with pytest.raises(MeasurementError, match=r"of spare\.weight cannot be measured: it is used"):
        gradient_opposition.opposition(model, input_ids, 2)


def test_weights_that_are_used_several_times_at_a_position_are_named(model, input_ids):
    hidden = model.hidden
    model.hidden = lambda ids, embedded=None: model.norm(hidden(ids, embedded)[:, :, None])[:, :, 0]
    with pytest.raises(
        MeasurementError, match=r"norm\.weight cannot be measured: .* several times"
    ):
        gradient_opposition.opposition(model, input_ids, 2)
