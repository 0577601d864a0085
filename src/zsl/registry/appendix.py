"""The figures of the paper's appendix."""

from __future__ import annotations

from zsl.registry.target import Target

APPENDIX: tuple[Target, ...] = (
    Target(
        id="fig13",
        kind="figure",
        number=13,
        title="Raw and smoothed train loss",
        section="A.2",
        inputs=("train_loss",),
        published=False,
        logged=True,
        caption=(
            "Train loss of single batches (grey, subsampled) and smoothed by LSMA with "
            "k = {experiment.curves.k} (coloured)."
        ),
    ),
    Target(
        id="fig14",
        kind="figure",
        number=14,
        title="True gradient destructive interference",
        section="A.3",
        inputs=("token_gradients", "fits"),
        published=False,
        exact=True,
        claims=True,
        caption=(
            "Gradient destructive interference (Eq. 4) of true per-token gradients (solid) and "
            "by proxy (dotted; A.3) on the same evaluation tokens, fewer than in Fig. 4, mean "
            "over the coordinates of all but embedding weights. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig16",
        kind="figure",
        number=16,
        title="Destructive interference after one step",
        section="B.2",
        inputs=("single_step", "fits"),
        published=False,
        caption=(
            "Destructive interference D (Eq. 3) in the changes of per-token losses by one "
            "update, on its own training batch and on the evaluation tokens: mean over "
            "{experiment.measurements.single_step.batches} training batches, and band from "
            "their smallest to their largest. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig17",
        kind="figure",
        number=17,
        title="Downstream accuracy against loss",
        section="B.3",
        inputs=("downstream", "eval_loss", "fits"),
        published=False,
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
        kind="figure",
        number=18,
        title="Per-token loss landscapes around and after deceleration",
        section="B.4",
        inputs=("token_landscapes", "fits"),
        published=False,
        caption=(
            "As Fig. 8, for model sizes (columns) and steps t (rows) around and after "
            "deceleration; of the sampled tokens, every panel shows the same, at most 100. The y "
            "axes of a row hold 95 % of its values; lines beyond are cut off."
        ),
    ),
    Target(
        id="fig19",
        kind="figure",
        number=19,
        title="Per-token loss landscapes at the start of training",
        section="B.4",
        inputs=("token_landscapes", "fits"),
        published=False,
        caption="As Fig. 18, for steps t before deceleration.",
    ),
    Target(
        id="fig20",
        kind="figure",
        number=20,
        title="Loss landscapes throughout training",
        section="B.5",
        inputs=("landscapes", "fits"),
        published=False,
        caption=(
            "Change of the mean evaluation loss along the next update of each step t (red: "
            "improvement, blue: degradation; linear around zero, logarithmic beyond), α in "
            "Euclidean norm of the parameters. Bars: the update itself; dashed: t_d of the run."
        ),
    ),
    Target(
        id="fig21",
        kind="figure",
        number=21,
        title="Loss landscapes throughout training, zoomed in",
        section="B.5",
        inputs=("landscapes", "fits"),
        published=False,
        caption="As Fig. 20, for |α| ≤ {experiment.figures.fig21_zoom:g}.",
    ),
    Target(
        id="fig22",
        kind="figure",
        number=22,
        title="Scaling of deceleration with model size",
        section="B.6",
        inputs=("train_loss", "fits"),
        published=True,
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
)
