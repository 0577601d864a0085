import random
from pathlib import Path

import numpy as np

from zsl.data.passages import Passages, PassageWriter, grouped


def spooled(folder: Path, texts: list[str], seed: int = 0) -> Passages:
    with PassageWriter(folder / "passages.bin", seed) as writer:
        for text in texts:
            writer.add(text)
        return writer.passages()


def test_texts_come_back_by_number(tmp_path: Path) -> None:
    texts = ["zwölf", "", "a\nb", "𝔸", "last"]
    passages = spooled(tmp_path, texts)
    assert list(passages.texts(np.array([3, 0, 1, 4]))) == ["𝔸", "zwölf", "", "last"]
    assert passages.characters.tolist() == [5, 0, 3, 1, 4]


def test_of_equal_texts_the_first_is_kept(tmp_path: Path) -> None:
    draw = random.Random(1)
    texts = [str(draw.randrange(200)) for _ in range(1000)]
    kept = np.sort(spooled(tmp_path, texts).by_digest(distinct=True))
    first = {text: n for n, text in reversed(list(enumerate(texts)))}
    assert kept.tolist() == sorted(first.values())
    assert len(spooled(tmp_path, texts).by_digest(distinct=False)) == 1000


def test_the_order_of_digests_depends_on_text_and_seed_only(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(100)]

    def order(some: list[str], seed: int) -> list[str]:
        passages = spooled(tmp_path, some, seed)
        return list(passages.texts(passages.by_digest(distinct=True)))

    assert order(texts, 0) == order(texts[::-1] + texts[:7], 0)
    assert order(texts, 0) != order(texts, 1)
    assert order(texts, 0) != texts


def test_batches_hold_all_texts_in_order(tmp_path: Path) -> None:
    texts = ["x" * n for n in (3, 50, 2, 2, 2, 100)]
    batches = list(spooled(tmp_path, texts).batches(np.arange(6), 10))
    assert [text for batch in batches for text in batch] == texts
    assert len(batches) == 2


def test_groups_are_brought_together_over_the_whole_source(tmp_path: Path) -> None:
    pairs = [("A", "1"), ("A", "1"), ("B", "9"), ("A", "2"), ("C", ""), ("B", "9"), ("A", "1")]
    assert list(grouped(pairs, tmp_path)) == ["A\n1\n2", "B\n9", "C"]
    assert list(grouped([], tmp_path)) == []


def test_grouping_equals_a_dictionary(tmp_path: Path) -> None:
    draw = random.Random(2)
    pairs = [(f"v{draw.randrange(40)}", f"t{draw.randrange(30)}") for _ in range(2000)]
    groups: dict[str, dict[str, None]] = {}
    for value, text in pairs:
        groups.setdefault(value, {})[text] = None
    assert list(grouped(pairs, tmp_path)) == ["\n".join([v, *t]) for v, t in groups.items()]
