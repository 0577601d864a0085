import sys

import pytest

from zsl.lineage.errors import LineageError
from zsl.lineage.pins import installed_versions, pins

LOCK = """\
# made by hand
--find-links wheels
ai2_olmo==0.6.0
torch==2.13.0 \\
    --hash=sha256:00
Jinja2[i18n]==3.1 ; python_version > "3"
numpy >= 1
"""


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    return path


def test_pins_are_read_by_normalised_name(lock):
    assert pins("torch", "AI2.Olmo", "jinja2", lock=lock) == {
        "ai2-olmo": "0.6.0",
        "jinja2": "3.1",
        "torch": "2.13.0",
    }


def test_another_pin_changes_only_those_who_name_it(lock):
    before = pins("torch", lock=lock), pins("jinja2", lock=lock)
    lock.write_text(LOCK.replace("2.13.0", "2.14.0"))
    assert pins("torch", lock=lock) != before[0]
    assert pins("jinja2", lock=lock) == before[1]


def test_what_the_lock_lacks_is_named(lock):
    with pytest.raises(LineageError, match=r"requirements\.lock does not pin numpy, scipy"):
        pins("torch", "scipy", "numpy", lock=lock)
    with pytest.raises(LineageError, match=r"no lock"):
        pins("torch", lock=lock.with_name("gone.lock"))
    lock.write_text(LOCK + "Torch==2.12.0\n")
    with pytest.raises(LineageError, match=r"torch to 2\.13\.0 and to 2\.12\.0"):
        pins("torch", lock=lock)


def test_installed_versions_name_local_builds(tmp_path, monkeypatch):
    folder = tmp_path / "Torch-9.9+cpu.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: Torch\nVersion: 9.9+cpu\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    versions = installed_versions()
    assert versions["torch"] == "9.9+cpu"  # the copy that is imported, not one later on the path
    assert "pytest" in versions
    assert list(versions) == sorted(versions)
