"""Roots that are held elsewhere, in every form that they are printed or written in."""

from __future__ import annotations

import pytest

from zsl.audit.roots import Held, differences, read_held
from zsl.errors import ZslError
from zsl.lineage.root import listing, root_of

DIGESTS = {"fits/a.json": "a" * 64, "fits/b.json": "b" * 64}
ROOT = root_of(DIGESTS)
LINES = listing(DIGESTS).splitlines()


@pytest.mark.parametrize("end", ["", "\n", "  -", "  -\n", "\r\n"])
@pytest.mark.parametrize("root", [ROOT, ROOT.upper()])
def test_the_root_alone_in_a_file(tmp_path, root, end):
    path = tmp_path / "root.txt"
    path.write_text(f"{root}{end}")
    assert read_held(str(path)) == Held(ROOT, "the root in root.txt")


def test_the_list(tmp_path):
    path = tmp_path / "a.sha256"
    path.write_text(listing(DIGESTS))
    assert read_held(str(path)) == Held(ROOT, "the digests in a.sha256", DIGESTS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\r\n".join([*LINES, ""]),
        "\n".join(LINES),
        "\n".join([*LINES[::-1], ""]),
        "\n".join([f"{'c' * 64}  fits/a.json", *LINES, ""]),
        f"{'c' * 64}  -\n{'d' * 64}  -\n",
    ],
    ids=[
        "empty",
        "a blank line",
        "CRLF",
        "no end",
        "sorted otherwise",
        "a name twice",
        "two roots",
    ],
)
def test_a_list_that_was_edited(tmp_path, text):
    """Its root would not be the SHA-256 of its bytes, which is what was published or signed."""
    path = tmp_path / "a.sha256"
    path.write_bytes(text.encode())
    with pytest.raises(ZslError, match=r"no file of `zsl root --out FILE`|no line of sha256sum"):
        read_held(str(path))


def test_all_differences_are_counted(typed, tmp_path):
    path = tmp_path / "other.sha256"
    path.write_text(listing(DIGESTS))
    code, out, _ = typed("audit", "--root", path)
    n = len(differences(read_held(str(path)), DIGESTS | {"c": "c" * 64}))
    assert (code, n) == (1, 2)
    lines = out.split("\nroot ")[1].split("\n\n")[0].splitlines()[1:]
    assert len(lines) == 41
    assert lines[-1].startswith("  and ")
    assert lines[-1].endswith(" more (--json lists all)")


@pytest.mark.parametrize("out", [".", "none.txt/a", "lineage"])
def test_a_root_that_cannot_be_written(tree, typed, out):
    (tree / "none.txt").write_text("")
    code, _, err = typed("root", "--out", tree / out)
    assert code == 1
    assert err.startswith(f"Error: --out {tree / out}: ")
