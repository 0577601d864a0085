import numpy as np
import pytest

from zsl.data.windows import OverlapFilter, WindowSet, window_hashes


def windows(tokens: list[int], size: int) -> set[tuple[int, ...]]:
    return {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}


def greedy(
    evaluation: list[int], documents: list[list[int]], size: int
) -> tuple[list[bool], list[int]]:
    """The rule, by brute force: a document is left out if the stream would hold a window."""
    forbidden = windows(evaluation, size)
    stream: list[int] = []
    admitted = []
    for document in documents:
        candidate = stream[len(stream) - min(size - 1, len(stream)) :] + document
        admitted.append(not (windows(candidate, size) & forbidden))
        if admitted[-1]:
            stream += document
    return admitted, stream


def drawn(seed: int, vocabulary: int, count: int, longest: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest, count)
    return [[*rng.integers(1, vocabulary, n).tolist(), 0] for n in lengths]


@pytest.mark.parametrize("size", [2, 3, 5, 13])
@pytest.mark.parametrize("seed", range(6))
def test_admits_what_the_rule_admits_however_it_is_batched(size: int, seed: int) -> None:
    # Few ids and short documents, so that many windows cross junctions.
    vocabulary = {2: 12, 3: 5, 5: 3, 13: 2}[size]
    documents = drawn(seed, vocabulary, 300, 8)
    evaluation = [token for document in drawn(seed + 100, vocabulary, 12, 8) for token in document]
    expected, stream = greedy(evaluation, documents, size)
    assert True in expected and False in expected
    for step in (1, 7, 300):
        overlaps = OverlapFilter(np.array(evaluation, np.uint32), size)
        admitted: list[bool] = []
        for low in range(0, len(documents), step):
            some = documents[low : low + step]
            flat = np.array([token for document in some for token in document], np.uint32)
            admitted += overlaps.admit(flat, np.array([len(d) for d in some])).tolist()
        assert admitted == expected
    assert not windows(stream, size) & windows(evaluation, size)


def test_a_window_that_two_documents_make_together_is_kept_out() -> None:
    overlaps = OverlapFilter(np.array([1, 2, 0, 3, 4, 0], np.uint32), 5)
    first = overlaps.admit(np.array([9, 1, 2, 0], np.uint32), np.array([4]))
    second = overlaps.admit(np.array([3, 4, 0, 3, 5, 0], np.uint32), np.array([3, 3]))
    assert first.tolist() == [True]
    assert second.tolist() == [False, True]


def test_equal_windows_have_equal_hashes_and_others_do_not() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, 5000)
    hashes = window_hashes(tokens, 6)
    by_window: dict[tuple[int, ...], int] = {}
    for start, value in enumerate(hashes.tolist()):
        assert by_window.setdefault(tuple(tokens[start : start + 6].tolist()), value) == value
    assert len(set(by_window.values())) == len(by_window) > 1000


def test_members_are_found_at_their_positions() -> None:
    rng = np.random.default_rng(0)
    evaluation = rng.integers(0, 1000, 2000)
    tokens = rng.integers(0, 1000, 100_000)
    tokens[500:513] = evaluation[40:53]
    tokens[32_760:32_773] = evaluation[7:20]  # across the blocks in which hashes are made
    tokens[99_987:] = evaluation[-13:]
    assert WindowSet(evaluation, 13).starts_in(tokens).tolist() == [500, 32_760, 99_987]
    assert WindowSet(evaluation[:12], 13).starts_in(tokens).tolist() == []


@pytest.mark.parametrize("size", [2, 3, 5, 13])
@pytest.mark.parametrize("seed", range(3))
def test_windows_that_are_mostly_unknown_are_no_overlap(size: int, seed: int) -> None:
    vocabulary, unknown = {2: 12, 3: 5, 5: 3, 13: 2}[size], 1
    documents = drawn(seed, vocabulary, 300, 8)
    evaluation = [token for document in drawn(seed + 100, vocabulary, 12, 8) for token in document]

    def told(tokens: list[int]) -> set[tuple[int, ...]]:
        return {window for window in windows(tokens, size) if window.count(unknown) <= size / 2}

    forbidden, stream, expected = told(evaluation), [], []
    for document in documents:
        candidate = stream[len(stream) - min(size - 1, len(stream)) :] + document
        expected.append(not (windows(candidate, size) & forbidden))
        stream += document if expected[-1] else []
    overlaps = OverlapFilter(np.array(evaluation, np.uint32), size, unknown)
    flat = np.array([token for document in documents for token in document], np.uint32)
    admitted = overlaps.admit(flat, np.array([len(document) for document in documents]))
    assert admitted.tolist() == expected


def test_runs_of_one_known_token_are_overlap() -> None:
    rule = np.full(20, 7, np.uint32)
    for unknown, found in ((None, [0, 1]), (5, [0, 1]), (7, [])):
        assert WindowSet(rule, 13, unknown).starts_in(rule[:14]).tolist() == found
    assert WindowSet(rule[:5], 13, 7).starts_in(rule).tolist() == []
