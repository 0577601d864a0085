"""From smoothed train losses to one-break BNSL fits (Eqs. 1 and 2), one per run."""


rule fit:
    """Parameters, their errors, RSLE, and L_d, t_d, r_d with T and the cut."""
    input:
        RESULTS + "/curves/train_loss/{run}.csv",
    output:
        json=RESULTS + "/fits/{run}.json",
        lineage=LINEAGE + "/fits/{run}.json",
    log:
        LOGS + "/fits/{run}.log",
    params:
        code=code("fit.py"),
        packages=packages("numpy", "scipy", "pandas"),
        threads=THREADS,
        cut=EXPERIMENT.fits.cut,
        k=EXPERIMENT.curves.k,
        imported=lambda wildcards: wildcards.run in PLAN.imported,
        note=lambda wildcards: (
            PLAN.imported[wildcards.run].note if wildcards.run in PLAN.imported else ""
        ),
    threads: THREADS
    message:
        "Fit of {wildcards.run}"
    script:
        "../scripts/fit.py"
