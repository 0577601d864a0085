"""Checkpoints that others wrote: their names of weights, and folders that hold something else.

Wrappers put a word before or into each name: ``torch.compile`` ``_orig_mod``, DDP ``module``, FSDP
``_fsdp_wrapped_module``, ``hf_olmo`` ``model``. OLMo's own safetensors
(``olmo.safetensors_util``) hold each name as a pickle in base64, which is read without being
executed.
"""

from __future__ import annotations

import base64
import pickletools
from collections.abc import Iterable
from pathlib import Path

from zsl.errors import BrokenFileError, TrainingError
from zsl.files import read_json

WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
"""Modules that stand for the one in them, wherever they are."""
OUTER = {"module", "model"}
"""Names of the module that holds an OLMo model, of which all weights are ``transformer.…``."""
ENCODED = "gAS"
"""How the base64 of a pickle begins."""
HARMLESS = {
    *("PROTO", "FRAME", "MEMOIZE", "BINPUT", "STOP", "MARK", "NEWFALSE"),
    *("BINUNICODE", "SHORT_BINUNICODE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
}
"""Steps of a pickle of ``((name, …), False)``."""
PICKLES = (".pt", ".pth", ".bin", ".ckpt")


def plain_names(names: Iterable[str], path: Path) -> dict[str, str]:
    """The names in a file of weights by OLMo's names of them.

    Raises TrainingError where two weights would have one name, or a name is no such pickle.
    """
    plain: dict[str, str] = {}
    for name in names:
        decoded = _decoded(name, path) if name.startswith(ENCODED) else name
        words = [word for word in decoded.split(".") if word not in WRAPPERS]
        while len(words) > 1 and words[0] in OUTER:
            del words[0]
        known = ".".join(words)
        if known in plain:
            raise TrainingError(
                f"{path}: holds {known} as {plain[known][:100]} and as {name[:100]}; keep one"
            )
        plain[known] = name
    return plain


def _decoded(name: str, path: Path) -> str:
    try:
        steps = list(pickletools.genops(base64.urlsafe_b64decode(name)))
        if not {step.name for step, _, _ in steps} <= HARMLESS:
            raise ValueError("a pickle of something else")
    except ValueError as error:
        raise TrainingError(
            f"{path}: the name {name[:40]}… of a weight is no name that OLMo writes ({error})"
        ) from None
    return ".".join(str(value) for step, value, _ in steps if "UNICODE" in step.name)


def foreign_folder(folder: Path) -> str | None:
    """What a folder without weights or architecture of OLMo is, and what to do; None if unknown."""
    if folder.is_file():
        return "is a file; name the folder that holds config.yaml and model.safetensors"
    if not folder.is_dir():
        return "no such folder; name one that holds config.yaml and model.safetensors"
    own = (folder / "config.yaml").is_file()
    if not own and (kind := _model_type(folder / "config.json")):
        return (
            f"a checkpoint of transformers (model_type {kind!r:.60}), whose weights have other "
            "names; models of OLMo are read: give the folder with config.yaml and "
            "model.safetensors that it was converted from"
        )
    if (folder / "model.safetensors.index.json").is_file():
        return "weights in several files; write them into one model.safetensors"
    if any(folder.glob("*/.metadata")) or any(folder.glob("*/rank*.pt")):
        return (
            "a sharded checkpoint; unshard it with OLMo's scripts/unshard.py --model-only "
            "--safe-tensors"
        )
    if pickles := sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES):
        return (
            f"holds {pickles[0]}, a pickle, which could execute anything and is not read; where "
            "you trust it, write its weights once as model.safetensors: safetensors.torch."
            "save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
        )
    return None


def _model_type(path: Path) -> object:
    try:
        values = read_json(path)
    except (OSError, BrokenFileError):
        return None
    return values.get("model_type") if isinstance(values, dict) else None
