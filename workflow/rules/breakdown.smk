"""From loss changes to D and M within groups of tokens."""


rule breakdown_curve:
    """D and M of the loss changes by position and by frequency of the predicted token."""
    input:
        changes=lambda wildcards: measurement_files("breakdown", wildcards.run),
        tokens=lambda wildcards: token_manifest(wildcards.run),
        token_files=lambda wildcards: ancient(token_folder(wildcards.run)),
    output:
        csv=f"{RESULTS}/curves/breakdown/{{run}}.csv",
        lineage=f"{LINEAGE}/curves/breakdown/{{run}}.json",
    log:
        f"{LOGS}/curves/breakdown/{{run}}.log",
    wildcard_constraints:
        run=any_of(PLAN.runs),
    threads: THREADS
    resources:
        **needs("breakdown_curve"),
    params:
        code=code("breakdown.py"),
        packages=packages("numpy", "pandas", "h5py"),
        threads=THREADS,
        options={"groups": EXPERIMENT.curves.groups},
    message:
        "Breakdown of loss changes of {wildcards.run}"
    script:
        "../scripts/breakdown.py"
