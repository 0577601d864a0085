"""From step records and measurements to tidy CSV tables, one per run and kind."""


rule train_loss:
    """The train loss of every step, smoothed and subsampled (A.2, Fig. 13)."""
    input:
        lambda wildcards: [
            f"{RESULTS}/training/{wildcards.run}/{segment.name}.steps.csv"
            for segment in PLAN.layout(wildcards.run).segments
        ],
    output:
        csv=f"{RESULTS}/curves/train_loss/{{run}}.csv",
        lineage=f"{LINEAGE}/curves/train_loss/{{run}}.json",
    log:
        f"{LOGS}/curves/train_loss/{{run}}.log",
    wildcard_constraints:
        run=any_of(PLAN.trained),
    threads: THREADS
    resources:
        **needs("train_loss"),
    params:
        code=code("train_loss.py"),
        packages=packages("numpy", "pandas"),
        threads=THREADS,
        curves=EXPERIMENT.curves.model_dump(mode="json", include={"k", "first"}),
    message:
        "Train loss of {wildcards.run}"
    script:
        "../scripts/train_loss.py"


rule imported_loss:
    """The train loss of a run that was trained elsewhere, and what was found in its file."""
    input:
        lambda wildcards: imported_file(PLAN.logged_elsewhere[wildcards.run]),
    output:
        csv=f"{RESULTS}/curves/train_loss/{{run}}.csv",
        facts=f"{RESULTS}/curves/train_loss/{{run}}.json",
        lineage=f"{LINEAGE}/curves/train_loss/{{run}}.json",
    log:
        f"{LOGS}/curves/train_loss/{{run}}.log",
    wildcard_constraints:
        run=any_of(PLAN.logged_elsewhere),
    threads: THREADS
    resources:
        **needs("imported_loss"),
    params:
        code=code("imported_loss.py"),
        packages=packages("numpy", "pandas"),
        threads=THREADS,
        source=lambda wildcards: PLAN.logged_elsewhere[wildcards.run].model_dump(
            mode="json", exclude={"path", "url", "sha256", "parameters"}
        ),
        curves=EXPERIMENT.curves.model_dump(mode="json", include={"k", "first"}),
    message:
        "Imported train loss of {wildcards.run}"
    script:
        "../scripts/imported_loss.py"


rule evaluated_loss:
    """The evaluation loss of checkpoints in place of a train loss that is not known."""
    input:
        f"{RESULTS}/curves/eval_loss/{{run}}.csv",
    output:
        csv=f"{RESULTS}/curves/train_loss/{{run}}.csv",
        facts=f"{RESULTS}/curves/train_loss/{{run}}.json",
        lineage=f"{LINEAGE}/curves/train_loss/{{run}}.json",
    log:
        f"{LOGS}/curves/train_loss/{{run}}.log",
    wildcard_constraints:
        run=any_of(
            PLAN.runs.keys() - PLAN.trained.keys() - PLAN.logged_elsewhere.keys()
        ),
    threads: THREADS
    resources:
        **needs("evaluated_loss"),
    params:
        code=code("evaluated_loss.py"),
        packages=packages("pandas"),
        threads=THREADS,
    message:
        "Evaluation loss of {wildcards.run} for its train loss"
    script:
        "../scripts/evaluated_loss.py"


rule measured:
    """Means over evaluation tokens: the loss, or D and M of its changes (Figs 3 and 5)."""
    input:
        lambda wildcards: measurement_files(wildcards.curve, wildcards.run),
    output:
        csv=f"{RESULTS}/curves/{{curve}}/{{run}}.csv",
        lineage=f"{LINEAGE}/curves/{{curve}}/{{run}}.json",
    log:
        f"{LOGS}/curves/{{curve}}/{{run}}.log",
    wildcard_constraints:
        curve=any_of(set(MEASUREMENT_OF) - set(OTHER_CURVES)),
        run=any_of(PLAN.runs),
    threads: THREADS
    resources:
        **needs("measured"),
    params:
        code=code("measured.py"),
        packages=packages("numpy", "pandas", "h5py"),
        threads=THREADS,
        options=lambda wildcards: curve_options(wildcards.curve),
    message:
        "Curve {wildcards.curve} of {wildcards.run}"
    script:
        "../scripts/measured.py"
