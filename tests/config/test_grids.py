import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsl.config.grids import (
    Layout,
    Segment,
    checkpoint_name,
    doubling_pairs,
    near_doublings,
    powers_of_two,
    segments,
    step_grids,
)
from zsl.config.schema import Checkpoints

LAYOUTS = st.tuples(
    st.integers(1, 5000), st.lists(st.integers(0, 5000), max_size=4), st.integers(1, 600)
)


def test_segments_of_a_run_by_hand():
    assert [s.name for s in segments(4096, 2048)] == ["00000000-00002048", "00002048-00004096"]
    assert [(s.start, s.end) for s in segments(10, 2)] == [(0, 2), (2, 4), (4, 8), (8, 10)]
    assert segments(100, 100) == segments(100, 4096) == [Segment(0, 100)]
    assert Segment.parse("00000002-00000004") == Segment(2, 4)
    assert not Segment(2, 4).owns(2) and Segment(2, 4).owns(4) and Segment(0, 2).owns(0)


def test_grids_of_fig_15_by_hand():
    grids = step_grids(4096, decades=True, every=1000)
    ones, tens = [*range(1, 11)], [*range(20, 101, 10)]
    assert grids["decades"] == (*ones, *tens, *range(200, 1001, 100), 2000, 3000, 4000)
    assert grids["every"] == (0, 1000, 2000, 3000, 4000)
    assert step_grids(4096, decades=False, every=None) == {}
    run = Layout.of(60, Checkpoints(decades=True), "checkpoint")
    assert run.measured == (0, 1, 2, 4, 8, 16, 32, 60)
    assert run.pairs("decades")[8:] == [(9, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60)]
    assert (10, 20) not in [pair for block in run.delta_blocks() for pair in run.pairs(block)]


def test_files_of_losses_are_of_segments_and_of_other_measurements_as_asked_by_hand():
    kept = Checkpoints(every=3, first_segment=8)
    for block in ("checkpoint", "segment"):
        run = Layout.of(12, kept, block)
        assert run.blocks == {
            "00000000-00000008": (0, 1, 2, 3, 4, 6, 8),
            "00000008-00000012": (9, 12),
        }
        assert run.delta_blocks() == ["00000000-00000008"]
    assert run.measured_blocks == {
        "00000000-00000008": (0, 1, 2, 4, 8),
        "00000008-00000012": (12,),
    }
    run = Layout.of(12, kept, "checkpoint")
    assert run.measured_blocks == {checkpoint_name(s): (s,) for s in (0, 1, 2, 4, 8, 12)}
    assert run.segment_of_block("step00000008") == run.segment_of_block("00000000-00000008")


def test_intervals_by_hand():
    assert doubling_pairs([0, 1, 2, 4, 6, 8]) == [(1, 2), (2, 4), (4, 8)]
    assert checkpoint_name(4096) == "step00004096"


@pytest.mark.parametrize("block", ["checkpoint", "segment"])
@given(layout=LAYOUTS, decades=st.booleans(), every=st.none() | st.integers(1, 500))
def test_segments_and_blocks_cover_every_checkpoint_once(block, layout, decades, every):
    steps, also, first = layout
    also = [step for step in also if step <= steps]
    kept = Checkpoints(also=also, first_segment=first, decades=decades, every=every)
    run = Layout.of(steps, kept, block)
    assert run.checkpoints[0] == 0 and run.checkpoints[-1] == steps
    owned = [step for segment in run.segments for step in run.owned(segment)]
    assert tuple(owned) == run.checkpoints
    covered = [step for block in run.blocks.values() for step in block]
    assert tuple(covered) == run.checkpoints
    for name, steps_of_block in [*run.blocks.items(), *run.measured_blocks.items()]:
        assert {run.segment_of(s) for s in steps_of_block} == {run.segment_of_block(name)}
    assert {run.segment_of(step).name for step in run.checkpoints} == {*run.blocks}
    pairs = [pair for block in run.delta_blocks() for pair in run.pairs(block)]
    assert sorted(pairs) == doubling_pairs(list(run.measured))
    covered = [step for block in run.measured_blocks.values() for step in block]
    assert tuple(covered) == run.measured
    chain = [run.previous(segment) for segment in run.segments]
    assert chain == [None, *run.segments[:-1]]


def test_segments_of_a_run_that_was_shorter_by_hand():
    ends = [3000, 4096, 6000, 8000]
    assert segments(3000, 4096) == [Segment(0, 3000)]
    assert [s.end for s in segments(6000, 4096, [3000])] == ends[:3]
    assert [s.end for s in segments(8000, 4096, [6000, 3000])] == ends
    assert segments(8192, 4096, [4096]) == segments(8192, 4096)


@given(
    layout=LAYOUTS,
    longer=st.lists(st.integers(1, 5000), min_size=1, max_size=3),
    decades=st.booleans(),
    every=st.none() | st.integers(1, 500),
)
def test_a_run_made_longer_shares_all_that_it_had(layout, longer, decades, every):
    """Again and again: segments, their checkpoints, and the files of measurements."""
    steps, also, first = layout
    also = [step for step in also if step <= steps]

    def run(ends):
        kept = Checkpoints(
            also=also, first_segment=first, decades=decades, every=every, extended_from=ends[:-1]
        )
        return Layout.of(ends[-1], kept, "segment")

    ends = [steps]
    for more in longer:
        before = run(ends)
        ends.append(ends[-1] + more)
        after = run(ends)
        assert after.segments[: len(before.segments)] == before.segments
        assert after.segments[-1].end == ends[-1]
        for segment in before.segments:
            assert after.owned(segment) == before.owned(segment)
            assert after.blocks[segment.name] == before.blocks[segment.name]
            assert after.measured_blocks.get(segment.name) == before.measured_blocks.get(
                segment.name
            )


@given(steps=st.integers(1, 3000), first=st.integers(1, 600))
def test_a_longer_run_shares_all_full_segments(steps, first):
    shorter, longer = segments(steps, first), segments(2 * steps, first)
    assert shorter[:-1] == longer[: len(shorter) - 1]
    if steps % first == 0 and (steps // first).bit_count() == 1:
        assert shorter == longer[: len(shorter)]


def test_intervals_of_others_end_near_twice_their_start():
    pythia = [0, *powers_of_two(512), 1000, 2000, 3000, 4000, 6000]
    pairs = near_doublings(pythia)
    assert pairs[:9] == [(1 << i, 2 << i) for i in range(9)]
    assert pairs[9:] == [(512, 1000), (1000, 2000), (2000, 4000), (3000, 6000)]
    assert near_doublings([10, 18, 22, 30]) == []


@given(steps=st.sets(st.integers(0, 1000), min_size=2))
def test_where_there_are_doublings_they_are_the_intervals(steps):
    near = dict(near_doublings(sorted(steps)))
    assert all(near[t] == end for t, end in doubling_pairs(sorted(steps)))
    assert all(1.9 * t <= end <= 2.1 * t for t, end in near.items())


def test_each_checkpoint_of_others_is_a_segment_and_a_file():
    layout = Layout.of_others([0, 1, 2, 4, 1000])
    assert [part.name for part in layout.segments] == [*layout.blocks]
    assert [*layout.blocks.values()] == [(0, 1), (2,), (4,), (1000,)]
    assert layout.following(0) == 1 and layout.following(4) == 1000
    assert layout.following(1000) is None
    assert layout.delta_blocks() == ["00000001-00000002", "00000002-00000004"]
