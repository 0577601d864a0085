"""Figures and tables that go beyond the paper."""

from __future__ import annotations

from zsl.registry.target import Target

EXTRAS: tuple[Target, ...] = (
    Target(
        id="breakdown",
        kind="figure",
        number=None,
        title="Destructive interference by position and frequency",
        section="3.2",
        inputs=("breakdown", "fits"),
        published=False,
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
        kind="figure",
        number=None,
        title="Sensitivity of the fits",
        section="A.2",
        inputs=("sensitivity", "fits"),
        published=True,
        caption=(
            "L_d, t_d and r_d of fits in which one choice is changed: the end T of the curve, the "
            "cut (steps up to it are left out), and k of the smoothing, which needs losses of "
            "single steps. Circles: the choices of the tables; crosses: no break within the "
            "fitted steps. Lines beyond the axes are cut off."
        ),
    ),
    Target(
        id="table1_common",
        kind="table",
        number=None,
        title="Loss deceleration measurements at a common T",
        section="2",
        inputs=("train_loss", "fits"),
        published=True,
        caption=(
            "Table 1 from fits to the same steps of all curves: those > {cut} up "
            "to the last step T that all have. Two fits are comparable only at the same T."
        ),
    ),
)
