"""What was meant by a name that there is none of."""

from pathlib import Path

import pytest

from zsl.config.load import load
from zsl.registry import available
from zsl.registry.names import meant, unknown_targets

ROOT = Path(__file__).parents[2]
KNOWN = ["all", "main", "fig01", "fig05", "fig15", "table1", "table1_common", "sensitivity"]
RUNS = ["main-small", "main-44k", "main-14M", "cosine-14M"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        *((form, "fig05") for form in ("fig5", "figure05", "figure5", "Fig05", "fig.5", "Fig. 5")),
        *((form, "fig05") for form in ("figure 5", "FIG_5", "fig-5", "f5", "fig05.svg", "fgi05")),
        *((form, "table1") for form in ("tab1", "Table 1", "table01", "tab.1", "t1", "tabel1")),
        ("fig15.pdf", "fig15"),
        ("Table 1 common", "table1_common"),
        ("table1_comon", "table1_common"),
        ("sensitivty", "sensitivity"),
        ("ALL", "all"),
        ("mian", "main"),
        ("main-smal", "main-small"),
        ("main-14m", "main-14M"),
        ("main-45k", "main-44k"),
        ("cosin-14M", "cosine-14M"),
        ("fig50", None),
        ("fig2", None),
        ("table5", None),
        ("nothing like it", None),
        ("", None),
        ("…", None),
    ],
)
def test_the_name_that_was_meant(written, name):
    assert meant(written, [*KNOWN, *RUNS]) == name


@pytest.mark.parametrize("name", ["published", "config"])
def test_every_name_is_its_own(name):
    names = [target.id for target in available(load([ROOT / f"config/{name}.yaml"]))]
    assert [meant(each, names) for each in names] == names


def test_targets_that_are_none(monkeypatch):
    monkeypatch.delenv("ZSL_PUBLISHED_DIR", raising=False)
    monkeypatch.chdir(ROOT)
    published = load(["config/published.yaml"])
    known = {"all", "compare", *(target.id for target in available(published))}
    fine = ["fig02", "all", "results/published/figures/fig2.svg", "README.md"]
    assert unknown_targets(fine, known, published) == []
    lines = unknown_targets(["fig2", "fig5", "fig17", "mein", "fig99"], known, published)
    cannot = "cannot be made of the runs of published; `zsl targets` lists what can"
    assert lines[0].startswith("target fig2: there is none; did you mean fig02? `zsl targets`")
    assert lines[1].startswith(f"target fig5: fig05 {cannot}")
    assert lines[2].startswith(f"target fig17: fig17 {cannot}")
    assert lines[3:] == [
        f"target {name}: there is none; `zsl targets` lists figures and tables, besides all and "
        "main"
        for name in ("mein", "fig99")
    ]
