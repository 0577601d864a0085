"""What tests of the plan share: a corpus, models to count, and a counter of operations."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from zsl.config.schema import Corpus

aten = torch.ops.aten
IN_PLACE = {aten.addmm_: aten.addmm, aten.baddbmm_: aten.baddbmm}
"""Products that torch's own counter leaves out."""


class Counter(TorchDispatchMode):
    """Adds up the operations of matrix products by torch's own formulas, those under inference
    mode, within backward passes and in place included."""

    flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        packet = func._overloadpacket
        formula = flop_registry.get(IN_PLACE.get(packet, packet))
        if formula is None:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if formula is not None:
            shapes = {key: kwargs[key] for key in kwargs if key not in ("alpha", "beta")}
            self.flops += formula(*args, **shapes, out_val=out)
        return out


@pytest.fixture
def count():
    """A function that counts the operations of what it calls."""

    def counted(call):
        # Attention in its plain form is made of products that can be counted.
        with sdpa_kernel(SDPBackend.MATH), Counter() as counter:
            call()
        return counter.flops

    return counted


@pytest.fixture
def make_corpus():
    """A function that makes a corpus by number and length of evaluation sequences and rows."""

    def make(sequences: int, length: int, rows: int) -> Corpus:
        return Corpus.model_validate(
            {
                "train": [{"kind": "files", "paths": ["text"]}],
                "evaluation": {"sequences": sequences, "sequence_length": length},
                "tokenizer": {"kind": "bpe", "vocab_size": rows},
            }
        )

    return make
