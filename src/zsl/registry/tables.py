"""The tables of the paper."""

from __future__ import annotations

from zsl.registry.target import Target

TABLES: tuple[Target, ...] = (
    Target(
        id="table1",
        kind="table",
        number=1,
        title="Loss deceleration measurements",
        section="2",
        inputs=("fits",),
        published=True,
        caption=(
            "Loss deceleration measurements (Eq. 2) from fits to steps > {cut} "
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
        settings=True,
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
            "(RSLE), from fits to steps > {cut} of the smoothed train loss."
        ),
    ),
)
