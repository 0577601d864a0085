"""Checkpoints: weights in safetensors, and the architecture beside them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from attacks import add

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


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))


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
    "a header of 2^63 bytes": (header({}, size=(1 << 63) - 1), DAMAGED),
    "a header of 100 MB": (header({}, size=100_000_001), DAMAGED),
    "a header that is no JSON": (header(b"\x80\x04\x95cposix\nsystem\n"), DAMAGED),
    "a header nested 100,000 deep": (header(b"[" * 100_000), DAMAGED),
    "tensors that overlap": (
        header({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, b"\0" * 12),
        DAMAGED,
    ),
    "a hole between tensors": (
        header({"a": tensor([2], 0, 8), "b": tensor([2], 16, 24)}, b"\0" * 24),
        DAMAGED,
    ),
    "a tensor beyond the end of the file": (header({"a": tensor([2], 0, 8)}, b"\0" * 4), DAMAGED),
    "a tensor of 2^64 numbers": (
        header({"a": tensor([1 << 33, 1 << 33], 0, 8)}, b"\0" * 8),
        DAMAGED,
    ),
    "a tensor of fewer than no bytes": (header({"a": tensor([2], 8, 0)}, b"\0" * 8), DAMAGED),
    "a number format that is none": (
        header({"a": tensor([2], 0, 8, "OBJECT")}, b"\0" * 8),
        DAMAGED,
    ),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "but a pickle"),
    "a checkpoint of torch.save": (lambda path: torch.save(state_of(), path), "but a zip"),
    "a zip": (zipped, "but a zip"),
    "a pickle that runs a command for a name": (
        lambda path: save_file({named(Command()): torch.zeros(2)}, path),
        "is no name that OLMo writes",
    ),
    "nothing": (lambda path: path.write_bytes(b""), DAMAGED),
    "no file": (lambda path: None, "no such file"),
    "a weight that is missing": (weights(lambda state: state.pop(first(state))), OTHER),
    "a weight that no such model has": (
        weights(lambda state: state.update(evil=torch.zeros(2))),
        OTHER,
    ),
    "a weight of another shape": (
        weights(lambda state: state.update({first(state): torch.zeros(3, 3)})),
        OTHER,
    ),
    "a weight that is NaN": (
        weights(lambda state: state[first(state)].view(-1)[:1].fill_(float("nan"))),
        "is not finite",
    ),
    "a weight that is infinite": (
        weights(lambda state: state[first(state)].view(-1)[:1].fill_(float("-inf"))),
        "is not finite",
    ),
    "a weight in a format that holds no infinity": (
        weights(lambda state: state.update({"a": torch.zeros(2, dtype=torch.float8_e4m3fn)})),
        "model.safetensors",
    ),
    "a folder for weights": (Path.mkdir, "model.safetensors"),
    "a pipe for weights": (os.mkfifo, "model.safetensors"),
}
for name, (spoil, says) in WEIGHTS.items():
    add(KIND, name, partial(of_weights, spoil), says)


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


BOMB = "\n".join(
    ["model: &a [x, x, x, x, x, x, x, x, x, x]"]
    + [
        f"{n}: &{n} [{', '.join([f'*{m}'] * 10)}]"
        for m, n in zip("abcdefgh", "bcdefghi", strict=True)
    ]
)
NONE = "config.yaml: not the configuration of an OLMo model"
ARCHITECTURES: dict[str, tuple[bytes, str]] = {
    "a tag that runs a command": (
        b"model: !!python/object/apply:os.system ['touch ../outside/executed']",
        NONE,
    ),
    "aliases that multiply a billion times": (BOMB.encode(), "config.yaml"),
    "lists in one another": (b"model: " + b"[" * 100_000, "config.yaml"),
    "a value of the surroundings": (
        written(activation_type="${oc.env:SECRET}"),
        "a value with ${",
    ),
    "a value of itself": (written(d_model="${model.d_model}"), "a value with ${"),
    "a key that no model has": (written(evil=1), NONE),
    "text for a number": (written(d_model="wide"), NONE),
    "no model": (b"a: 1", NONE),
    "a list": (b"[1]", NONE),
    "nothing": (b"", NONE),
    "bytes that are not UTF-8": (b"model: \xff", NONE),
    "a width of a trillion": (written(d_model=10**12), "config.yaml"),
    "a width below 0": (written(d_model=-8), "config.yaml"),
    "no heads": (written(n_heads=0), "config.yaml"),
    "a billion layers": (written(n_layers=10**9), "n_layers = 1000000000"),
    "no layers": (written(n_layers=0), "n_layers = 0"),
    "a width that the weights have not": (written(d_model=1 << 15), "not weights of this arch"),
    "a vocabulary of a billion": (
        written(vocab_size=10**9, embedding_size=10**9),
        "not weights of this architecture",
    ),
    "positions for a trillion tokens": (written(max_sequence_length=10**12), "max_sequence_length"),
    "biases for a million tokens": (
        written(max_sequence_length=1 << 20, alibi=True, rope=False),
        "max_sequence_length",
    ),
}
for name, (text, says) in ARCHITECTURES.items():
    add(KIND, f"an architecture with {name}", partial(of_architecture, text), says)


def of_state(data: bytes, project: Path) -> Iterator[None]:
    """The step of a checkpoint, as ``zsl measure`` takes it from its state."""
    from zsl.measure.given import step_of

    (project / "state.json").write_bytes(data)
    yield
    step_of(project)


for name, data, says in (
    ("nested 100,000 deep", b"[" * 100_000, "state.json: not JSON"),
    ("that is a list", b"[]", "state.json: names no step"),
    ("whose step is text", b'{"step": "../x"}', "state.json: names no step"),
    ("whose step is beyond all names", b'{"step": 1e300}', "state.json: names no step"),
    ("whose step is below 0", b'{"step": -1}', "state.json: names no step"),
):
    add(KIND, f"a state {name}", partial(of_state, data), says)


def optimizer_of(model: Any) -> Any:
    return torch.optim.AdamW(model.parameters())


def of_checkpoint(spoil: Callable[[Path], object], project: Path) -> Iterator[None]:
    """A whole checkpoint, to train on from."""
    from zsl.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint

    model = model_of()
    optimizer = optimizer_of(model)
    for weight in model.parameters():
        weight.data.zero_()
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    save_checkpoint(project / "a", model, optimizer, TrainingState(1, 4, 48))
    spoil(project / "a")
    yield
    other = model_of()
    load_checkpoint(project / "a", other, optimizer_of(other))


def moments(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], object]:
    """A changed file of the optimizer."""

    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "optim.safetensors")
        change(tensors)
        save_file(tensors, folder / "optim.safetensors")

    return spoil


def forget_one(tensors: dict[str, torch.Tensor]) -> None:
    """Take away all that is kept of a weight."""
    weight = first(tensors).partition(".")[2]
    for name in [name for name in tensors if name.endswith(f".{weight}")]:
        del tensors[name]


def counts(text: str) -> Callable[[Path], object]:
    """A file ``state.json`` with this text."""
    return lambda folder: (folder / "state.json").write_text(text)


NO_COUNTS = "state.json: does not say how many steps"
NOT_OF_MODEL = "the checkpoint is of another architecture"
for name, change, says in (
    ("no state of the generator", moments(lambda t: t.pop("rng")), "rng"),
    ("a short state of the generator", moments(lambda t: t.update(rng=t["rng"][:9])), "rng"),
    ("a generator of numbers", moments(lambda t: t.update(rng=torch.zeros(5056))), "rng"),
    ("moments of no weight", moments(lambda t: t.update(evil=torch.zeros(2))), NOT_OF_MODEL),
    ("no moments of a weight", moments(forget_one), "holds no state of"),
    (
        "moments of another shape",
        moments(lambda t: t.update({first(t): torch.zeros(3, 3)})),
        NOT_OF_MODEL,
    ),
    ("a pickle of moments", lambda folder: zipped(folder / "optim.safetensors"), "but a zip"),
    ("no step", counts('{"sequences": 4, "tokens": 48}'), NO_COUNTS),
    ("a step of text", counts('{"step": "1", "sequences": 4, "tokens": 48}'), NO_COUNTS),
    ("a step below 0", counts('{"step": -1, "sequences": 4, "tokens": 48}'), NO_COUNTS),
    ("a list for its state", counts("[1, 4, 48]"), NO_COUNTS),
    ("half a state", counts('{"step": 1, "sequ'), "state.json: not JSON"),
):
    add(KIND, f"resuming with {name}", partial(of_checkpoint, change), says)


HEADER = "step,train_loss,learning_rate,grad_norm\n"
WRITTEN = HEADER + "1,1,1,1\n2,1,1,1\n"
DIGEST = json.dumps({"2": hashlib.sha256(WRITTEN.encode()).hexdigest()})


def of_steps(text: str, digests: str, project: Path) -> Iterator[None]:
    """The lines of steps 1 and 2, which an interrupted segment left."""
    from zsl.training.records import StepRecords

    (project / "steps.csv").write_text(text)
    (project / "steps.json").write_text(digests)
    yield
    StepRecords.resume(project, range(1, 3))


for name, text, digests in (
    ("that are none", f"{HEADER}\x00,,,\n2,1,1,1\n", DIGEST),
    ("of which one is missing", f"{HEADER}2,1,1,1\n", DIGEST),
    ("of which one is doubled", f"{HEADER}1,1,1,1\n1,1,1,1\n2,1,1,1\n", DIGEST),
    ("that end too early", f"{HEADER}1,1,1,1\n2,1", DIGEST),
    ("of which one is another", WRITTEN.replace("2,1", "2,3"), DIGEST),
    ("of which nothing tells", WRITTEN, "{}"),
    ("of which a list tells", WRITTEN, "[1, 2]"),
    ("of which nested lists tell", WRITTEN, "[" * 100_000),
):
    add(KIND, f"resuming with steps {name}", partial(of_steps, text, digests), "damaged since it")
