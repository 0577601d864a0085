"""The manifest of a corpus: what its token files hold and what they were made from.

It holds no times and no paths of the machine, so that equal data have equal manifests.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, TypeAdapter, ValidationError

from zsl.errors import DataError
from zsl.files import read_json, write_json
from zsl.permissions import require_readable

FORMAT = 1
Split = Literal["train", "eval"]


@dataclass(frozen=True)
class TokenFile:
    """A headerless array of token ids."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
    """File in the tokens folder."""
    tokens: NonNegativeInt
    """Token ids in it."""
    sha256: str
    """Digest of its bytes."""
    origin: str
    """What it was made from or where it was fetched."""


@dataclass(frozen=True)
class SourceFile:
    """A file that was read."""

    origin: str
    """Its address or relative path."""
    size: int
    """Bytes."""
    sha256: str
    """Digest of its bytes."""


@dataclass(frozen=True)
class Share:
    """What a subset takes of one group of shards."""

    group: str
    """Folder that the shards share."""
    shards: int
    """Shards listed, with their repetitions."""
    tokens: int
    """Tokens in them."""
    shards_taken: int
    """Shards read, with their repetitions."""
    tokens_taken: int
    """Tokens in them."""


@dataclass(frozen=True)
class BatchesRead:
    """Which sequences of a list of token files a corpus is made of."""

    order: Literal["olmo", "sample"]
    seed: int
    count: int
    """Batches."""
    batch_size: int
    """Sequences of a batch."""
    sequence_length: int
    """Tokens."""
    files: int
    """Files listed, with their repetitions."""
    sequences: int
    """Sequences of all files, which the order is one of."""
    files_sha256: str
    """Digest of the names and sizes of the files in their order: the order's other premise."""
    bytes: int
    """Bytes that were read of the files."""
    first: int | None = None
    """Number of the first batch, counted from 0; None for a sample."""


@dataclass(frozen=True)
class Eos:
    """What became of an EOS that has another id in the files than in the tokenizer."""

    id: int
    """In the files."""
    became: Literal["exchanged", "kept"]
    """``exchanged`` for the tokenizer's; or ``kept``: the word that has this id there."""


@dataclass(frozen=True)
class SourceReport:
    """What became of one source."""

    use: Split
    """Whether it is a source of training or of evaluation text."""
    kind: str
    """Kind of the source as declared."""
    origin: str
    """The source in one line."""
    files: tuple[SourceFile, ...]
    """Files read; none for a streamed dataset."""
    documents: int = 0
    """Documents read, before any was left out; not counted in memmaps."""
    characters: int = 0
    """Characters of the documents that were kept, held-out ones included."""
    duplicates: int = 0
    """Documents left out because their text had come before."""
    broken: int = 0
    """Records skipped because they could not be read."""
    empty: int = 0
    """Documents skipped because they had no text."""
    held_out: int = 0
    """Documents held out for evaluation."""
    overlapping: int = 0
    """Documents left out because of a window they would have shared with the evaluation or an
    excluded task."""
    shares: tuple[Share, ...] = ()
    """Groups of shards when a subset was read."""
    batches: BatchesRead | None = None
    """Batches of memmaps when only these were read."""
    eos: Eos | None = None
    """EOS of memmaps where it has an id of its own."""


@dataclass(frozen=True)
class Frequent:
    """A token and how often it occurs."""

    id: int
    text: str
    """What it stands for, its first characters."""
    count: int


@dataclass(frozen=True)
class SplitFacts:
    """What the ids of a split say of themselves; files listed twice counted twice."""

    tokens: int
    """Token ids."""
    eos: int
    """Ends of documents among them."""
    unknown: int
    """Unknown tokens among them; 0 where the tokenizer has none."""
    frequent: tuple[Frequent, ...]
    """The most frequent tokens, the first one first."""


@dataclass(frozen=True)
class Facts:
    """What a corpus looks like, measured on its ids and on some of its documents."""

    train: SplitFacts
    eval: SplitFacts
    sampled: int
    """Characters, blanks left out, of documents that were encoded and decoded again."""
    lost: int
    """Those of them that did not come back."""
    implausible: tuple[str, ...]
    """Facts beyond their limits (``zsl.data.facts``), accepted or warned of."""


@dataclass(frozen=True)
class Manifest:
    """A corpus, as training and measurements read it."""

    dtype: Annotated[str, Field(pattern="^uint(16|32)$")]
    """Number format of a token id, ``uint16`` or ``uint32``, little-endian."""
    vocab_size: NonNegativeInt
    """Token ids are below this."""
    eos_token_id: NonNegativeInt
    """Id that ends each document."""
    sequences: NonNegativeInt
    """Sequences of the evaluation set."""
    sequence_length: NonNegativeInt
    """Tokens of an evaluation sequence."""
    train: tuple[TokenFile, ...]
    """Training files in reading order; a file listed twice is read twice (up-sampling)."""
    eval: tuple[TokenFile, ...]
    """Evaluation files."""
    documents: int
    """Training documents made from text."""
    sources: tuple[SourceReport, ...]
    """Sources of training text, then of training memmaps, then of evaluation tokens; each as
    declared."""
    tokenizer_sha256: str
    """Digest of tokenizer.json."""
    declaration: str
    """Digest of the corpus' configuration."""
    facts: Facts | None = None
    """What the corpus looks like; None where it was not looked at."""

    @property
    def train_tokens(self) -> int:
        """Training tokens, files listed twice counted twice."""
        return sum(file.tokens for file in self.train)

    @property
    def eval_tokens(self) -> int:
        """Evaluation tokens."""
        return sum(file.tokens for file in self.eval)


_READER = TypeAdapter(Manifest)
"""Reads one; names of files are checked, so that none leads out of the folder."""


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as JSON, with its totals for people to read; what does not apply is left
    out."""
    totals = {"train_tokens": manifest.train_tokens, "eval_tokens": manifest.eval_tokens}
    write_json(path, {"format": FORMAT, **asdict(manifest, dict_factory=_told), **totals})


def _told(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if value is not None}


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises DataError if it is missing or of another format, ClosedError where
    this user may not read it."""
    require_readable(path)
    try:
        value = read_json(path)
        if value.pop("format") != FORMAT:
            raise DataError(f"{path}: another format than {FORMAT}; make the corpus again")
        totals = (value.pop("train_tokens"), value.pop("eval_tokens"))
        manifest = _READER.validate_python(value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError(f"{path}: not a corpus manifest ({said}); make the corpus again") from error
    if totals != (manifest.train_tokens, manifest.eval_tokens):
        raise DataError(f"{path}: totals disagree with the files listed; make the corpus again")
    return manifest
