"""From smoothed train losses to one-break BNSL fits (Eqs. 1 and 2), one per run."""


rule fit:
    """Parameters, their errors, RSLE, and L_d, t_d, r_d with intervals, T and the cut."""
    input:
        curve=f"{RESULTS}/curves/train_loss/{{run}}.csv",
        facts=lambda wildcards: (
            [f"{RESULTS}/curves/train_loss/{wildcards.run}.json"]
            if wildcards.run not in PLAN.trained
            else []
        ),
    output:
        json=f"{RESULTS}/fits/{{run}}.json",
        lineage=f"{LINEAGE}/fits/{{run}}.json",
    log:
        f"{LOGS}/fits/{{run}}.log",
    threads: THREADS
    resources:
        **needs("fit"),
    params:
        code=code("fit.py"),
        packages=packages("numpy", "scipy", "pandas"),
        threads=THREADS,
        settings=lambda wildcards: {
            "cut": PLAN.cut(wildcards.run),
            "k": EXPERIMENT.curves.k,
            "replicates": EXPERIMENT.fits.bootstrap,
            "block": EXPERIMENT.fits.block,
            "seed": EXPERIMENT.fits.seed,
        },
        imported=lambda wildcards: wildcards.run in PLAN.imported,
    message:
        "Fit of {wildcards.run}"
    script:
        "../scripts/fit.py"
