"""Every row of the table: one message or no harm, and nothing written, executed or exhausted."""

from __future__ import annotations

import pytest
from attacks.judged import table

from zsl.errors import printable

TABLE = table()
MEMORY = 600 << 20
"""Bytes that a row may take beyond what the imported library takes."""
MESSAGE = 8000
"""Characters of the longest message."""


@pytest.mark.parametrize("id", TABLE)
def test_row(make, id):
    found, says = make(id), TABLE[id].says
    assert "fault" not in found, found["fault"]
    assert found["bytes"] < MEMORY
    outside = [path for path in found["changed"] if not path.startswith("project/results")]
    if says is None:
        assert found["refused"] is None
        assert outside == []
        return
    assert found["refused"] is not None, "the input was taken"
    assert says in found["refused"]
    assert "Traceback" not in found["refused"] and len(found["refused"]) < MESSAGE
    assert printable(found["refused"]) == found["refused"]
    assert found["changed"] == []
