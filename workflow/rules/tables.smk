"""From fits, curves and settings to the tables of the paper, in four formats each."""


rule table:
    """One table of the registry; its module alone makes it stale, not those of the others."""
    input:
        unpack(lambda wildcards: study_inputs(wildcards.table)),
    output:
        tex=f"{RESULTS}/tables/{{table}}.tex",
        md=f"{RESULTS}/tables/{{table}}.md",
        html=report(
            f"{RESULTS}/tables/{{table}}.html",
            caption="../report/caption.rst",
            category=lambda wildcards: TARGETS[wildcards.table].chapter,
            labels=lambda wildcards: report_labels(wildcards.table, "table"),
        ),
        csv=report(
            f"{RESULTS}/tables/{{table}}.csv",
            caption="../report/caption.rst",
            category=lambda wildcards: TARGETS[wildcards.table].chapter,
            labels=lambda wildcards: report_labels(wildcards.table, "values"),
        ),
        lineage=f"{LINEAGE}/tables/{{table}}.json",
    log:
        f"{LOGS}/tables/{{table}}.log",
    threads: THREADS
    resources:
        **needs("table"),
    params:
        code=lambda wildcards: code(
            "table.py",
            modules=[TARGETS[wildcards.table].module],
            files=printed_values(wildcards.table),
        ),
        packages=packages("numpy", "pandas", "tabulate"),
        threads=THREADS,
        printed=lambda wildcards: printed_values(wildcards.table),
        study=lambda wildcards: study(wildcards.table),
        caption=lambda wildcards: caption(wildcards.table),
        shown=lambda wildcards: caption(wildcards.table),
    message:
        "Making {wildcards.table}"
    script:
        "../scripts/table.py"


# Alias targets: `snakemake table1`.
for id in of_kind("table"):

    rule:
        name:
            id
        input:
            target_file(id, "html"),
