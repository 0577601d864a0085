import subprocess
import sys
from pathlib import Path

import pytest

from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import (
    DECLARATIONS,
    LEFT_OUT,
    ROOT,
    fingerprint,
    modules_of,
)

SCRIPT = "workflow/scripts/fit.py"
FILES = {
    SCRIPT: "from zsl.fits.bnsl import fit\n\nfit(1)\n",
    "src/zsl/__init__.py": '"""The package."""\n__version__ = "1"\n',
    "src/zsl/fits/__init__.py": "ORDER = 1\n",
    "src/zsl/fits/bnsl.py": (
        '"""Fits."""\n\nfrom . import losses\n\n\ndef fit(x):\n    """A fit."""\n'
        "    from zsl.late import LATE\n\n    return losses.huber(x) + 2 * LATE  # Eq. 1\n"
    ),
    "src/zsl/fits/losses.py": "def huber(x):\n    return abs(x)\n",
    "src/zsl/late.py": "import zsl.deep.er as er\n\nLATE = er.VALUE\n",
    "src/zsl/deep/__init__.py": "HERE = 0\n",
    "src/zsl/deep/er.py": "VALUE = 3\n",
    "src/zsl/unrelated.py": "VALUE = 1\n",
    "src/zsl/figures/__init__.py": "",
    "src/zsl/figures/fig05.py": "COLOUR = 1\n",
    "src/zsl/tables/paper/table1.csv": "L_d\n4.0\n",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("src/zsl/fits/bnsl.py", '"""Fits."""', '"""Other words,\n\nmore of them."""\n# why'),
        ("src/zsl/fits/bnsl.py", '    """A fit."""\n', ""),
        ("src/zsl/fits/bnsl.py", "  # Eq. 1", ""),
        ("src/zsl/fits/bnsl.py", "2 * LATE", "(\n        2*LATE\n    )"),
        ("src/zsl/fits/losses.py", "def huber", '"""Now described."""\n\n\ndef huber'),
        ("src/zsl/__init__.py", '"1"', '"2"'),
        ("src/zsl/unrelated.py", "1", "2"),
        (SCRIPT, "fit(1)", "# a comment\nfit(1)"),
    ],
)
def test_words_layout_and_unrelated_modules_do_not_count(root, name, old, new):
    before = fingerprint(SCRIPT, root=root)
    edit(root, name, old, new)
    assert fingerprint(SCRIPT, root=root) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (SCRIPT, "fit(1)", "fit(2)"),
        (SCRIPT, "fit(1)", "fit(1.0)"),
        (SCRIPT, "fit(1)", "fit(True)"),
        (SCRIPT, "fit(1)", "fit('1')"),
        (SCRIPT, "fit(1)", "fit2(1)"),
        (SCRIPT, "fit(1)", "fit(1) or 'text'"),
        ("src/zsl/fits/bnsl.py", "2 * LATE", "3 * LATE"),
        ("src/zsl/fits/bnsl.py", "2 * LATE", "2 / LATE"),
        ("src/zsl/fits/losses.py", "abs(x)", "x * x"),  # from . import losses
        ("src/zsl/fits/__init__.py", "1", "2"),  # executed by importing zsl.fits.bnsl
        ("src/zsl/late.py", "er.VALUE", "er.VALUE + 1"),  # imported inside a function
        ("src/zsl/deep/er.py", "3", "4"),  # import zsl.deep.er as er
        ("src/zsl/deep/__init__.py", "0", "1"),
    ],
)
def test_meaning_of_reached_code_counts(root, name, old, new):
    before = fingerprint(SCRIPT, root=root)
    edit(root, name, old, new)
    assert fingerprint(SCRIPT, root=root) != before


def test_modules_are_named(root):
    assert list(modules_of(SCRIPT, root=root)) == [
        SCRIPT,
        "zsl",
        "zsl.deep",
        "zsl.deep.er",
        "zsl.fits",
        "zsl.fits.bnsl",
        "zsl.fits.losses",
        "zsl.late",
    ]


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_left_out_modules_neither_count_nor_lead_on(root, name):
    path = root / "src" / f"{name.replace('.', '/')}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("import zsl.unrelated\n\nVALUE = 1\n")
    edit(root, SCRIPT, "fit(1)", f"import {name}\nfit(1)")
    before = fingerprint(SCRIPT, root=root)
    edit(root, str(path.relative_to(root)), "VALUE = 1", "VALUE = 2")
    edit(root, "src/zsl/unrelated.py", "1", "2")
    assert fingerprint(SCRIPT, root=root) == before


