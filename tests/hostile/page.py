"""The numbers of docs/hostile.md, counted from the table: ``python tests/hostile/page.py``."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "helpers")]

PAGE = HERE.parents[1] / "docs" / "hostile.md"
ROW = re.compile(r"^\| (?P<kind>[^|]+) \| (?P<tried>[^|]*) \| \d* \| \d* \|$", re.MULTILINE)


def filled(text: str) -> str:
    """The page with the numbers of rows as they are now, all rows under ``all``."""
    from attacks.judged import table

    held = table().values()
    rows = Counter(made.kind for made in held)
    taken = Counter(made.kind for made in held if made.says is None)
    kinds = {match["kind"] for match in ROW.finditer(text)}
    assert kinds == {*rows, "all"}, f"not described: {sorted({*rows} ^ (kinds - {'all'}))}"
    for numbers in (rows, taken):
        numbers["all"] = numbers.total()
    return ROW.sub(
        lambda row: (
            f"| {row['kind']} | {row['tried']} | {rows[row['kind']]} | {taken[row['kind']]} |"
        ),
        text,
    )


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
