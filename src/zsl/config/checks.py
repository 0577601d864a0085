"""Mistakes that only show when parts of a configuration are held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

from zsl.config.base import nearest
from zsl.config.elsewhere import Elsewhere
from zsl.config.grids import measured_steps
from zsl.config.measurements import MEASUREMENTS
from zsl.config.schema import CONSTANT, EXTENSIBLE, Checkpoints, Corpus, Experiment, Run

FITTED = 5
"""Parameters of a fit, which needs more points."""
KEPT = 10_000
"""Most checkpoints of a run: each is a folder, a part of a job, and a row of every curve."""


def problems(experiment: Experiment, runs: dict[str, Run]) -> list[str]:
    """One line per mistake, each naming the key, the value and a way out."""
    found = [line for id, run in runs.items() for line in _run_problems(id, run, experiment)]
    of_targets = [*_table_problems(experiment, runs), *_downstream_problems(experiment, runs)]
    return [*dict.fromkeys(found), *of_targets]


def _run_problems(id: str, run: Run, experiment: Experiment) -> Iterator[str]:
    key = "suites.{}.runs.{}".format(*id.split("-", 1))
    yield from _model_problems(key, run)
    if run.corpus not in experiment.corpora:
        known = nearest(run.corpus, [*experiment.corpora])
        yield f"{key}.corpus = {run.corpus!r}: there is no such corpus; {known}"
    else:
        evaluation = experiment.corpora[run.corpus].evaluation.sequence_length
        if evaluation > run.sequence_length:
            yield (
                f"corpora.{run.corpus}.evaluation.sequence_length = {evaluation}: longer than "
                f"the context of {id}, {run.sequence_length} tokens; evaluate at most that many"
            )
        yield from _measurement_problems(run, experiment)
        yield from _batches_problems(key, run, experiment.corpora[run.corpus])
    micro = run.precision.micro_batch_size
    if micro is not None and run.batch_size % micro:
        yield (
            f"{key}.precision.micro_batch_size = {micro}: does not divide batch_size = "
            f"{run.batch_size}; choose one of {_divisors(run.batch_size)}"
        )
    past = [step for step in run.checkpoints.also if not 0 <= step <= run.steps]
    if past:
        yield (
            f"{key}.checkpoints.also = {past}: not within the run's steps 0 to {run.steps}; "
            "leave them out or raise steps"
        )
    yield from _schedule_problems(key, run)
    yield from _intervention_problems(key, run)
    every = run.checkpoints.every
    if every is not None and every > run.steps:
        yield (
            f"{key}.checkpoints.every = {every}: more than the run's steps, {run.steps}, so that "
            "no two checkpoints are that far apart; lower it or raise steps"
        )
    elif every is not None and run.steps // every > KEPT:
        yield (
            f"{key}.checkpoints.every = {every}: keeps {run.steps // every:,} checkpoints, more "
            f"than {KEPT:,}; raise it"
        )
    own = experiment.suites[id.split("-", 1)[0]].cut
    cut, where = (experiment.fits.cut, "fits.cut") if own is None else (own, "cut of its suite")
    if run.source:
        yield from _source_problems(key, run, run.source, cut)
    if run.steps <= cut:
        yield (
            f"{key}.steps = {run.steps}: the fit leaves out steps <= {where} = "
            f"{cut}; train longer or lower the cut"
        )


def _source_problems(key: str, run: Run, source: Elsewhere, cut: int) -> Iterator[str]:
    if source.steps[-1] > run.steps:
        yield (
            f"{key}.source.steps = ... {source.steps[-1]}: not within the run's steps, "
            f"{run.steps}; leave the later ones out or raise steps"
        )
    fitted = [step for step in source.steps if step > cut]
    if source.train_loss is None and len(fitted) <= FITTED:
        yield (
            f"{key}.source.steps: without a train_loss fits are to the checkpoints, of which "
            f"{len(fitted)} are after step {cut}; name more than {FITTED}, or give the train_loss"
        )
    if run.checkpoints != Checkpoints():
        yield (
            f"{key}.checkpoints: says what is kept in training, and this run was trained "
            "elsewhere; its checkpoints are source.steps"
        )


def _batches_problems(key: str, run: Run, corpus: Corpus) -> Iterator[str]:
    """Of a corpus that is a few batches of others, which are cut into sequences already."""
    for source in corpus.train:
        batches = getattr(source, "batches", None)
        if batches and run.source is None:
            yield (
                f"{key}.corpus = {run.corpus!r}: holds {batches.count} batches for updates of "
                "checkpoints that others trained; train on another corpus"
            )
        elif batches and batches.sequence_length != run.sequence_length:
            yield (
                f"corpora.{run.corpus}.train.batches.sequence_length = {batches.sequence_length}: "
                f"the run's sequences have {run.sequence_length} tokens; they must agree"
            )


def _schedule_problems(key: str, run: Run) -> Iterator[str]:
    name, warmup = run.schedule.name, run.schedule.warmup_steps
    if name not in CONSTANT and run.steps <= warmup:
        yield (
            f"{key}.schedule.warmup_steps = {warmup}: with steps = {run.steps} the rate of {name} "
            "never decays; train longer or shorten the warm-up"
        )
    if name == "constant" and warmup:
        yield (
            f"{key}.schedule.warmup_steps = {warmup}: {name} has no warm-up; set it to 0, or "
            "choose name: constant_with_warmup"
        )
    if name in ("inverse_sqrt_with_warmup", "max_scheduler") and not warmup:
        yield (
            f"{key}.schedule.warmup_steps = 0: the rate of {name} is in units of its warm-up, peak "
            "* sqrt(warmup / step), and would be 0; give at least 1"
        )
    earlier = run.checkpoints.extended_from
    if earlier and name not in EXTENSIBLE:
        yield (
            f"{key}.checkpoints.extended_from = {earlier}: the rate of {name} depends on steps, so "
            "that a longer run has nothing in common with a shorter one; leave it out"
        )
    elif late := [step for step in earlier if step >= run.steps]:
        yield (
            f"{key}.checkpoints.extended_from = {late}: not before the run's end, {run.steps}; "
            "raise steps, or name the steps at which the run ended before"
        )


def _intervention_problems(key: str, run: Run) -> Iterator[str]:
    made, precision = run.intervention, run.precision
    if made is None:
        return
    if precision.compute != "float32" and not made.formats:
        yield (
            f"{key}.precision.compute = {precision.compute!r}: {made.name} is made in float32 "
            "only; set compute: float32, or leave out intervention"
        )
    if precision.compile and not made.compiled:
        yield (
            f"{key}.precision.compile = True: {made.name} looks into the model's passes, which a "
            "compiled one has not; set compile: false, or leave out intervention"
        )
    if run.batch_size % made.parts:
        yield (
            f"{key}.intervention.micro_batches = {made.parts}: does not divide batch_size = "
            f"{run.batch_size}; choose one of {_divisors(run.batch_size)}"
        )


def _measurement_problems(run: Run, experiment: Experiment) -> Iterator[str]:
    evaluation = experiment.corpora[run.corpus].evaluation
    measurements = experiment.measurements
    for name in MEASUREMENTS:
        asked = getattr(measurements.of(name), "sequences", None)
        if asked is not None and asked > evaluation.sequences:
            yield (
                f"measurements.{name}.sequences = {asked}: the evaluation set of corpus "
                f"{run.corpus} has {evaluation.sequences}; choose at most that many"
            )
    sampled = measurements.token_gradients
    predictions = sampled.sequences * (evaluation.sequence_length - 1)
    if sampled.estimator == "sampled" and sampled.tokens > predictions:
        yield (
            f"measurements.token_gradients.tokens = {sampled.tokens}: {sampled.sequences} "
            f"sequences of corpus {run.corpus} have {predictions} predictions; sample at most "
            "that many, or choose estimator: exact"
        )
    if sampled.estimator == "sampled_sequences" and sampled.sampled_sequences > sampled.sequences:
        yield (
            f"measurements.token_gradients.sampled_sequences = {sampled.sampled_sequences}: more "
            f"than its sequences, {sampled.sequences}; choose at most that many"
        )


def _model_problems(key: str, run: Run) -> Iterator[str]:
    model = run.model
    if model.d_model % model.n_heads:
        yield (
            f"{key}.model.n_heads = {model.n_heads}: does not divide d_model = "
            f"{model.d_model}; choose one of {_divisors(model.d_model)}"
        )
    elif model.rope and (model.d_model // model.n_heads) % 2:
        yield (
            f"{key}.model.n_heads = {model.n_heads}: makes heads of odd width "
            f"{model.d_model // model.n_heads}, which rotary positions cannot halve; choose "
            f"one of {_divisors(model.d_model // 2)}"
        )
    if model.activation == "swiglu" and model.mlp_ratio * model.d_model % 2:
        yield f"{key}.model.d_model = {model.d_model}: SwiGLU halves it; choose an even width"
    for position, beta in enumerate(run.optimizer.betas):
        if not 0 <= beta < 1:
            yield f"{key}.optimizer.betas.{position} = {beta}: choose a value in [0, 1)"


def _table_problems(experiment: Experiment, runs: dict[str, Run]) -> Iterator[str]:
    for id, run in runs.items():
        if not id.startswith("main-"):
            continue
        asked = [*run.checkpoints.also, *run.checkpoints.extended_from]
        kept = run.source.steps if run.source else measured_steps(run.steps, asked)
        wrong = [step for step in experiment.tables.table2_steps if step not in kept]
        if wrong:
            yield (
                f"tables.table2_steps = {wrong}: {id} keeps no checkpoint there; choose from "
                f"{kept} or add to checkpoints.also"
            )
            return


def _downstream_problems(experiment: Experiment, runs: dict[str, Run]) -> Iterator[str]:
    trained = [id.removeprefix("main-") for id in runs if id.startswith("main-")]
    for name in experiment.measurements.downstream.runs:
        if name not in trained:
            yield (
                f"measurements.downstream.runs = {name!r}: suite main trains no such run; "
                f"{nearest(name, trained)}"
            )


def _divisors(number: int) -> str:
    small = [n for n in range(1, isqrt(number) + 1) if number % n == 0]
    return ", ".join(map(str, sorted({*small, *(number // n for n in small)})))
