"""Folders of checkpoints in OLMo's architecture: which files they have, and what is in these.

``olmo_pt``           config.yaml, model.pt, optim.pt: OLMo's unsharded checkpoints
``olmo_safetensors``  config.yaml, model.safetensors: the same weights without pickles
``hf_olmo``           config.json, model.safetensors, or several: what ``hf_olmo`` saves
``transformers``      the same files, of another model_type
``zsl``               ours
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.olmo_pt import check_tensors, read_weights
from zsl.checkpoints.patterns import some
from zsl.config.yaml_files import read_values
from zsl.errors import BrokenFileError
from zsl.files import read_json
from zsl.foreign import what_it_is
from zsl.models.foreign import plain_names
from zsl.models.hf.folder import knows as hf_knows
from zsl.models.olmo.architecture import SETTINGS

WITHOUT_MEANING = {"flash_attention": False, "init_device": "cpu", "precision": None}
"""Keys of an architecture that say how it was run, with what we run."""
OF_TRANSFORMERS = {
    *("_name_or_path", "_attn_implementation", "architectures", "attn_implementation", "auto_map"),
    *("bos_token_id", "dtype", "model_type", "tie_word_embeddings", "tokenizer_class"),
    *("torch_dtype", "transformers_version", "use_cache"),
}
"""Keys that transformers writes beside those of a model, and that change nothing in it."""
WEIGHTS = (
    *("model.safetensors", "model-*.safetensors"),
    *("pytorch_model.bin", "pytorch_model-*.bin"),
)
"""Weights beside a config.json, those that are read first."""
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
LARGEST_CONFIG = 1 << 24
"""Bytes of a configuration: one lists thousands of files of tokens."""


@dataclass(frozen=True)
class Format:
    """Which files of a checkpoint are read."""

    kind: str
    config: str
    weights: tuple[str, ...]
    optimizer: str | None
    """None where there is none, or none that is read."""
    also: tuple[str, ...] = ()
    """Further files that are needed."""

    @property
    def files(self) -> tuple[str, ...]:
        """All files, to be fetched."""
        optimizer = (self.optimizer,) if self.optimizer else ()
        return (self.config, *self.weights, *optimizer, *self.also)


def format_of(names: Collection[str], where: str) -> Format:
    """The format of a folder or revision ``where`` that holds files of these names.

    Raises CheckpointError where it is none of those that are read.
    """
    optimizer = "optim.pt" if "optim.pt" in names else None
    if "config.yaml" in names:
        if "state.json" in names and "model.safetensors" in names:
            own = "optim.safetensors" if "optim.safetensors" in names else None
            return Format("zsl", "config.yaml", ("model.safetensors",), own, ("state.json",))
        if "model.safetensors" in names:
            return Format("olmo_safetensors", "config.yaml", ("model.safetensors",), optimizer)
        if "model.pt" in names:
            return Format("olmo_pt", "config.yaml", ("model.pt",), optimizer)
    elif "config.json" in names:
        for pattern in WEIGHTS:
            if found := tuple(sorted(name for name in names if fnmatch(name, pattern))):
                index = f"{pattern.replace('-*', '')}.index.json"
                also = (index,) if index in names and "*" in pattern else ()
                return Format("hf_olmo", "config.json", found, None, also)
    raise CheckpointError(
        f"{where}: no checkpoint of OLMo, which has config.yaml and model.pt or model.safetensors, "
        f"or config.json and model.safetensors; it has {some(sorted(names))}"
    )


def format_of_folder(folder: Path) -> Format:
    """The format of a folder here. Raises CheckpointError."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder")
    return format_of({path.name for path in folder.iterdir()}, str(folder))


def of_transformers(folder: Path, form: Format) -> bool:
    """Whether the model in a folder is one of transformers, and not of OLMo."""
    return form.config == "config.json" and hf_knows(folder)


def read_architecture(path: Path) -> dict[str, Any]:
    """OLMo's model configuration in config.yaml or config.json, without what does not matter.

    Raises CheckpointError naming a key that no architecture known here has.
    """
    values = _config(path)
    if path.suffix == ".json":
        kind = values.get("model_type")
        if kind != "hf_olmo":
            raise CheckpointError(
                f"{path}: model_type is {kind!r:.60}; of the models of transformers, those of "
                "hf_olmo are read here"
            )
        model = {key: value for key, value in values.items() if key not in OF_TRANSFORMERS}
    else:
        model = values.get("model") or {}
    if not isinstance(model, dict) or not model:
        raise CheckpointError(f"{path}: no key model with the architecture")
    if unknown := sorted(str(key) for key in model.keys() - SETTINGS):
        raise CheckpointError(
            f"{path}: the architecture has the key {unknown[0]!r:.100} = "
            f"{model.get(unknown[0])!r:.100}, which the OLMo here does not know: its model would "
            "be another one; it cannot be read"
        )
    return {**model, **WITHOUT_MEANING}


def read_batch_size(path: Path) -> int | None:
    """Sequences of a step, where a configuration says so."""
    value = _config(path).get("global_train_batch_size")
    return value if type(value) is int and value > 0 else None


def read_tokenizer(path: Path) -> dict[str, Any]:
    """What config.yaml or config.json says of the tokenizer, and the sizes of the vocabulary."""
    values = _config(path)
    model = values if path.suffix == ".json" else values.get("model")
    names = ("vocab_size", "embedding_size", "eos_token_id", "pad_token_id")
    sizes = {name: model.get(name) for name in names} if isinstance(model, dict) else {}
    told = values.get("tokenizer")
    return {**sizes, "tokenizer": told.get("identifier") if isinstance(told, dict) else None}


def read_tensors(folder: Path, form: Format) -> dict[str, Tensor]:
    """The weights of a folder by OLMo's names, in the format of the file, mapped from it.

    Raises CheckpointError where a file is damaged or no file of weights, or a weight is there
    twice.
    """
    weights: dict[str, Tensor] = {}
    for name in form.weights:
        path = folder / name
        found = read_weights(path) if path.suffix in (".pt", ".bin") else _safetensors(path)
        if both := sorted(weights.keys() & found.keys()):
            raise CheckpointError(f"{path}: holds {both[0]}, which another file holds, too")
        weights |= found
    return weights


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; the checkpoint is incomplete") from None
    except (SafetensorError, LookupError, ValueError) as error:
        what = what_it_is(path)
        said = f"no safetensors, but {what}" if what else f"damaged or cut off ({error})"
        raise CheckpointError(f"{path}: {said}") from None
    check_tensors(tensors, path)
    return {name: tensors[key] for name, key in plain_names(tensors, path).items()}


def _config(path: Path) -> dict[str, Any]:
    try:
        json = path.suffix == ".json"
        values = read_json(path) if json else read_values(path, LARGEST_CONFIG)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; the checkpoint is incomplete") from None
    except BrokenFileError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: no configuration of OLMo")
    return values
