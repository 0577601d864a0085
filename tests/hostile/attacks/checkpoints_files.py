"""Checkpoints: weights in safetensors, and the architecture beside them."""

from __future__ import annotations

import base64
import json
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from attacks import rows

KIND = "checkpoints"
SMALL = {"d_model": 8, "n_layers": 1, "n_heads": 2}
Spoil = Callable[[Path], object]


def model_of() -> Any:
    from zsl.config.schema import Model
    from zsl.config.sources import TrainedTokenizer
    from zsl.models.olmo.build import empty_model

    tokenizer = TrainedTokenizer(kind="bpe", vocab_size=20)
    return empty_model(Model.model_validate(SMALL), 12, tokenizer)


def state_of() -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(value) for name, value in model_of().state_dict().items()}


def of_weights(spoil: Spoil, project: Path) -> Iterator[None]:
    """A checkpoint's weights, loaded into the model that they should be of."""

    spoil(project / "model.safetensors")
    yield
    model_of().load(project)


def header(values: Any, data: bytes = b"", size: int | None = None) -> Spoil:
    """A file with this header, before which stands ``size``, or else its own."""
    text = values if isinstance(values, bytes) else json.dumps(values).encode()
    length = struct.pack("<Q", len(text) if size is None else size)
    return lambda path: path.write_bytes(length + text + data)


def tensor(shape: list[int], begin: int, end: int, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    """A file of weights that are changed."""

    def spoil(path: Path) -> None:
        state = state_of()
        change(state)
        save_file(state, path)

    return spoil


def first(state: dict[str, torch.Tensor]) -> str:
    return sorted(state)[0]


class Command:
    """What runs a command where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ../executed",)


def named(value: Any) -> str:
    """The name of a weight as OLMo writes it: a pickle in base64."""
    return base64.urlsafe_b64encode(pickle.dumps(((value,), False))).decode()


DAMAGED = "model.safetensors: damaged"
OTHER = "model.safetensors: not weights of this architecture"
WEIGHTS: dict[str, tuple[Spoil, str]] = {
    "a header longer than the file": (header({}, size=10**6), DAMAGED),
    "a header nested 100,000 deep": (header(b"[" * 100_000), DAMAGED),
    "tensors that overlap": (
        header({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, b"\0" * 12),
        DAMAGED,
    ),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "but a pickle"),
    "a pickle that runs a command for a name": (
        lambda path: save_file({named(Command()): torch.zeros(2)}, path),
        "is no name that OLMo writes",
    ),
    "a weight that is NaN": (
        weights(lambda state: state[first(state)].view(-1)[:1].fill_(float("nan"))),
        "is not finite",
    ),
    "a pipe for weights": (os.mkfifo, "model.safetensors"),
}
rows(KIND, of_weights, WEIGHTS)


def of_architecture(text: bytes, project: Path) -> Iterator[None]:
    """The architecture of a checkpoint that may be another's."""
    from zsl.models.olmo.architecture import load_model

    save_file(state_of(), project / "model.safetensors")
    (project / "config.yaml").write_bytes(text)
    os.environ["SECRET"] = "a secret"
    yield
    load_model(project)


def written(**values: Any) -> bytes:
    import yaml

    return yaml.safe_dump({"model": {**SMALL, "vocab_size": 20, **values}}).encode()


NONE = "config.yaml: not the configuration of an OLMo model"
ARCHITECTURES: dict[str, tuple[bytes, str]] = {
    "an architecture with a tag that runs a command": (
        b"model: !!python/object/apply:os.system ['touch ../outside/executed']",
        NONE,
    ),
    "an architecture with a value of the surroundings": (
        written(activation_type="${oc.env:SECRET}"),
        "a value with ${",
    ),
    "an architecture with a billion layers": (
        written(n_layers=10**9),
        "n_layers = 1000000000",
    ),
    "an architecture with a width that the weights have not": (
        written(d_model=1 << 15),
        "not weights of this arch",
    ),
    "an architecture with a vocabulary of a billion": (
        written(vocab_size=10**9, embedding_size=10**9),
        "not weights of this architecture",
    ),
    "an architecture with biases for a million tokens": (
        written(max_sequence_length=1 << 20, alibi=True, rope=False),
        "max_sequence_length",
    ),
}
rows(KIND, of_architecture, ARCHITECTURES)


def of_state(data: bytes, project: Path) -> Iterator[None]:
    """The step of a checkpoint, as ``zsl measure`` takes it from its state."""
    from zsl.measure.given import step_of

    (project / "state.json").write_bytes(data)
    yield
    step_of(project)


STATES: dict[str, tuple[bytes, str]] = {
    "a state nested 100,000 deep": (b"[" * 100_000, "state.json: not JSON"),
    "a state whose step is beyond all names": (b'{"step": 1e300}', "state.json: names no step"),
}
rows(KIND, of_state, STATES)
