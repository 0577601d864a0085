"""``zsl run`` types Snakemake's line so that Snakemake takes each word for what it is."""

import shlex
import subprocess
import sys

import pytest
from snakemake.cli import get_argument_parser

from zsl.errors import ConfigError
from zsl.run import arranged

MAIN = "import sys; from zsl.cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with configuration files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    for name in ("a.yaml", "b.yml", "c.json", "d", "-e.yaml"):
        (tmp_path / name).write_text("{}")


@pytest.mark.parametrize(
    ("typed", "targets", "files", "more"),
    [
        ("", [], [], {}),
        ("fig05 table1", ["fig05", "table1"], [], {}),
        ("--configfile a.yaml all", ["all"], ["a.yaml"], {}),
        ("--configfile a.yaml b.yml fig05 -n", ["fig05"], ["a.yaml", "b.yml"], {"dryrun": True}),
        ("--configfile a.yaml --configfile b.yml all", ["all"], ["a.yaml", "b.yml"], {}),
        ("--configfile=a.yaml b.yml all", ["all"], ["a.yaml", "b.yml"], {}),
        ("--configfiles c.json all", ["all"], ["c.json"], {}),
        ("--configfile d all", ["all"], ["d"], {}),
        ("-n fig05 --configfile a.yaml", ["fig05"], ["a.yaml"], {"dryrun": True}),
        ("fig05 --configfile a.yaml --forcerun figure", ["fig05"], ["a.yaml"], {}),
        ("--configfile a.yaml fig05 --resources gpu=1", ["fig05"], ["a.yaml"], {}),
        ("--resources gpu=1 --configfile a.yaml fig05", ["fig05"], ["a.yaml"], {}),
        ("--resources gpu=1 -- all", ["all"], [], {}),
        ("--configfile a.yaml --cores 3 all", ["all"], ["a.yaml"], {"cores": 3}),
        ("--configfile a.yaml results/x/figures/fig05.svg -c2",
         ["results/x/figures/fig05.svg"], ["a.yaml"], {"cores": 2}),
        ("-j 4 all", ["all"], [], {"cores": None, "jobs": 4}),
        ("--profile slurm all --configfile a.yaml", ["all"], ["a.yaml"],
         {"cores": None, "profile": ["slurm"]}),
        ("-e dryrun all", ["all"], [], {"cores": None}),
        ("--quiet rules -n", [], [], {"dryrun": True}),
    ],
)  # fmt: skip
def test_snakemake_understands_what_was_meant(typed, targets, files, more):
    found = get_argument_parser().parse_args(arranged(shlex.split(typed)))
    assert list(found.targets) == targets
    assert [str(path) for path in found.configfile or []] == files
    assert ("--cores all" in shlex.join(arranged(shlex.split(typed)))) == ("cores" not in more)
    for key, value in more.items():
        assert getattr(found, key) == value, key


def test_a_profile_of_the_environment_says_on_how_many_cores(monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "slurm")
    assert arranged(["all"]) == ["all"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--configfile", "--configfile: no file follows"),
        ("--configfile -n", "--configfile: no file follows"),
        ("--configfile all", "all: no such configuration file"),
        ("--configfile a.yaml n.yaml all", "n.yaml: no such configuration file"),
        ("--configfile tab.yaml all", "tab.yaml: not a YAML file: "),
    ],
)
def test_a_file_that_is_not_there_or_is_none(tmp_path, typed, said):
    """Snakemake says it in a traceback, and of YAML not in which line."""
    (tmp_path / "tab.yaml").write_text("a:\n\tb: 1\n")
    with pytest.raises(ConfigError, match=said):
        arranged(shlex.split(typed))


def zsl(*arguments):
    return subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, check=False
    )


def test_the_line_is_shown_and_the_exit_code_is_snakemakes(tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule made:\n    output: 'made'\n    shell: 'touch made'\n"
        "rule broken:\n    output: 'broken'\n    shell: 'false'\n"
    )
    done = zsl("run", "--configfile", "a.yaml", "made")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == "snakemake --cores all made --configfile a.yaml"
    assert (tmp_path / "made").exists()
    assert zsl("run", "broken", "--quiet", "all").returncode == 1
    assert zsl("run", "--no-such-option").returncode == 2
    rules = zsl("run", "--list-rules")
    assert sorted(rules.stdout.split()) == ["broken", "made"], "nothing else is on this stream"


def test_help_is_of_the_command_itself():
    for option in ("-h", "--help"):
        done = zsl("run", option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: zsl run [TARGET ...] [--configfile FILE ...]")
