"""What is plausible of a corpus of natural text, code or genomes, with room to spare.

The one place of all thresholds, each with its reason. A fact that is as it should be although it is
beyond its limit is accepted by its name: ``accept`` of the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass

from zsl.config.schema import Fact


@dataclass(frozen=True)
class Limit:
    """How large a value may be."""

    warn: float
    """Above it, the log warns."""
    stop: float
    """Above it, the job stops."""
    reason: str
    """Why that is implausible, and what it may be."""


NEVER = float("inf")
LIMITS: dict[Fact, Limit] = {
    "eos_share": Limit(
        0.2,
        0.4,
        "documents would have fewer than five tokens, or three, EOS included: the other halves of "
        "wider numbers, padding, or another token than EOS",
    ),
    "eos_in_text": Limit(
        0,
        0.5,
        "the end of a document also stands inside of documents: another token is meant",
    ),
    "eos_token": Limit(
        0,
        NEVER,
        "tokenizers mark the end of a document by a token of its own, such as <|endoftext|>; this "
        "one is a piece of text, in which documents would seem to end",
    ),
    "document_length": Limit(
        1e6,
        NEVER,
        "the longest books have a million tokens: documents are not separated, or by another token",
    ),
    "token_share": Limit(
        0.3,
        0.6,
        "the most frequent letter or blank is a fifth of a text, a base a quarter of a genome: "
        "padding, or a file of one number",
    ),
    "unknown_share": Limit(
        0.02,
        0.3,
        "tokenizers of words have 1 % or less on the text they were made for: another language or "
        "alphabet",
    ),
    "lost_share": Limit(
        0.001,
        0.1,
        "the tokenizer has no token for these characters and drops them or makes them unknown: "
        "use one with byte fallback, or a byte-level one made with all 256 bytes",
    ),
    "duplicate_share": Limit(
        0.9,
        NEVER,
        "files of tasks repeat a passage with each question, crawls a page three times, but not "
        "ten: the same files were named several times, or a field that all records share",
    ),
    "overlap_share": Limit(
        0.1,
        0.4,
        "that is a few per cent in most text: what stands in many documents (a licence, unknown "
        "tokens) is in the evaluation text, too",
    ),
    "broken_share": Limit(
        0.01,
        0.2,
        "a few damaged lines are an accident, more are another format or other fields",
    ),
}
"""Of each fact, most of them shares."""
