"""A checkpoint of ours becomes a folder of transformers: a Llama that computes the same.

``config.json``, ``model.safetensors`` (float32), ``generation_config.json``, a tokenizer where
there is one, and ``README.md``: what it was made from, with digests.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from zsl.checkpoints.errors import CheckpointError
from zsl.data.tokenizer import load_tokenizer
from zsl.data.tokenizer_files import NAME, tokenizer_file
from zsl.errors import TrainingError
from zsl.files import (
    LARGEST_JSON,
    read_json,
    read_limited,
    replacing,
    sha256,
    write_json,
    write_text,
)
from zsl.lineage.store import Record, as_record
from zsl.models.olmo.architecture import load_model
from zsl.models.olmo.as_llama import llama_settings, llama_weights
from zsl.permissions import require_readable

FILES = ("config.yaml", "model.safetensors")
"""What is read of a checkpoint."""
STAGES = ("training", "checkpoints")
"""Folders of results that have segments of checkpoints: trained, and fetched."""


@dataclass(frozen=True)
class Origin:
    """Where a checkpoint is from."""

    name: str
    """Its folder, as a project has it where it lies in one's results."""
    digests: dict[str, str]
    """SHA-256 of its files."""
    record: Record | None
    """The lineage record of its segment."""
    results: Path | None
    """The folder of results that has the record."""


