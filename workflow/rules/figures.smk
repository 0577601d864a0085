"""From fits and curves to the figures of the paper, each with the data behind it."""


rule figure:
    """One figure of the registry; its module alone makes it stale, not those of the others."""
    input:
        unpack(lambda wildcards: study_inputs(wildcards.figure)),
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        svg=report(
            f"{RESULTS}/figures/{{figure}}.svg",
            caption="../report/caption.rst",
            category=lambda wildcards: TARGETS[wildcards.figure].chapter,
            labels=lambda wildcards: report_labels(wildcards.figure, "figure"),
        ),
        csv=report(
            f"{RESULTS}/figures/{{figure}}.csv",
            caption="../report/caption.rst",
            category=lambda wildcards: TARGETS[wildcards.figure].chapter,
            labels=lambda wildcards: report_labels(wildcards.figure, "values"),
        ),
        caption=f"{RESULTS}/figures/{{figure}}.md",
        lineage=f"{LINEAGE}/figures/{{figure}}.json",
    log:
        f"{LOGS}/figures/{{figure}}.log",
    threads: THREADS
    resources:
        **needs("figure"),
    params:
        code=lambda wildcards: code(
            "figure.py", modules=[TARGETS[wildcards.figure].module]
        ),
        packages=packages("numpy", "pandas", "matplotlib", "scipy"),
        threads=THREADS,
        study=lambda wildcards: study(wildcards.figure),
        caption=lambda wildcards: caption(wildcards.figure),
        shown=lambda wildcards, output: shown_caption(wildcards.figure, output.caption),
    message:
        "Making {wildcards.figure}"
    script:
        "../scripts/figure.py"


# Alias targets: `snakemake fig05`.
for id in of_kind("figure"):

    rule:
        name:
            id
        input:
            target_file(id, "svg"),
