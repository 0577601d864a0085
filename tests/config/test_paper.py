"""config/paper.yaml is the paper's experiment: its tables, its text, its authors' settings."""

import csv
import io
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from zsl.config.grids import powers_of_two
from zsl.config.load import read_yaml, resolve
from zsl.config.parameters import n_parameters, tokens_per_step

ROOT = Path(__file__).parents[2]
IMPORTED = ["OLMo-1B", "OLMo-7B"]
SIZES = {
    "14M": 14_319_616,
    "37M": 37_289_984,
    "78M": 77_561_856,
    "144M": 143_785_984,
    "285M": 284_884_992,
    "472M": 472_121_344,
}
"""Parameters of the authors' models."""
RATES = [1.26e-3, 9.71e-4, 8.01e-4, 6.81e-4, 5.67e-4, 4.87e-4]


@pytest.fixture(scope="module")
def plan():
    return resolve(read_yaml(ROOT / "config/paper.yaml"), environ={})


def runs_of(plan, suite):
    """The trained runs of a suite by name."""
    ids = [id for id in plan.run_ids(suite) if id in plan.runs]
    return {id.split("-", 1)[1]: plan.runs[id] for id in ids}


def rows_of(table):
    """The rows of a printed table of the paper."""
    text = (files("zsl.tables") / f"paper/{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def parameters(plan, id):
    run = plan.runs[id]
    return n_parameters(run.model, plan.corpus(id).tokenizer.rows, run.sequence_length)


@pytest.mark.parametrize("suite", ["main", "cosine"])
def test_models_and_rates_are_those_of_table_3(plan, suite):
    runs = runs_of(plan, suite)
    printed = {row["Model size"]: row for row in rows_of("table3")}
    assert [*runs, *IMPORTED] == [*printed]
    for name, run in runs.items():
        row, model = printed[name], run.model
        assert model.d_model == int(row["d_model"])
        assert model.d_model * model.mlp_ratio == int(row["mlp_dim"])
        assert model.n_heads == int(row["n_heads"])
        assert model.n_layers == int(row["n_layers"])
        assert float(f"{run.optimizer.learning_rate:.1e}") == float(row["peak_lr"])
        assert run.schedule.warmup_steps == int(row["warmup"])
    assert [run.optimizer.learning_rate for run in runs.values()] == RATES


@pytest.mark.parametrize("suite", ["main", "cosine"])
def test_sizes_are_those_of_the_authors_models(plan, suite):
    assert {name: parameters(plan, f"{suite}-{name}") for name in runs_of(plan, suite)} == SIZES


@pytest.mark.parametrize("suite", ["main", "cosine", "batch_sequence"])
def test_olmo_models_train_as_section_A_1_says(plan, suite):
    for run in runs_of(plan, suite).values():
        model, optimizer = run.model, run.optimizer
        assert model.weight_tying and model.rope and model.activation == "swiglu"
        assert (model.init, model.mlp_ratio, model.layer_norm_eps) == ("mitchell", 1, 1e-5)
        assert (optimizer.name, optimizer.betas) == ("adamw", (0.9, 0.95))
        assert (optimizer.eps, optimizer.clip) == (1e-5, 1.0)
        assert (optimizer.weight_decay, optimizer.decay_embeddings) == (0.1, False)
        assert (run.schedule.warmup_steps, run.schedule.warmup_start) == (2000, 0.1)
        assert (run.precision.compute, run.precision.weights) == ("bfloat16", "bfloat16")
        assert (run.sampling, run.loss) == ("shuffle", "olmo")


@pytest.mark.parametrize(
    ("suite", "schedule"), [("main", "constant_with_warmup"), ("cosine", "cosine_with_warmup")]
)
def test_main_and_cosine_differ_in_their_schedule(plan, suite, schedule):
    main = runs_of(plan, "main")
    for name, run in runs_of(plan, suite).items():
        assert (run.steps, run.sequence_length, tokens_per_step(run)) == (2**18, 1024, 2**19)
        assert run.schedule.name == schedule
        if suite == "cosine":
            assert run.schedule.final_fraction == 0.1
            changed = {"schedule": run.schedule, "checkpoints": run.checkpoints}
            assert run == main[name].model_copy(update=changed)


def test_checkpoints_are_0_and_powers_of_two_and_the_grids_of_fig_15(plan):
    for id, run in plan.runs.items():
        powers = (0, *powers_of_two(run.steps))
        layout = plan.layout(id)
        assert layout.measured == tuple(sorted({*powers, run.steps}))
        if not layout.grids:
            assert layout.checkpoints == layout.measured
    grids = {id: [*plan.layout(id).grids] for id in plan.runs if plan.layout(id).grids}
    assert grids == {"main-144M": ["decades"], "optimizer-AdamW": ["every"]}
    assert plan.layout("optimizer-AdamW").grids["every"] == tuple(range(0, 100_001, 1000))
    decades = plan.layout("main-144M").grids["decades"]
    assert decades[:12] == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30) and decades[-1] == 200_000


def test_batch_and_sequence_vary_one_model_at_its_rate(plan):
    runs = runs_of(plan, "batch_sequence")
    batches = {name: (tokens_per_step(run), run.sequence_length) for name, run in runs.items()}
    assert batches == {
        "1M-1024": (2**20, 1024),
        "1M-2048": (2**20, 2048),
        "4M-1024": (2**22, 1024),
        "4M-2048": (2**22, 2048),
    }
    base = plan.runs["main-144M"]
    for run in runs.values():
        assert (run.model, run.steps) == (base.model, 2**17)
        assert (run.optimizer, run.schedule) == (base.optimizer, base.schedule)