def export(folder: Path, out: Path, tokenizer: Path | None = None) -> str:
    """Write the checkpoint ``folder`` as ``out``, whole or not at all; returns what was written.

    Without ``tokenizer`` that of the run's corpus is taken, where the segment's record names it.
    Raises CheckpointError or TrainingError naming the file where one is not what its digest says,
    where a Llama does not compute the same, or where ``out`` exists.
    """
    if out.exists() or out.is_symlink():
        raise CheckpointError(f"{out}: exists; name a folder that does not, or remove it")
    model = load_model(folder)
    try:
        settings = llama_settings(model.config)
    except TrainingError as error:
        raise CheckpointError(f"{folder / FILES[0]}: {error}") from None
    origin = _origin(folder)
    config, found = model.config, _tokenizer(origin, tokenizer)
    end = None if found is None else _end_token(found, settings["vocab_size"], config.eos_token_id)
    temporary = out.absolute().with_name(f".{out.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    ends = {"eos_token_id": config.eos_token_id, "pad_token_id": config.pad_token_id}
    try:
        temporary.mkdir(parents=True)
        weights = {name: weight.clone() for name, weight in llama_weights(model).items()}
        with replacing(temporary / "model.safetensors") as path:
            save_file(weights, path, {"format": "pt"})
        about = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float32"}
        # A Llama that knows of a padding token would have no gradient of its embedding.
        write_json(
            temporary / "config.json",
            {**about, **settings, **ends, "pad_token_id": None, "bos_token_id": None},
        )
        write_json(temporary / "generation_config.json", ends)
        if found is not None:
            shutil.copyfile(found, temporary / NAME)
            write_json(temporary / "tokenizer_config.json", _tokenizer_settings(settings, end))
        write_text(temporary / "README.md", _card(origin, settings, weights, found))
        temporary.rename(out)
    except PermissionError:
        raise
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{out}: cannot be written ({error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    said = f"with {found}" if found else "without a tokenizer; give one with --tokenizer"
    return f"{out}: LlamaForCausalLM, {_count(weights):,} numbers, {said}"


def _origin(folder: Path) -> Origin:
    """Compare a checkpoint with the digests that were written with it.

    Raises CheckpointError where it has others.
    """
    digests = {name: sha256(folder / name) for name in FILES}
    if (state := folder / "state.json").is_file():
        values = read_json(state)
        declared = values.get("sha256") if isinstance(values, dict) else None
        _compare(folder, digests, declared if isinstance(declared, dict) else {}, state)
    step = folder.resolve()
    segment, run, stage, results = step.parents[:4] if len(step.parents) > 4 else [step] * 4
    path = results / "lineage" / stage.name / run.name / f"{segment.name}.json"
    require_readable(path)
    if stage.name not in STAGES or not path.is_file():
        return Origin(step.name if folder.is_absolute() else folder.as_posix(), digests, None, None)
    inside = f"{stage.name}/{run.name}/{segment.name}"
    try:
        record = as_record(read_limited(path, LARGEST_JSON), f"lineage/{inside}.json")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is no lineage record that can be read: {error}") from None
    files = record.outputs.get(inside, {}).get("files", {})
    own = {name: files.get(f"{step.name}/{name}") for name in FILES}
    _compare(folder, digests, own, path)
    return Origin(f"{record.start}{inside}/{step.name}", digests, record, results)


def _compare(folder: Path, digests: dict[str, str], declared: dict[str, Any], where: Path) -> None:
    for name, digest in digests.items():
        if declared.get(name) != digest:
            raise CheckpointError(
                f"{folder / name}: is not the file that {where} tells of; train the segment again, "
                "or take the folder out of the results if it is not theirs"
            )


def _tokenizer(origin: Origin, given: Path | None) -> Path | None:
    """The file of the tokenizer: the given one, or that of the corpus in the record."""
    if given is not None:
        return given if given.is_file() else tokenizer_file(Path(), str(given))
    if origin.record is None or origin.results is None:
        return None
    for entry in origin.record.inputs:
        inside = origin.record.inside(entry["path"])
        manifest = origin.results / inside
        path = manifest.with_name(NAME)
        if not inside.startswith("data/") or manifest.name != "manifest.json":
            continue
        if not path.is_file():
            return None
        values = read_json(manifest)
        same = sha256(manifest) == entry["sha256"]
        if not same or values.get("tokenizer_sha256") != sha256(path):
            raise CheckpointError(
                f"{path}: is not the tokenizer that the run was trained with; give it as "
                "--tokenizer"
            )
        return path
    return None


def _end_token(path: Path, rows: int, id: int) -> str | None:
    """The token that ends documents.

    Raises CheckpointError where the model has no rows for the tokenizer.
    """
    tokenizer = load_tokenizer(path)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= rows:
        raise CheckpointError(
            f"{path}: has the id {largest:,}, and the model {rows:,} rows; give the tokenizer that "
            "the model was trained with"
        )
    token: str | None = tokenizer.id_to_token(id)
    return token


def _tokenizer_settings(settings: dict[str, Any], end: str | None) -> dict[str, Any]:
    found = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": settings["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
    }
    return found if end is None else {**found, "eos_token": end, "pad_token": end}


def _card(
    origin: Origin, settings: dict[str, Any], weights: dict[str, Any], tokenizer: Path | None
) -> str:
    rows = [(f"`{origin.name}/{name}`", digest) for name, digest in origin.digests.items()]
    if origin.record is not None:
        rows.append((f"`{origin.record.start}{origin.record.path}`", origin.record.sha256))
    if tokenizer is not None:
        rows.append((f"`{NAME}`", sha256(tokenizer)))
    table = "\n".join(f"| {name} | `{digest}` |" for name, digest in rows)
    layers, width = settings["num_hidden_layers"], settings["hidden_size"]
    record = (
        "The third file is the lineage record of its training."
        if origin.record
        else ("There is no lineage record of its training.")
    )
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---

# {Path(origin.name).name}

A language model of {layers} layers, width {width} and {settings["vocab_size"]:,} rows of tokens,
for at most {settings["max_position_embeddings"]:,} positions: {_count(weights):,} numbers in
float32. It was trained as an OLMo and is written as a Llama that computes the same; norms that had
no weights have weights of 1.

| made from | SHA-256 |
| --- | --- |
{table}

{record}

```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
```
"""


def _count(weights: dict[str, Any]) -> int:
    return sum(weight.numel() for weight in weights.values())
