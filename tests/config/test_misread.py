"""What YAML reads as something else than whoever wrote it meant; reported for PyYAML all over."""

import re

import pytest
import yaml

from zsl.config.load import load, read_yaml
from zsl.errors import ConfigError

SMALL = """\
experiment: small
corpora:
  text:
    train: [{kind: files, paths: [text.txt]}]
    evaluation: {sequences: 4, sequence_length: 16}
    tokenizer: {kind: bpe, vocab_size: 300}
suites:
  main:
    defaults: &defaults
      corpus: text
      model: {d_model: 8, n_layers: 1, n_heads: 2}
      sequence_length: 16
      batch_size: 4
      steps: 200
      optimizer: {learning_rate: 0.01}
      schedule: {warmup_steps: 4}
    runs:
      14M: {}
measurements: {token_gradients: {sequences: 2}, cross_section: {sequences: 2}}
tables: {table2_steps: [4, 32]}
"""
STEPS, RUN = SMALL.splitlines().index("      steps: 200") + 1, 18


@pytest.fixture
def read(tmp_path):
    """Read the small configuration with one part replaced; its run."""

    def run(old="", new=""):
        assert old in SMALL
        (tmp_path / "c.yaml").write_bytes(SMALL.replace(old, new, 1).encode())
        return next(iter(load([tmp_path / "c.yaml"]).runs.items()))

    return run


@pytest.mark.parametrize("name", ["14e6", "1M", "14.5M", "y", "n", "1e5", "'44'", '"no"'])
def test_names_that_stay_names(read, name):
    assert read("14M: {}", f"{name}: {{}}")[0] == f"main-{yaml.safe_load(name)}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "a number") for name in ("44", "1_000", "007", "1.4e+6", "1.0", "1:30", "0x1F")),
        *((name, "true or false") for name in ("no", "on", "Yes", "OFF", "true")),
        *((name, "nothing") for name in ("null", "~")),
        ("2024-01-01", "a date"),
    ],
)
def test_names_that_yaml_reads_as_others(read, name, kind):
    said = rf"c\.yaml: line {RUN}: the name {re.escape(name)} is {kind} to YAML; put it in quotes"
    with pytest.raises(ConfigError, match=said):
        read("14M: {}", f"{name}: {{}}")


@pytest.mark.parametrize("value", ["1", "no", "2024-01-01", "1.5"])
def test_values_that_yaml_reads_as_others(read, value):
    with pytest.raises(ConfigError, match=r"experiment = .*another kind: put it in quotes"):
        read("experiment: small", f"experiment: {value}")
    assert read("experiment: small", f"experiment: '{value}'")[0] == "main-14M"


@pytest.mark.parametrize(
    ("written", "steps"), [("2_000", 2000), ("200.0", 200), ("'200'", 200), ("0x200", 512)]
)
def test_numbers_of_steps(read, written, steps):
    assert read("steps: 200", f"steps: {written}")[1].steps == steps


@pytest.mark.parametrize("written", ["1e-2", "1E-2", "1.0e-2", ".01", "00.01"])
def test_rates(read, written):
    assert read("0.01", written)[1].optimizer.learning_rate == 0.01


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0200", "0200 is 128 to YAML, which takes numbers that begin with 0 for octal ones"),
        ("3:20", "3:20 is a number to base 60 to YAML"),
        ("3:20.5", "3:20.5 is a number to base 60 to YAML"),
        ("1e3", "unable to parse string as an integer; write it out, 1000"),
        ("yes", "steps = True: yes and no, on and off are no numbers; give one"),
        ("2,000", "steps = '2,000'"),
        ("2k", "steps = '2k'"),
    ],
)
def test_numbers_that_are_not_what_they_seem(read, written, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        read("steps: 200", f"steps: {written}")


def test_every_one_is_told_where_it_is(read):
    """In lists, and once where aliases repeat it."""
    with pytest.raises(ConfigError) as error:
        read("steps: 200", "steps: 0200\n      checkpoints: {also: [064, 8, 010]}")
    said = [line.partition("c.yaml: ")[2] for line in str(error.value).splitlines()]
    assert [line.partition(" to YAML")[0] for line in said] == [
        f"line {STEPS}: 0200 is 128",
        f"line {STEPS + 1}: 064 is 52",
        f"line {STEPS + 1}: 010 is 8",
    ]


def test_answers_in_lists_and_deeper(read):
    with pytest.raises(ConfigError) as error:
        read("{learning_rate: 0.01}", "{learning_rate: on, betas: [0.9, yes]}")
    keys = [line.partition(" = ")[0] for line in str(error.value).splitlines()]
    where = "suites.main.runs.14M.optimizer"
    assert keys == [f"{where}.learning_rate", f"{where}.betas.1"]
    assert read("steps: 200", "steps: 200\n      checkpoints: {decades: no}")[0] == "main-14M"


def test_what_is_left_empty(read):
    with pytest.raises(ConfigError, match=r"14M = None: .*: write \{\} if nothing is meant"):
        read("14M: {}", "14M:")
    with pytest.raises(ConfigError, match=r"a space belongs after the colon"):
        read("14M: {}", "14M:{}")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_and_a_byte_order_mark(tmp_path, end):
    path = tmp_path / "c.yaml"
    path.write_bytes(("\ufeff" + SMALL).replace("\n", end).encode())
    assert read_yaml(path) == yaml.safe_load(SMALL)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (SMALL.encode("utf-16"), "; save it as UTF-8"),
        (f"# caf\xe9\n{SMALL}".encode("latin-1"), "; save it as UTF-8"),
        (SMALL.replace("steps: ", "steps:\xa0").encode(), f"line {STEPS} holds a no-break space"),
        (SMALL.replace("      steps", "\tsteps").encode(), f"line {STEPS}, column 1"),
    ],
)
def test_what_cannot_be_read_and_why(tmp_path, data, said):
    (tmp_path / "c.yaml").write_bytes(data)
    with pytest.raises(ConfigError, match="not a YAML file") as error:
        read_yaml(tmp_path / "c.yaml")
    assert said in str(error.value)
