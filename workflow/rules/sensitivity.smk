"""From train losses to fits with other ends, cuts and smoothings, one table per run."""


rule sensitivity_curve:
    """L_d, t_d and r_d by T, by the cut and, where single losses are known, by k."""
    input:
        curve=f"{RESULTS}/curves/train_loss/{{run}}.csv",
        steps=lambda wildcards: (
            [
                f"{RESULTS}/training/{wildcards.run}/{segment.name}.steps.csv"
                for segment in PLAN.layout(wildcards.run).segments
            ]
            if wildcards.run in PLAN.trained
            else []
        ),
    output:
        csv=f"{RESULTS}/curves/sensitivity/{{run}}.csv",
        lineage=f"{LINEAGE}/curves/sensitivity/{{run}}.json",
    log:
        f"{LOGS}/curves/sensitivity/{{run}}.log",
    threads: THREADS
    resources:
        **needs("sensitivity_curve"),
    params:
        code=code("sensitivity.py"),
        packages=packages("numpy", "scipy", "pandas"),
        threads=THREADS,
        settings=lambda wildcards: {
            "cut": PLAN.cut(wildcards.run),
            "k": EXPERIMENT.curves.k,
            "first": EXPERIMENT.curves.first,
        },
    message:
        "Sensitivity of the fit of {wildcards.run}"
    script:
        "../scripts/sensitivity.py"
