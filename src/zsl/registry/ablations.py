"""The figures and tables of the ablation suites (Appendix C), and those over several suites."""

from __future__ import annotations

from zsl.registry.target import Target

ABLATIONS: tuple[Target, ...] = (
    Target(
        id="fig01",
        kind="figure",
        number=1,
        title="Paper overview",
        section="1",
        inputs=("train_loss", "delta_loss", "token_changes", "fits"),
        published=False,
        caption=(
            "Overview, from measured values. Top: loss curves (LSMA with k = "
            "{experiment.curves.k}) decelerate; dashed, for the smallest and the largest model, "
            "the two power laws of its BNSL fit to steps > {cut}. Bottom: zero-sum "
            "learning; changes of the losses of single evaluation tokens ({evaluation}) of the "
            "largest model over two intervals; numbers: sums of all improvements (green) and all "
            "degradations (red), by the number of tokens; D (Eq. 3) is the part of both that "
            "cancels. Right: D of all models, drawn at t. Models {labels}, {steps} steps. Grey: "
            "range of t_d over the runs."
        ),
        mini=(
            "Deceleration and the rise of D with it; D has an early peak that the paper's models "
            "do not have."
        ),
    ),
    Target(
        id="fig15",
        kind="figure",
        number=15,
        title="Effect of the number of steps between checkpoints",
        section="B.2",
        inputs=("step_grids", "fits"),
        published=False,
        suites=("main", "optimizer"),
        optimizers=("adamw",),
        caption=(
            "Destructive interference D (Eq. 3) in the changes of the evaluation tokens' losses "
            "between neighbouring checkpoints, drawn at the earlier one. a) Suite main, "
            "checkpoints 1, 2, ..., 10, 20, ..., 100, 200, ...; thin: the same run from t to 2t; "
            "dotted: where neighbours become ten times further apart. b) The AdamW run of suite "
            "optimizer from t to 2t. c) The same run every {every} steps, from {every} on. Grey: "
            "t_d of the runs shown. Bands: 95 % intervals over evaluation sequences. Runs of "
            "{steps} steps."
        ),
        mini=(
            "The drops of D where neighbours become ten times further apart show; the paper's "
            "rise before deceleration is mixed with mini's early peak of D."
        ),
    ),
    Target(
        id="fig23",
        kind="figure",
        number=23,
        title="Train loss by batch size and sequence length",
        section="C.1",
        inputs=("train_loss", "fits"),
        published=False,
        suites=("batch_sequence",),
        settings=True,
        caption=(
            "As Fig. 2, for batches of {batches} tokens (1k is 2^10, 1M 2^20) and sequences of "
            "{lengths} tokens, {steps} steps each: more tokens a batch are more tokens in all. "
            "Every loss is that of the run's own batches, so that longer sequences have more "
            "context. BNSL fitted to steps > {cut}."
        ),
        mini="The design at small batches and lengths; fits of so short runs differ by noise, too.",
    ),
    Target(
        id="fig24",
        kind="figure",
        number=24,
        title="Evaluation loss by batch size and sequence length",
        section="C.1",
        inputs=("eval_loss", "train_loss", "fits"),
        published=False,
        suites=("batch_sequence",),
        runs=2,
        settings=True,
        caption=(
            "The runs of Fig. 23, of {steps} steps, with batches of {batches} and sequences of "
            "{lengths} tokens, evaluated on the same {evaluation} tokens. Above: runs that "
            "differ in one setting alone, the other being the smallest. Below: differences in "
            "evaluation loss (points) and in smoothed train loss (thin) to the run with the "
            "smallest value and the other setting equal. Grey: range of t_d over the runs."
        ),
        mini=(
            "Whether the gain from longer sequences stays on evaluation sequences of the shorter "
            "length shows, but at lengths at which context matters less than in the paper."
        ),
    ),
    Target(
        id="fig25",
        kind="figure",
        number=25,
        title="Destructive interference by batch size and sequence length",
        section="C.1",
        inputs=("delta_loss", "fits"),
        published=False,
        suites=("batch_sequence",),
        settings=True,
        caption=(
            "As Fig. 3, for the runs of Fig. 23: batches of {batches} tokens, sequences of "
            "{lengths} tokens, {steps} steps; changes of the losses of the same {evaluation} "
            "tokens. Grey: range of t_d over the runs."
        ),
        mini="Whether D depends on batch size and sequence length shows, at one seed.",
    ),
    Target(
        id="fig26",
        kind="figure",
        number=26,
        title="Train loss by optimizer",
        section="C.2",
        inputs=("train_loss", "fits"),
        published=True,
        suites=("optimizer",),
        caption=(
            "As Fig. 2, for optimizers: {labels}; {steps} steps with batches of {batches} "
            "tokens. BNSL fitted to steps > {cut}."
        ),
        mini="One peak rate per optimizer, not tuned: no ranking of optimizers follows.",
    ),
    Target(
        id="fig27",
        kind="figure",
        number=27,
        title="Destructive interference by optimizer",
        section="C.2",
        inputs=("delta_loss", "fits"),
        published=False,
        suites=("optimizer",),
        caption=(
            "As Fig. 3, for optimizers: {labels}; {steps} steps with batches of {batches} "
            "tokens. Grey: range of t_d over the runs."
        ),
        mini="D of each optimizer at one seed; instabilities of long runs do not show.",
    ),
    Target(
        id="fig28",
        kind="figure",
        number=28,
        title="Cautious AdamW against AdamW",
        section="C.2",
        inputs=("train_loss", "fits"),
        published=False,
        suites=("optimizer",),
        optimizers=("adamw", "c_adamw"),
        runs=2,
        settings=True,
        caption=(
            "Smoothed train loss of AdamW and Cautious AdamW (C-AdamW) on the same batches, "
            "{steps} steps of {batches} tokens, and their difference. From runs of this "
            "experiment: the paper reprints results of Liang et al. (2025) here. Grey: range of "
            "t_d over both."
        ),
        mini="One seed: a difference of the size of what another seed makes means nothing.",
    ),
    Target(
        id="fig29",
        kind="figure",
        number=29,
        title="Train loss and BNSL fits with a cosine schedule",
        section="C.3",
        inputs=("train_loss", "fits"),
        published=True,
        suites=("cosine",),
        caption=(
            "As Fig. 2, with a rate that decays by a cosine to {final} of its peak at the last "
            "step, {steps}: sizes {labels}. BNSL fitted to steps > {cut}."
        ),
        mini="The design of the paper at small sizes and few steps.",
    ),
    Target(
        id="table5",
        kind="table",
        number=5,
        title="BNSL parameters with a cosine schedule",
        section="C.3",
        inputs=("fits",),
        published=True,
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
        kind="table",
        number=6,
        title="Deceleration and BNSL parameters by batch size and sequence length",
        section="C.1",
        inputs=("fits",),
        published=False,
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
        kind="table",
        number=7,
        title="Deceleration and BNSL parameters by optimizer",
        section="C.2",
        inputs=("fits",),
        published=True,
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
        kind="table",
        number=8,
        title="Loss deceleration measurements with a cosine schedule",
        section="C.3",
        inputs=("fits",),
        published=True,
        suites=("cosine",),
        caption=(
            "Loss deceleration measurements (Eq. 2) of runs of {steps} steps whose rate decays "
            "by a cosine to {final} of its peak; from fits to steps > {cut} of "
            "the smoothed train loss."
        ),
        mini="The design of the paper at small sizes and few steps.",
    ),
)
