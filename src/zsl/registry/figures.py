"""The figures of the paper's main text."""

from __future__ import annotations

from zsl.registry.target import Target

FIGURES: tuple[Target, ...] = (
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
            "by a one-break BNSL (Eq. 1; bold), fitted to steps > {cut}. Dashed: "
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
            "changes of the evaluation tokens' losses from step t to 2t, drawn at t. Bands: 95 % "
            "intervals over evaluation sequences. Grey: range of t_d over the runs."
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
            "holds t_d; triangles: last point. Bars: 95 % intervals over evaluation sequences."
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
            "Dotted: what C_g would be if each token's gradient had a random sign, which no "
            "number of tokens but an infinite one brings to 0. "
            "Per-token gradients: of {experiment.measurements.token_gradients.taken}; bars, where "
            "not of all: one standard error. Grey: range of t_d over the runs."
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
            "coefficient of a quadratic fit up to "
            "{experiment.measurements.cross_section.sharpness_updates:g} updates to either side, "
            "in nats per squared Euclidean norm of the parameters. Logarithmic, and linear around "
            "zero if some values are negative. Grey: range of t_d over the runs."
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
)
