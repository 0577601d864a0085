"""``zsl reproduce`` as it is typed: which names it takes, and when it does not end with success."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zsl.cli import main

SEGMENTS = ("00000000-00000016", "00000016-00000032")


@pytest.fixture
def reproduce(made, monkeypatch, capsys):
    """Type the command in a project; its exit code and what it printed."""

    def run(*targets, project=made):
        monkeypatch.chdir(project.root)
        monkeypatch.setenv("PYTHONPATH", str(project.root / "src"))
        try:
            code = main(["reproduce", *map(str, targets), "--configfile", str(project.config)])
        except SystemExit as left:
            code = left.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_names_are_those_that_lineage_takes(made, reproduce):
    names = ["./results/tiny/fits/main-small.json", made.results / "fits/main-small.json"]
    names += ["main-small", f"training/main-small/{SEGMENTS[1]}/step00000032/config.yaml"]
    code, out, err = reproduce(*names, "compare")
    assert code == 0, out + err
    first = [line.split(":")[0] for line in out.splitlines()]
    last_segment = f"training/main-small/{SEGMENTS[1]}"
    assert first == ["fits/main-small", last_segment, "compare/compare", "Reproduced"]


@pytest.mark.parametrize("name", ["root.html", "records.sha256"])
def test_the_report_page_is_refused(reproduce, name):
    target = f"results/tiny/provenance/{name}"
    code, out, err = reproduce(target)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: target {target}: the report's page is made from the records")


def test_another_raw_text_is_no_recorded_input(changed, reproduce):
    text = changed.root / "text/1.txt"
    text.write_text(text.read_text() + " more")
    code, out, err = reproduce("data/invented/manifest.json", project=changed)
    assert (code, out) == (1, "")
    said = "data/invented/manifest: its raw input text/1.txt is not the one that was read: "
    assert err.startswith(f"Error: {said}its bytes are ")


def test_what_is_not_as_recorded_in_the_results_is_said_and_is_no_success(changed, reproduce):
    figures = changed.results / "figures"
    (figures / "fig03.csv").write_text((figures / "fig03.csv").read_text() + "edited\n")
    (figures / "fig03.pdf").unlink()
    table = changed.results / "tables/table1.md"
    table.write_text(table.read_text() + "edited\n")
    changed.replace("src/zsl/tables/table1.py", 'fixed(2), "L_d"', 'fixed(1), "L_d"')
    code, out, err = reproduce("fig03", "table1", project=changed)
    assert (code, err) == (1, "")
    assert out.startswith("figures/fig03: 4 of 4 outputs have the recorded bytes (")
    lines = out.splitlines()
    assert sorted(lines[1:3]) == [
        "  figures/fig03.csv in the results has other bytes than recorded",
        "  figures/fig03.pdf in the results is missing",
    ]
    assert "  tables/table1.md in the results has other bytes than recorded" in lines
    said = lines[lines.index("  tables/table1.md") + 1]
    assert said == "    the recorded bytes are not here, so where they differ cannot be told"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_no_process_and_no_scratch_folder(made, tmp_path, number, code):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = "import sys; from zsl.cli import main; sys.exit(main())"
    target = f"training/main-small/{SEGMENTS[0]}.manifest.json"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "reproduce", target, "--configfile", str(made.config)],
        cwd=made.root,
        env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(made.root / "src")},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any(scratch.glob("zsl-reproduce-*/**/logs/training/main-small/*.log")):
        assert process.poll() is None
        time.sleep(0.1)
    assert working_in(scratch)
    process.send_signal(number)
    _, err = process.communicate()
    assert (process.returncode, err) == (code, "Interrupted.\n" if code == 130 else "")
    assert list(scratch.iterdir()) == []
    assert not working_in(scratch)


def working_in(folder):
    """Processes whose working directory is below a folder, or was."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            there = (process / "cwd").readlink()
        except OSError:
            continue
        found += [process.name] if there.is_relative_to(folder) else []
    return found
