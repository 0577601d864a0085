"""The tables: those of the paper by number, then those that go beyond it."""

from __future__ import annotations

from zsl.registry.target import Target

TABLES: tuple[Target, ...] = (
    Target(
        id="table1",
        title="Loss deceleration measurements",
        section="2",
        inputs=("fits",),
        caption=(
            "Loss deceleration measurements (Eq. 2) from fits to steps > {cut} "
            "of the smoothed train loss."
        ),
    ),
    Target(
        id="table2",
        title="Loss improvement by model size",
        section="4.1",
        inputs=("eval_loss",),
        runs=2,
        caption="Difference in evaluation loss (nats) between consecutive model sizes at step t.",
    ),
    Target(
        id="table3",
        title="Model and optimizer parameters",
        section="A.1",
        inputs=(),
        settings=True,
        caption="Model and optimizer parameters of the runs; parameters include embeddings.",
    ),
    Target(
        id="table4",
        title="BNSL parameters",
        section="A.2",
        inputs=("fits",),
        caption=(
            "BNSL parameters (Eq. 1) with their standard errors, and root standard log error "
            "(RSLE), from fits to steps > {cut} of the smoothed train loss."
        ),
    ),
    Target(
        id="table5",
        title="BNSL parameters with a cosine schedule",
        section="C.3",
        inputs=("fits",),
        suites=("cosine",),
        caption=(
            "BNSL parameters (Eq. 1) with their standard errors, and root standard log error "
            "(RSLE), of runs of {steps} steps whose rate decays by a cosine to {final} of its "
            "peak; from fits to steps > {cut} of the smoothed train loss."
        ),
        mini="The design of the paper at small sizes and few steps.",
    ),
    Target(
        id="table6",
        title="Deceleration and BNSL parameters by batch size and sequence length",
        section="C.1",
        inputs=("fits",),
        suites=("batch_sequence",),
        settings=True,
        caption=(
            "Loss deceleration measurements (Eq. 2) and BNSL parameters (Eq. 1) with their "
            "standard errors, by tokens of a batch ({batches}) and of a sequence ({lengths}), "
            "{steps} steps each; from fits to steps > {cut} of the smoothed "
            "train loss."
        ),
        mini="The design at small batches and lengths; fits of so short runs differ by noise, too.",
    ),
    Target(
        id="table7",
        title="Deceleration and BNSL parameters by optimizer",
        section="C.2",
        inputs=("fits",),
        suites=("optimizer",),
        caption=(
            "Loss deceleration measurements (Eq. 2) and BNSL parameters (Eq. 1) with their "
            "standard errors, by optimizer; runs of {steps} steps with batches of {batches} "
            "tokens, fits to steps > {cut} of the smoothed train loss."
        ),
        mini="One peak rate per optimizer, not tuned: no ranking of optimizers follows.",
    ),
    Target(
        id="table8",
        title="Loss deceleration measurements with a cosine schedule",
        section="C.3",
        inputs=("fits",),
        suites=("cosine",),
        caption=(
            "Loss deceleration measurements (Eq. 2) of runs of {steps} steps whose rate decays "
            "by a cosine to {final} of its peak; from fits to steps > {cut} of "
            "the smoothed train loss."
        ),
        mini="The design of the paper at small sizes and few steps.",
    ),
    Target(
        id="table1_common",
        title="Loss deceleration measurements at a common T",
        section="2",
        inputs=("train_loss", "fits"),
        caption=(
            "Table 1 from fits to the same steps of all curves: those > {cut} up "
            "to the last step T that all have. Two fits are comparable only at the same T."
        ),
    ),
    Target(
        id="table_mitigation",
        title="Interventions against zero-sum learning",
        section="5",
        inputs=("eval_loss", "delta_loss", "gradient_opposition", "token_gradients", "fits"),
        suites=("mitigation",),
        runs=2,
        seeds=True,
        settings=True,
        caption=(
            "Arms with interventions in the training step, {steps} steps at a constant rate, means "
            "over seeds: evaluation loss at the last step ({evaluation}) and its differences, "
            "deceleration of the train loss (fits to steps > {cut}), D and M of the last interval "
            "(Eqs. 3, 5), proxy D (Eq. 4) and C_g (Eq. 10) from a quarter of the steps on."
        ),
        mini="Interventions are compared in an experiment of their own, config/mitigation.yaml.",
    ),
    Target(
        id="table_mitigation_rates",
        title="Peak rates of the interventions",
        section="5",
        inputs=("eval_loss",),
        suites=("mitigation_rates",),
        settings=True,
        caption=(
            "Evaluation loss ({evaluation}) after {steps} steps by arm and peak rate, at a seed "
            "that decides nothing else."
        ),
        mini="Interventions are compared in an experiment of their own, config/mitigation.yaml.",
    ),
)
