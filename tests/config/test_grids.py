import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsl.config.grids import Layout, Segment, checkpoint_name, doubling_pairs, segments

LAYOUTS = st.tuples(
    st.integers(1, 5000), st.lists(st.integers(0, 5000), max_size=4), st.integers(1, 600)
)


def test_segments_of_a_run_by_hand():
    assert [s.name for s in segments(4096, 2048)] == ["00000000-00002048", "00002048-00004096"]
    assert [(s.start, s.end) for s in segments(10, 2)] == [(0, 2), (2, 4), (4, 8), (8, 10)]
    assert segments(100, 100) == segments(100, 4096) == [Segment(0, 100)]
    assert Segment.parse("00000002-00000004") == Segment(2, 4)
    assert not Segment(2, 4).owns(2) and Segment(2, 4).owns(4) and Segment(0, 2).owns(0)


def test_intervals_by_hand():
    assert doubling_pairs([0, 1, 2, 4, 6, 8]) == [(1, 2), (2, 4), (4, 8)]
    assert checkpoint_name(4096) == "step00004096"


@pytest.mark.parametrize("block", ["checkpoint", "segment"])
@given(layout=LAYOUTS)
def test_segments_and_blocks_cover_every_checkpoint_once(block, layout):
    steps, also, first = layout
    also = [step for step in also if step <= steps]
    run = Layout.of(steps, also, first, block)
    assert run.checkpoints[0] == 0 and run.checkpoints[-1] == steps
    owned = [step for segment in run.segments for step in run.owned(segment)]
    assert tuple(owned) == run.checkpoints
    covered = [step for block in run.blocks.values() for step in block]
    assert tuple(covered) == run.checkpoints
    for name, steps_of_block in run.blocks.items():
        assert {run.segment_of(s) for s in steps_of_block} == {run.segment_of(steps_of_block[0])}
        assert {run.block_of(s) for s in steps_of_block} == {name}
    pairs = [pair for block in run.blocks for pair in run.pairs(block)]
    assert sorted(pairs) == doubling_pairs(list(run.checkpoints))
    chain = [run.previous(segment) for segment in run.segments]
    assert chain == [None, *run.segments[:-1]]


@given(steps=st.integers(1, 3000), first=st.integers(1, 600))
def test_a_longer_run_shares_all_full_segments(steps, first):
    shorter, longer = segments(steps, first), segments(2 * steps, first)
    assert shorter[:-1] == longer[: len(shorter) - 1]
    if steps % first == 0 and (steps // first).bit_count() == 1:
        assert shorter == longer[: len(shorter)]
