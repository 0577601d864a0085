"""The figures: those of the paper by number, then those that go beyond it."""

from __future__ import annotations

from zsl.registry.target import Target

FIGURES: tuple[Target, ...] = (
    Target(
        id="fig01",
        title="Paper overview",
        section="1",
        inputs=("train_loss", "delta_loss", "token_changes", "fits"),
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
        id="fig02",
        title="Train loss and one-break BNSL fits",
        section="2",
        inputs=("train_loss", "fits"),
        caption=(
            "Loss curves (thin: train loss after LSMA with k = {experiment.curves.k}) "
            "decelerate early in training (grey: range of t_d over the runs) and are described "
            "by a one-break BNSL (Eq. 1; bold), fitted to steps > {cut}. Dashed: "
            "its two power laws, which meet at (t_d, L_d)."
        ),
    ),
    Target(
        id="fig03",
        title="Destructive interference in per-token loss improvements",
        section="3.2",
        inputs=("delta_loss", "fits"),
        claims=True,
        caption=(
            "Zero-sum learning throughout training: destructive interference D (Eq. 3) in the "
            "changes of the evaluation tokens' losses from step t to 2t, drawn at t. Bands: 95 % "
            "intervals over evaluation sequences. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig04",
        title="Gradient destructive interference",
        section="3.2",
        inputs=("gradient_opposition", "fits"),
        claims=True,
        caption=(
            "Proxy gradient destructive interference (Eq. 4, A.3) on evaluation tokens, mean over "
            "the coordinates of all but embedding weights. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig05",
        title="Contributions of D and M to the loss improvement",
        section="3.3",
        inputs=("delta_loss", "fits"),
        caption=(
            "Training trajectories in destructive interference D and mean magnitude M of the "
            "changes of per-token losses from step t to 2t; thin lines join equal "
            "|ΔL| = M(1 - D) (Eq. 6). Circles: first point; dotted: into the interval that "
            "holds t_d; triangles: last point. Bars: 95 % intervals over evaluation sequences."
        ),
    ),
    Target(
        id="fig06",
        title="Gradient opposition and the direction of the update",
        section="3.4",
        inputs=(),
        caption=(
            "Schematic: the first-order changes of two tokens' losses (crosses) are projections "
            "of their gradients onto the update Δθ, so that it a) mitigates or b) exacerbates "
            "the destructive interference of gradients, D in each coordinate (Eq. 4; grey), and "
            "c) can induce it where there is none. Green: the token's loss improves; red: it "
            "degrades. All numbers are those of the vectors drawn (Eqs. 4, 8)."
        ),
    ),
    Target(
        id="fig07",
        title="Decomposition of first-order interference",
        section="3.4",
        inputs=("token_gradients", "fits"),
        claims=True,
        caption=(
            "Interference of the first-order changes of evaluation tokens' losses, D = "
            "1 - C_g C(u,G) / C(u,g) (Eq. 9): the part of gradient opposition, C_g, and that of "
            "projecting gradients onto the update, on axes with powers of ten of one length. "
            "Dotted: what C_g would be if each token's gradient had a random sign, which no "
            "number of tokens but an infinite one brings to 0. "
            "Per-token gradients: of {experiment.measurements.token_gradients.taken}; bars, where "
            "not of all: one standard error. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig08",
        title="Per-token loss landscapes of the largest model",
        section="3.4",
        inputs=("token_landscapes", "fits"),
        caption=(
            "Change of the losses of sampled evaluation tokens (at most "
            "{experiment.figures.landscape_tokens}, the same in all panels) along the next update "
            "of step t, before, around and after deceleration. Dashed: the update itself; green: "
            "tokens that it improves, red: tokens that it degrades. The y axes hold 95 % of all "
            "values drawn; lines beyond are cut off."
        ),
    ),
    Target(
        id="fig09",
        title="First-order training dynamics",
        section="3.4",
        inputs=("cross_section", "fits"),
        claims=True,
        caption=(
            "Pearson correlation over evaluation tokens between the change of loss by the next "
            "update and its first-order approximation, from exact directional derivatives; "
            "dotted, where it visibly differs: from the paper's forward difference, "
            "{experiment.measurements.cross_section.epsilon} of the update. Grey: range of t_d "
            "over the runs."
        ),
    ),
    Target(
        id="fig10",
        title="Sharpness along the update",
        section="3.4",
        inputs=("cross_section", "fits"),
        claims=True,
        caption=(
            "Sharpness of the mean evaluation loss along the next update: second-order "
            "coefficient of a quadratic fit up to "
            "{experiment.measurements.cross_section.sharpness_updates:g} updates to either side, "
            "in nats per squared Euclidean norm of the parameters. Logarithmic, and linear around "
            "zero if some values are negative. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig11",
        title="Terms of the first-order loss improvement",
        section="4",
        inputs=("single_step", "fits"),
        caption=(
            "First-order change of loss by one update and the terms that it is the product of "
            "(Eq. 11), means over {experiment.measurements.single_step.batches} training batches, "
            "on axes with powers of ten of one length; gradient: "
            "{experiment.figures.fig11_gradient} tokens. Signs are changed so that improvement "
            "is positive; open circles: sizes of values of the other sign, where the update "
            "degrades the loss. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig12",
        title="Histograms of gradient destructive interference",
        section="4.2",
        inputs=("gradient_histograms", "fits"),
        caption=(
            "Coordinates of all but embedding weights by their proxy gradient destructive "
            "interference (Eq. 4, A.3), as densities, at checkpoints around deceleration."
        ),
    ),
    Target(
        id="fig13",
        title="Raw and smoothed train loss",
        section="A.2",
        inputs=("train_loss",),
        logged=True,
        caption=(
            "Train loss of single batches (grey, subsampled) and smoothed by LSMA with "
            "k = {experiment.curves.k} (coloured)."
        ),
    ),
    Target(
        id="fig14",
        title="True gradient destructive interference",
        section="A.3",
        inputs=("token_gradients", "fits"),
        exact=True,
        claims=True,
        caption=(
            "Gradient destructive interference (Eq. 4) of true per-token gradients (solid) and "
            "by proxy (dotted; A.3) on the same evaluation tokens, fewer than in Fig. 4, mean "
            "over the coordinates of all but embedding weights. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig15",
        title="Effect of the number of steps between checkpoints",
        section="B.2",
        inputs=("step_grids", "fits"),
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
        id="fig16",
        title="Destructive interference after one step",
        section="B.2",
        inputs=("single_step", "fits"),
        caption=(
            "Destructive interference D (Eq. 3) in the changes of per-token losses by one "
            "update, on its own training batch and on the evaluation tokens: mean over "
            "{experiment.measurements.single_step.batches} training batches, and band from "
            "their smallest to their largest. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig17",
        title="Downstream accuracy against loss",
        section="B.3",
        inputs=("downstream", "eval_loss", "fits"),
        mini=(
            "Models this small answer none of the tasks: their accuracy stays about that of "
            "guessing or of one constant answer, and the paper's comparison cannot show."
        ),
        caption=(
            "Accuracy on multiple-choice tasks, zero-shot with OLMo's wording and metric, on "
            "{experiment.measurements.downstream.asked}, against evaluation loss, which falls to "
            "the right; a point for each checkpoint. Lines: thin before deceleration, dotted into "
            "the interval that holds t_d, thick after it; bars: one standard error; dashed: "
            "guessing (most answers of boolq are yes: always saying so is above it). Cut: items "
            "longer than the model's context, of which it read the end. The paper shows OLMo-1B "
            "and OLMo-7B instead."
        ),
    ),
    Target(
        id="fig18",
        title="Per-token loss landscapes around and after deceleration",
        section="B.4",
        inputs=("token_landscapes", "fits"),
        caption=(
            "As Fig. 8, for model sizes (columns) and steps t (rows) around and after "
            "deceleration; of the sampled tokens, every panel shows the same, at most 100. The y "
            "axes of a row hold 95 % of its values; lines beyond are cut off."
        ),
    ),
    Target(
        id="fig19",
        title="Per-token loss landscapes at the start of training",
        section="B.4",
        inputs=("token_landscapes", "fits"),
        caption="As Fig. 18, for steps t before deceleration.",
    ),
    Target(
        id="fig20",
        title="Loss landscapes throughout training",
        section="B.5",
        inputs=("landscapes", "fits"),
        caption=(
            "Change of the mean evaluation loss along the next update of each step t (red: "
            "improvement, blue: degradation; linear around zero, logarithmic beyond), α in "
            "Euclidean norm of the parameters. Bars: the update itself; dashed: t_d of the run."
        ),
    ),
    Target(
        id="fig21",
        title="Loss landscapes throughout training, zoomed in",
        section="B.5",
        inputs=("landscapes", "fits"),
        caption="As Fig. 20, for |α| ≤ {experiment.figures.fig21_zoom:g}.",
    ),
    Target(
        id="fig22",
        title="Scaling of deceleration with model size",
        section="B.6",
        inputs=("train_loss", "fits"),
        sizes=True,
        caption=(
            "L_d, t_d and r_d of fits to steps > {cut} by the number of all "
            "parameters N, and the scaling law of Eq. 31: log L_d and log r_d linear in log N, t_d "
            "linear in N, by least squares. The law is fitted to refits that end at the last step "
            "T that all curves have (filled), since fits at different T are not comparable; "
            "hollow: the fits of Table 1 where a curve ends elsewhere. Right: loss at T by the "
            "law, of all sizes (circles) and of the other sizes (crosses). Runs of unknown N are "
            "left out. The forms and N are a reading of the paper, which prints no values."
        ),
    ),
    Target(
        id="fig23",
        title="Train loss by batch size and sequence length",
        section="C.1",
        inputs=("train_loss", "fits"),
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
        title="Evaluation loss by batch size and sequence length",
        section="C.1",
        inputs=("eval_loss", "train_loss", "fits"),
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
        title="Destructive interference by batch size and sequence length",
        section="C.1",
        inputs=("delta_loss", "fits"),
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
        title="Train loss by optimizer",
        section="C.2",
        inputs=("train_loss", "fits"),
        suites=("optimizer",),
        caption=(
            "As Fig. 2, for optimizers: {labels}; {steps} steps with batches of {batches} "
            "tokens. BNSL fitted to steps > {cut}."
        ),
        mini="One peak rate per optimizer, not tuned: no ranking of optimizers follows.",
    ),
    Target(
        id="fig27",
        title="Destructive interference by optimizer",
        section="C.2",
        inputs=("delta_loss", "fits"),
        suites=("optimizer",),
        caption=(
            "As Fig. 3, for optimizers: {labels}; {steps} steps with batches of {batches} "
            "tokens. Grey: range of t_d over the runs."
        ),
        mini="D of each optimizer at one seed; instabilities of long runs do not show.",
    ),
    Target(
        id="fig28",
        title="Cautious AdamW against AdamW",
        section="C.2",
        inputs=("train_loss", "fits"),
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
        title="Train loss and BNSL fits with a cosine schedule",
        section="C.3",
        inputs=("train_loss", "fits"),
        suites=("cosine",),
        caption=(
            "As Fig. 2, with a rate that decays by a cosine to {final} of its peak at the last "
            "step, {steps}: sizes {labels}. BNSL fitted to steps > {cut}."
        ),
        mini="The design of the paper at small sizes and few steps.",
    ),
    Target(
        id="breakdown",
        title="Destructive interference by position and frequency",
        section="3.2",
        inputs=("breakdown", "fits"),
        caption=(
            "Destructive interference D (Eq. 3) in the changes of losses from step t to 2t within "
            "groups of evaluation tokens, by their position and by the frequency in training of "
            "the token predicted, for the smallest and the largest model. Black: D of all tokens; "
            "dashed: the part of it within groups, their mean D weighted by sums of absolute "
            "changes. The rest is between groups, some of which improve as others degrade. Grey: "
            "t_d of the run."
        ),
    ),
    Target(
        id="sensitivity",
        title="Sensitivity of the fits",
        section="A.2",
        inputs=("sensitivity", "fits"),
        caption=(
            "L_d, t_d and r_d of fits in which one choice is changed: the end T of the curve, the "
            "cut (steps up to it are left out), and k of the smoothing, which needs losses of "
            "single steps. Circles: the choices of the tables; crosses: no break within the "
            "fitted steps. Lines beyond the axes are cut off."
        ),
    ),
    Target(
        id="mitigation",
        title="Loss with interventions against zero-sum learning",
        section="5",
        inputs=("eval_loss",),
        suites=("mitigation", "mitigation_cosine", "mitigation_rates"),
        runs=2,
        seeds=True,
        settings=True,
        flops=True,
        caption=(
            "Evaluation loss ({evaluation}) of arms with interventions in the training step less "
            "that of the baseline, the first arm, whose seeds start from the same weights and read "
            "the same text: after as many tokens, and after as many FLOPs, where the baseline's "
            "loss is interpolated in log-log and ends with its last step (with a cosine, equal "
            "FLOPs are unequal parts of the schedule). Lines: means over seeds; bands: from the "
            "smallest to the largest. Below: differences of the mean last losses, "
            "95 % interval of each by itself, seeds as blocks; and the grid on which the peak "
            "rates were chosen, at a seed of its own, by the lowest last loss. Axes of "
            "differences: linear to 0.02 nats, logarithmic beyond."
        ),
        mini="Interventions are compared in an experiment of their own, config/mitigation.yaml.",
    ),
    Target(
        id="mitigation_dynamics",
        title="Interference with interventions against zero-sum learning",
        section="5",
        inputs=("eval_loss", "delta_loss", "gradient_opposition", "token_gradients"),
        suites=("mitigation",),
        runs=2,
        seeds=True,
        caption=(
            "Destructive interference D and magnitude M of the changes of the evaluation tokens' "
            "losses from step t to 2t (Eqs. 3, 5), proxy gradient interference (Eq. 4, A.3) and "
            "the part C_g of gradient opposition (Eq. 10), means over seeds. Right: whether an arm "
            "that lowers D also lowers the loss; differences from the baseline, the first arm, of "
            "the last evaluation loss and of D of the last interval, or of proxy D from a quarter "
            "of the steps on. Arms: {labels}."
        ),
        mini="Interventions are compared in an experiment of their own, config/mitigation.yaml.",
    ),
)
