"""From tables and curves to a comparison with the paper's, value by value."""


rule compare:
    """Deviations from the paper's tables and published curves, and which are comparable."""
    input:
        unpack(compared_files),
    output:
        csv=report(
            f"{RESULTS}/compare/compare.csv",
            caption="../report/caption.rst",
            category=BEYOND,
            labels={"title": COMPARISON, "what": "values"},
        ),
        md=f"{RESULTS}/compare/compare.md",
        html=report(
            f"{RESULTS}/compare/compare.html",
            caption="../report/caption.rst",
            category=BEYOND,
            labels={"title": COMPARISON, "what": "table"},
        ),
        lineage=f"{LINEAGE}/compare/compare.json",
    log:
        f"{LOGS}/compare/compare.log",
    threads: THREADS
    resources:
        **needs("compare"),
    params:
        **({"text": evaluated_on()} if FETCHED else {}),
        code=code(
            "compare.py",
            modules=[TARGETS[table].module for table in COMPARED],
            files=[path for table in COMPARED for path in printed_values(table)],
        ),
        packages=packages("numpy", "pandas", "scipy", "tabulate"),
        threads=THREADS,
        printed=[path for table in COMPARED for path in printed_values(table)],
        tables={table: study(table) for table in COMPARED},
        curves=study(COMPARED[0]) if COMPARED else {},
        shown=f"{COMPARISON}, {EXPERIMENT.experiment}: deviation is ours less theirs.",
    message:
        "Comparison with the paper"
    script:
        "../scripts/compare.py"
