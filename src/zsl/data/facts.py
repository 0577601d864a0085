"""What a corpus looks like, on one screen, and where that is implausible.

A corpus that is not what it seems trains as well as any other. What is measured here costs one
count of the ids that are written anyway, and shows the usual mistakes: another number format or
tokenizer, padding, characters that the tokenizer drops, evaluation text that is nearly all of the
text. What is implausible stands in :mod:`zsl.data.limits`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, decoders

from zsl.config.schema import Corpus, Fact
from zsl.data.limits import LIMITS
from zsl.data.manifest import Facts, Frequent, SourceReport, SplitFacts
from zsl.data.memmaps import Counts
from zsl.data.text import Gathered
from zsl.data.tokenizer import encode, is_end_token, unknown_id
from zsl.errors import DataError, printable

FREQUENT = 10
SAMPLE = 500
"""Documents that are encoded and decoded again, drawn with a fixed seed."""
SAMPLE_CHARACTERS = 2000
"""Characters looked at of each: a million in all, a second."""
SHOWN = 24
"""Characters shown of a token."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """What the facts of a corpus are taken from."""

    train: Counts
    eval: Counts
    documents: int
    """Training documents made from text."""
    text_eos: int
    """EOS among the tokens made from text."""
    gathered: Gathered | None
    """The training text, if there is any."""
    reports: Sequence[SourceReport]
    """Of the training sources."""


def look(name: str, corpus: Corpus, tokenizer: Tokenizer, made: Made) -> Facts:
    """The facts of corpus ``name``, told in the log, with a warning for each implausible one.

    Raises DataError for facts that are beyond what can be meant and are not accepted.
    """
    tokenizer = _readable(tokenizer)
    eos, unknown = corpus.tokenizer.eos_token_id, unknown_id(tokenizer)
    unknown = None if unknown == eos else unknown  # GPT-2's
    splits = [_split(counts, eos, unknown, tokenizer) for counts in (made.train, made.eval)]
    sampled, lost = _lost(made.gathered, tokenizer, unknown)
    values = list(_values(splits, unknown, sampled, lost, made))
    if not is_end_token(tokenizer, eos):
        values.append(("eos_token", 1.0, f"eos_token_id {eos} is {_text(tokenizer, eos)!r}"))
    beyond = [(fact, value, told) for fact, value, told in values if value > LIMITS[fact].warn]
    names = tuple(dict.fromkeys(fact for fact, _, _ in beyond))
    facts = Facts(splits[0], splits[1], sampled, lost, names)
    _log.info("%s", printable(screen(name, facts, tokenizer, eos, made)))
    told: dict[Fact, str] = {}
    stops: list[Fact] = []
    for fact, value, what in sorted(beyond, key=lambda of: of[1]):  # the worst of a fact is said
        if fact not in corpus.accept:
            told[fact] = f"{what}; {LIMITS[fact].reason}"
            stops += [fact] * (value > LIMITS[fact].stop)
    if stops:
        raise DataError(
            f"corpus {name}: {'; '.join(told[fact] for fact in dict.fromkeys(stops))}; if it is as "
            f"it should be, set corpora.{name}.accept: [{', '.join(dict.fromkeys(stops))}]"
        )
    for fact, message in told.items():
        _log.warning("%s", printable(f"corpus {name}: {message} (silenced by accept: [{fact}])"))
    return facts


def _values(
    splits: Sequence[SplitFacts], unknown: int | None, sampled: int, lost: int, made: Made
) -> Iterator[tuple[Fact, float, str]]:
    """Each fact with a limit: its name, its value, and the sentence that says it."""
    # A few batches are what they are, and need be like no corpus: nothing in them stops.
    few = any(report.batches for report in made.reports)
    for fact, value, told in _split_values("training", splits[0], unknown):
        yield fact, min(value, LIMITS[fact].stop) if few else value, told
    yield from _split_values("evaluation", splits[1], unknown)
    if made.text_eos:
        share = 1 - made.documents / made.text_eos
        yield "eos_in_text", share, f"{share:.1%} of the EOS in training text end no document"
    if sampled:
        share = lost / sampled
        yield "lost_share", share, f"{share:.2%} of the characters do not come back from decoding"
    read = sum(report.documents for report in made.reports)
    if read:
        duplicates, overlapping, broken = _left_out(made.reports)
        share = duplicates / read
        yield "duplicate_share", share, f"{share:.1%} of the documents came a second time"
        share = overlapping / max(1, read - duplicates)
        yield (
            "overlap_share",
            share,
            f"{share:.1%} of the documents were left out for a window that they share with the "
            "evaluation text or an excluded task",
        )
        share = broken / (read + broken)
        yield "broken_share", share, f"{share:.1%} of the records are broken"


def _split_values(
    which: str, split: SplitFacts, unknown: int | None
) -> Iterator[tuple[Fact, float, str]]:
    share = split.eos / max(1, split.tokens)
    yield "eos_share", share, f"{share:.1%} of the {which} tokens are EOS"
    length = split.tokens / (split.eos + 1)
    yield "document_length", length, f"{which} documents have {length:,.0f} tokens, the mean"
    known = [of for of in split.frequent if of.id != unknown]
    if known:
        top = known[0]
        share = top.count / split.tokens
        said = f"{share:.1%} of the {which} tokens are {top.text!r} ({top.id})"
        yield "token_share", share, said
    share = split.unknown / max(1, split.tokens)
    yield "unknown_share", share, f"{share:.1%} of the {which} tokens are unknown tokens"


def _left_out(reports: Sequence[SourceReport]) -> tuple[int, int, int]:
    """Documents left out as duplicates, for a window they share, and as broken."""
    duplicates = sum(report.duplicates for report in reports)
    overlapping = sum(report.overlapping for report in reports)
    return duplicates, overlapping, sum(report.broken for report in reports)


def _split(counts: Counts, eos: int, unknown: int | None, tokenizer: Tokenizer) -> SplitFacts:
    others = counts.copy()
    others[eos] = 0
    order = np.argsort(-others, kind="stable")[:FREQUENT]
    return SplitFacts(
        tokens=int(counts.sum()),
        eos=int(counts[eos]),
        unknown=0 if unknown is None else int(counts[unknown]),
        frequent=tuple(
            Frequent(int(id), _text(tokenizer, int(id)), int(others[id]))
            for id in order
            if others[id]
        ),
    )


def _text(tokenizer: Tokenizer, id: int) -> str:
    """What a token stands for, or its name where that is no text."""
    text = tokenizer.decode([id], skip_special_tokens=False)
    if not text or "\ufffd" in text:
        text = tokenizer.id_to_token(id) or "no token"
    return text[:SHOWN]


def _lost(gathered: Gathered | None, tokenizer: Tokenizer, unknown: int | None) -> tuple[int, int]:
    """Characters of a sample of documents, and how many of them decoding does not give back.

    Blanks are left out, which many tokenizers add or merge, and text is taken as the normalizer
    makes it: a lower-case letter is not lost.
    """
    if gathered is None:
        return 0, 0
    numbers = gathered.in_order
    draw = np.random.default_rng(0)
    chosen = np.sort(draw.choice(numbers, min(SAMPLE, len(numbers)), replace=False))
    texts = [text[:SAMPLE_CHARACTERS] for text in gathered.passages.texts(chosen)]
    normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    sampled = lost = 0
    for text, encoding in zip(texts, encode(tokenizer, texts), strict=True):
        before = _characters(normalize(text))
        known = [id for id in encoding.ids if id != unknown]
        sampled += before.total()
        lost += (before - _characters(tokenizer.decode(known, skip_special_tokens=False))).total()
    return sampled, lost


def _readable(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer that decodes to the characters of its tokens and to no more: a file's own decoder
    may be missing, or multiply text."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.encode_special_tokens = True
    byte_level = "ByteLevel" in str(json.loads(tokenizer.to_str())["pre_tokenizer"])
    whole = [decoders.ByteFallback(), decoders.Fuse()]
    copy.decoder = decoders.ByteLevel() if byte_level else decoders.Sequence(whole)
    return copy


def _characters(text: str) -> Counter[str]:
    """Characters of a text, without blanks and the sign that stands for one."""
    return Counter("".join(text.replace("▁", " ").split()))


def screen(name: str, facts: Facts, tokenizer: Tokenizer, eos: int, made: Made) -> str:
    """The facts of a corpus for people."""
    read = sum(report.documents for report in made.reports)
    duplicates, overlapping, broken = _left_out(made.reports)
    empty = sum(report.empty for report in made.reports)
    held_out = sum(report.held_out for report in made.reports)
    lines = [
        f"corpus {name}: EOS is {_text(tokenizer, eos)!r} ({eos})",
        f"  documents   {read:,} read as text, {held_out:,} held out, {made.documents:,} packed",
        f"  left out    {duplicates:,} duplicates, {overlapping:,} for overlap, {broken:,} broken, "
        f"{empty:,} empty",
    ]
    for which, split in (("training", facts.train), ("evaluation", facts.eval)):
        ends, unknown = (n / max(1, split.tokens) for n in (split.eos, split.unknown))
        lines.append(
            f"  {which:<12}{split.tokens:,} tokens, {ends:.2%} EOS, {unknown:.2%} unknown, most "
            "frequent:"
        )
        shown = (f"{of.text!r} {of.count / split.tokens:.1%}" for of in split.frequent)
        lines.append("              " + "  ".join(shown))
    if facts.sampled:
        lines.append(
            f"  characters  {facts.lost:,} of {facts.sampled:,} in a sample did not come back from "
            "decoding"
        )
    return "\n".join(lines)
