"""Every figure and table of the paper, and which of them an experiment can make.

Read when the workflow's DAG is built, so nothing heavy is imported here. Alias targets
(``fig05``, ``table1``), captions and inputs of the rules follow from ``TARGETS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zsl.config.schema import Experiment

InputKind = Literal[
    "train_loss",
    "eval_loss",
    "delta_loss",
    "gradient_opposition",
    "gradient_histograms",
    "token_gradients",
    "single_step",
    "cross_section",
    "landscapes",
    "token_landscapes",
    "fits",
]
"""A key of ``Study.files``."""
IMPORTED_KINDS: frozenset[InputKind] = frozenset({"train_loss", "fits"})
"""What a run has whose smoothed train loss is imported."""


@dataclass(frozen=True)
class Target:
    """One figure or table: what it shows, where the paper has it, what it is made from."""

    id: str
    """Name of the alias target and of the files, such as ``fig05``."""
    kind: Literal["figure", "table"]
    """What it is."""
    number: int
    """Its number in the paper."""
    title: str
    """One line, for lists and for the report."""
    section: str
    """Section of the paper that discusses it."""
    inputs: tuple[InputKind, ...]
    """Kinds of files it reads; none: it is made from the configuration alone."""
    published: bool
    """Whether imported (published, smoothed) curves suffice; otherwise runs made here must."""
    caption: str
    """Caption, a template over ``experiment``, the configuration; see :func:`caption`."""
    suite: str = "main"
    """The suite of runs that it shows."""
    runs: int = 1
    """How many runs it takes at least."""
    exact: bool = False
    """Whether it needs token gradients of all tokens, not of a sample."""
    claims: bool = False
    """Whether its module says what the paper claims of it; then repeated runs are read, too."""

    @property
    def module(self) -> str:
        """The module that makes it."""
        return f"zsl.{self.kind}s.{self.id}"

    @property
    def heading(self) -> str:
        """Its name in the paper, such as ``Fig. 5``."""
        return f"{'Fig.' if self.kind == 'figure' else 'Table'} {self.number}"


TARGETS: tuple[Target, ...] = (
    Target(
        id="fig02",
        kind="figure",
        number=2,
        title="Train loss and one-break BNSL fits",
        section="2",
        inputs=("train_loss", "fits"),
        published=True,
        caption=(
            "Loss curves (thin: train loss after LSMA with k = {experiment.curves.k}) "
            "decelerate early in training (grey: range of t_d over the runs) and are described "
            "by a one-break BNSL (Eq. 1; bold), fitted to steps > {experiment.fits.cut}. Dashed: "
            "its two power laws, which meet at (t_d, L_d)."
        ),
    ),
    Target(
        id="fig03",
        kind="figure",
        number=3,
        title="Destructive interference in per-token loss improvements",
        section="3.2",
        inputs=("delta_loss", "fits"),
        published=False,
        claims=True,
        caption=(
            "Zero-sum learning throughout training: destructive interference D (Eq. 3) in the "
            "changes of the evaluation tokens' losses from step t to 2t, drawn at t. Grey: range "
            "of t_d over the runs."
        ),
    ),
    Target(
        id="fig04",
        kind="figure",
        number=4,
        title="Gradient destructive interference",
        section="3.2",
        inputs=("gradient_opposition", "fits"),
        published=False,
        claims=True,
        caption=(
            "Proxy gradient destructive interference (Eq. 4, A.3) on evaluation tokens, mean over "
            "the coordinates of all but embedding weights. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig05",
        kind="figure",
        number=5,
        title="Contributions of D and M to the loss improvement",
        section="3.3",
        inputs=("delta_loss", "fits"),
        published=False,
        caption=(
            "Training trajectories in destructive interference D and mean magnitude M of the "
            "changes of per-token losses from step t to 2t; thin lines join equal "
            "|ΔL| = M(1 - D) (Eq. 6). Circles: first point; dotted: into the interval that "
            "holds t_d; triangles: last point."
        ),
    ),
    Target(
        id="fig06",
        kind="figure",
        number=6,
        title="Gradient opposition and the direction of the update",
        section="3.4",
        inputs=(),
        published=False,
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
        kind="figure",
        number=7,
        title="Decomposition of first-order interference",
        section="3.4",
        inputs=("token_gradients", "fits"),
        published=False,
        claims=True,
        caption=(
            "Interference of the first-order changes of evaluation tokens' losses, D = "
            "1 - C_g C(u,G) / C(u,g) (Eq. 9): the part of gradient opposition, C_g, and that of "
            "projecting gradients onto the update, on axes with powers of ten of one length. "
            "Per-token gradients: {experiment.measurements.token_gradients.estimator}; bars, "
            "where tokens are sampled: one standard error. Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig08",
        kind="figure",
        number=8,
        title="Per-token loss landscapes of the largest model",
        section="3.4",
        inputs=("token_landscapes", "fits"),
        published=False,
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
        kind="figure",
        number=9,
        title="First-order training dynamics",
        section="3.4",
        inputs=("cross_section", "fits"),
        published=False,
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
        kind="figure",
        number=10,
        title="Sharpness along the update",
        section="3.4",
        inputs=("cross_section", "fits"),
        published=False,
        claims=True,
        caption=(
            "Sharpness of the mean evaluation loss along the next update: second-order "
            "coefficient of a quadratic fit over |α| ≤ "
            "{experiment.measurements.cross_section.sharpness_window:g}, α in Euclidean norm of "
            "the parameters. Logarithmic, and linear around zero if some values are negative. "
            "Grey: range of t_d over the runs."
        ),
    ),
    Target(
        id="fig11",
        kind="figure",
        number=11,
        title="Terms of the first-order loss improvement",
        section="4",
        inputs=("single_step", "fits"),
        published=False,
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
        kind="figure",
        number=12,
        title="Histograms of gradient destructive interference",
        section="4.2",
        inputs=("gradient_histograms", "fits"),
        published=False,
        caption=(
            "Coordinates of all but embedding weights by their proxy gradient destructive "
            "interference (Eq. 4, A.3), as densities, at checkpoints around deceleration."
        ),
    ),
    Target(
        id="fig13",
        kind="figure",
        number=13,
        title="Raw and smoothed train loss",
        section="A.2",
        inputs=("train_loss",),
        published=False,
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
        id="table1",
        kind="table",
        number=1,
        title="Loss deceleration measurements",
        section="2",
        inputs=("fits",),
        published=True,
        caption=(
            "Loss deceleration measurements (Eq. 2) from fits to steps > {experiment.fits.cut} "
            "of the smoothed train loss."
        ),
    ),
    Target(
        id="table2",
        kind="table",
        number=2,
        title="Loss improvement by model size",
        section="4.1",
        inputs=("eval_loss",),
        published=False,
        runs=2,
        caption="Difference in evaluation loss (nats) between consecutive model sizes at step t.",
    ),
    Target(
        id="table3",
        kind="table",
        number=3,
        title="Model and optimizer parameters",
        section="A.1",
        inputs=(),
        published=False,
        caption="Model and optimizer parameters of the runs; parameters include embeddings.",
    ),
    Target(
        id="table4",
        kind="table",
        number=4,
        title="BNSL parameters",
        section="A.2",
        inputs=("fits",),
        published=True,
        caption=(
            "BNSL parameters (Eq. 1) with their standard errors, and root standard log error "
            "(RSLE), from fits to steps > {experiment.fits.cut} of the smoothed train loss."
        ),
    ),
)
BY_ID: Mapping[str, Target] = {target.id: target for target in TARGETS}
"""The targets by name."""


def available(experiment: Experiment) -> tuple[Target, ...]:
    """The figures and tables that an experiment can make, in the order of ``TARGETS``.

    A suite of imported curves alone makes those that such curves suffice for: Fig. 2 and
    Tables 1 and 4. Token gradients of a sample do not suffice for Fig. 14.
    """

    def possible(target: Target) -> bool:
        trained, imported = suite_runs(experiment, target.suite)
        usable = [*trained, *imported] if target.published else trained
        sampled = experiment.measurements.token_gradients.estimator == "sampled"
        return len(usable) >= target.runs and not (target.exact and sampled)

    return tuple(target for target in TARGETS if possible(target))


def suite_runs(experiment: Experiment, suite: str) -> tuple[list[str], list[str]]:
    """Names of the runs of a suite that are trained, and of those that are imported."""
    if suite not in experiment.suites:
        return [], []
    settings = experiment.suites[suite]
    return list(settings.runs), list(settings.imported.names) if settings.imported else []


def caption(target: Target, experiment: Experiment) -> str:
    """The caption of a target, filled from the configuration; for figures, what is imported."""
    text = f"{target.heading}: {target.caption.format(experiment=experiment)}"
    _, imported = suite_runs(experiment, target.suite)
    if target.kind == "table" or not target.inputs:
        return text  # its notes say it; or it shows no run
    if imported and target.published:
        text += f" * imported, not trained here: {', '.join(imported)}."
    elif imported:
        text += f" Left out, since only smoothed curves are imported: {', '.join(imported)}."
    return text
