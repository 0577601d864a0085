"""``zsl reproduce``: the same bytes from the recorded inputs, or where they differ."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SEGMENTS = ("00000000-00000016", "00000016-00000032")


def test_bytes_are_those_recorded(stages):
    before = stages.artifacts()
    targets = ["fig03", "table1", "fits/main-small.json"]
    targets += [f"measurements/token_losses/main-small/{SEGMENTS[0]}.h5"]
    targets += [f"training/main-small/{SEGMENTS[1]}.manifest.json", "data/invented/manifest.json"]
    done = stages.zsl("reproduce", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    *made, said = done.stdout.splitlines()
    counts = [line.split(": ")[1].split(" outputs")[0] for line in made]
    assert counts == ["4 of 4", "4 of 4", "1 of 1", "1 of 1", "3 of 3", "3 of 3"], made
    assert said == "Reproduced: all bytes are those recorded."
    assert stages.artifacts() == before


def test_other_code_is_said_and_what_it_changes(project):
    path = project.root / "src/zsl/tables/table1.py"
    text = path.read_text()
    assert 'fixed(2), "L_d"' in text
    path.write_text(text.replace('fixed(2), "L_d"', 'fixed(1), "L_d"'))
    done = project.zsl("reproduce", "table1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "made with other code or settings than recorded: module zsl.tables.table1" in done.stdout
    assert "  tables/table1.md\n    line " in done.stdout


def test_changed_bytes_of_an_input_are_refused(project):
    curve = project.results / "curves/train_loss/main-small.csv"
    curve.write_text(curve.read_text() + "edited\n")
    done = project.zsl("reproduce", "fits/main-small.json")
    assert done.returncode == 1
    assert "its input curves/train_loss/main-small.csv is not the one that was read" in done.stderr


@pytest.mark.parametrize("target", ["fig99", "fits/none.json"])
def test_what_has_no_record_is_an_error(stages, target):
    done = stages.zsl("reproduce", target)
    assert done.returncode == 1
    assert f"target {target}: no record is of it" in done.stderr