def test_optimizers_are_compared_on_the_model_of_nanogpt(plan):
    runs = runs_of(plan, "optimizer")
    names = {name: run.optimizer.name for name, run in runs.items()}
    assert names == {
        "AdamW": "adamw",
        "Muon": "muon",
        "AdEMAMix": "ademamix",
        "C-AdamW": "c_adamw",
    }
    for name, run in runs.items():
        model, optimizer = run.model, run.optimizer
        assert parameters(plan, f"optimizer-{name}") == 253_886_464
        assert (model.n_layers, model.d_model, model.n_heads, model.mlp_ratio) == (16, 1024, 16, 4)
        assert (model.activation, model.rope, model.init) == ("gelu", False, "gpt2")
        assert model.weight_tying and model.layer_norm_eps == 1e-6
        assert (run.steps, run.batch_size, run.sequence_length) == (100_000, 512, 1024)
        assert (run.sampling, run.schedule.name) == ("offsets", "constant_with_warmup")
        assert (run.schedule.warmup_steps, run.schedule.warmup_start) == (2000, 0)
        assert (optimizer.learning_rate, optimizer.eps, optimizer.clip) == (6.8e-4, 1e-5, 1.0)
        assert (optimizer.weight_decay, optimizer.decay_embeddings) == (0.1, True)
        slow = 0.999 if name == "AdEMAMix" else 0.95
        assert optimizer.betas == (0.9, slow)
    mixed, muon = runs["AdEMAMix"].optimizer, runs["Muon"].optimizer
    assert (mixed.beta3, mixed.alpha, mixed.t_alpha_beta3) == (0.9999, 8, 50_000)
    assert (muon.momentum, muon.muon_rate) == (0.95, 0.1)


def test_corpora_have_the_tokens_and_the_evaluation_of_the_paper(plan):
    corpora = plan.experiment.corpora
    for corpus in corpora.values():
        assert (corpus.evaluation.sequences, corpus.evaluation.sequence_length) == (976, 1024)
        assert corpus.tokenizer.rows == 50304
    of_olmo, of_gpt2 = corpora["olmo_mix"].tokenizer, corpora["openwebtext"].tokenizer
    assert (of_olmo.vocab_size, of_olmo.eos_token_id) == (50280, 50279)
    assert (of_gpt2.vocab_size, of_gpt2.eos_token_id) == (50257, 50256)
    assert corpora["olmo_mix_large"].tokenizer == of_olmo
    unseen = plan.experiment.measurements.single_step.batches
    for id, run in plan.runs.items():
        for source in plan.corpus(id).train if run.sampling == "shuffle" else []:
            # A thousandth is left for the ends of files that make no whole sequence.
            assert source.subset_tokens > 1.001 * (run.steps + unseen) * tokens_per_step(run)


ROWS = {
    "table1": ("main", "Model"),
    "table4": ("main", "Model"),
    "table5": ("cosine", "Model"),
    "table6": ("batch_sequence", ("Batch Size", "Seq. Len")),
    "table7": ("optimizer", "Model"),
    "table8": ("cosine", "Model"),
}
SHIPPED = [table for table in ROWS if (files("zsl.tables") / f"paper/{table}.csv").is_file()]


@pytest.mark.parametrize("table", SHIPPED)
def test_every_row_of_a_table_is_a_run(plan, table):
    suite, columns = ROWS[table]
    names = [columns] if isinstance(columns, str) else columns
    rows = ["-".join(row[name] for name in names) for row in rows_of(table)]
    known = [id.split("-", 1)[1] for id in plan.run_ids(suite)]
    assert [name for name in known if name in rows] == rows


def test_every_row_of_table_2_compares_two_sizes_at_kept_steps(plan):
    rows = rows_of("table2")
    pairs = [f"{small} -> {large}" for small, large in pairwise(SIZES)]
    assert [row["Loss Improvement"] for row in rows] == pairs
    columns = [f"t = {step}" for step in plan.experiment.tables.table2_steps]
    assert [*rows[0]][1:] == columns


def test_imported_curves_stand_in_both_suites(plan):
    expected = [f"{suite}-{name}" for suite in ("main", "cosine") for name in IMPORTED]
    assert [*plan.imported] == expected


def test_imported_models_have_the_parameters_of_table_3(plan):
    """OLMo-1B is tied, OLMo-7B is not; both have SwiGLU and 50,304 rows."""
    printed = {row["Model size"]: row for row in rows_of("table3")}
    for name, matrices_of_rows in zip(IMPORTED, (1, 2), strict=True):
        d, hidden, layers = (int(printed[name][k]) for k in ("d_model", "mlp_dim", "n_layers"))
        block = 4 * d * d + d * hidden + hidden // 2 * d
        expected = matrices_of_rows * 50304 * d + layers * block
        assert plan.imported[f"main-{name}"].parameters == expected


def test_curves_are_smoothed_and_cut_as_in_section_A_2(plan):
    experiment = plan.experiment
    assert (experiment.fits.cut, experiment.curves.k, experiment.data_seed) == (100, 1.2, 6198)


def test_every_suite_says_what_it_asks(plan):
    assert all(suite.description for suite in plan.experiment.suites.values())