@pytest.mark.parametrize("name", sorted(DECLARATIONS))
def test_of_declarations_only_methods_count(root, name):
    path = root / "src" / f"{name.replace('.', '/')}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "class Run:\n    steps: int = 1\n\n    @property\n    def rows(self):\n        return 5\n\n"
        "    @model_validator(mode='after')\n    def _checked(self):\n        return self\n"
    )
    edit(root, SCRIPT, "fit(1)", f"from {name} import Run\nfit(1)")
    before = fingerprint(SCRIPT, root=root)
    edit(root, str(path.relative_to(root)), "int = 1", "int = 2")
    edit(root, str(path.relative_to(root)), "        return self", "        return None")
    assert fingerprint(SCRIPT, root=root) == before
    edit(root, str(path.relative_to(root)), "return 5", "return 6")
    assert fingerprint(SCRIPT, root=root) != before


def test_training_counts_the_optimizer_it_has():
    for name, other in (("adamw", "muon"), ("muon", "ademamix")):
        for script in ("workflow/scripts/train.py", "workflow/scripts/measure.py"):
            counted = modules_of(script, [f"zsl.optimizers.{name}"])
            assert f"zsl.optimizers.{name}" in counted
            assert f"zsl.optimizers.{other}" not in counted
            assert ("zsl.optimizers.rule" in counted) == (name == "muon")


def test_excluded_names_exist():
    for name in [*LEFT_OUT, *DECLARATIONS]:
        path = ROOT / "src" / name.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name


def test_named_modules_and_files_count(root):
    def both():
        named = {"modules": ["zsl.figures.fig05"], "files": ["src/zsl/tables/paper/table1.csv"]}
        return fingerprint(SCRIPT, root=root), fingerprint(SCRIPT, **named, root=root)

    plain, first = both()
    edit(root, "src/zsl/figures/fig05.py", "1", "2")
    same, second = both()
    edit(root, "src/zsl/tables/paper/table1.csv", "4.0", "4.1")
    also_same, third = both()
    assert plain == same == also_same
    assert len({plain, first, second, third}) == 4


def test_a_module_beside_the_script_counts(root):
    edit(root, SCRIPT, "fit(1)", "import shared\nfit(1)")
    (root / "workflow/scripts/shared.py").write_text("VALUE = 1\n")
    before = fingerprint(SCRIPT, root=root)
    edit(root, "workflow/scripts/shared.py", "1", "2")
    assert fingerprint(SCRIPT, root=root) != before


def test_imports_by_name_and_for_type_checking(root):
    edit(root, SCRIPT, "fit(1)", "importlib.import_module('zsl.figures.fig05')\nfit(1)")
    assert "zsl.figures.fig05" in modules_of(SCRIPT, root=root)
    edit(root, SCRIPT, "fit(1)", "if TYPE_CHECKING:\n    import zsl.unrelated\nfit(1)")
    assert "zsl.unrelated" not in modules_of(SCRIPT, root=root)
    edit(root, SCRIPT, "if TYPE_CHECKING", "if not TYPE_CHECKING")
    assert "zsl.unrelated" in modules_of(SCRIPT, root=root)


def test_what_is_missing_or_broken_is_named(root):
    with pytest.raises(LineageError, match=r"no script workflow/scripts/gone\.py"):
        fingerprint("workflow/scripts/gone.py", root=root)
    with pytest.raises(LineageError, match=r"no module zsl\.figures\.fig99"):
        fingerprint(SCRIPT, modules=["zsl.figures.fig99"], root=root)
    with pytest.raises(LineageError, match=r"no file src/gone\.csv"):
        fingerprint(SCRIPT, files=["src/gone.csv"], root=root)
    edit(root, "src/zsl/deep/er.py", "VALUE = 3", "VALUE =")
    with pytest.raises(LineageError, match=r"er\.py:1"):
        fingerprint(SCRIPT, root=root)


def test_nothing_heavy_is_imported():
    code = (
        "import sys; from zsl.lineage.fingerprint import fingerprint;"
        "from zsl.lineage.pins import pins; import zsl.lineage.record;"
        "fingerprint('src/zsl/study.py', modules=['zsl.training', 'zsl.measurements']);"
        "print([m for m in ('torch', 'numpy', 'pandas', 'h5py', 'olmo') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.stdout.strip() == "[]"
