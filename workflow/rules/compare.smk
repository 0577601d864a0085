"""From tables and curves to a comparison with the paper's, value by value."""

COMPARISON = "Ours against the paper"
COMPARED = [table for table in of_kind("table") if printed_values(table)]


def published_values():
    """The authors' values that can be read here, by what they are of.

    Only an experiment with the paper's models and data is held against their curves.
    """
    if not EXPERIMENT.comparable:
        return {}
    folder = Path(os.environ.get("ZSL_PUBLISHED_DIR", ""))
    named = {
        "published_losses": folder / "bnsl_fit.json",
        "published_delta_loss": folder / "loss_intrf_dt_t.csv",
        "published_gradient_opposition": folder / "grad_intrf_proxy.csv",
    }
    found = {key: str(path) for key, path in named.items() if path.is_file()}
    imported = [run for run in PLAN.run_ids("main") if run in PLAN.imported]
    if imported and "published_losses" not in found:
        found["published_losses"] = published_file(imported[0])
    return found


def compared_files(wildcards):
    """Tables and curves that are held against the paper's, and the authors' values."""
    published = published_values()
    files = {table: target_file(table, "csv") for table in COMPARED}
    trained = [run for run in PLAN.run_ids("main") if run in PLAN.runs]
    if "published_losses" in published:
        files["train_loss"] = [
            curve_file("train_loss", run) for run in PLAN.run_ids("main")
        ]
    for kind in ("delta_loss", "gradient_opposition"):
        if f"published_{kind}" in published and trained:
            files[kind] = [curve_file(kind, run) for run in trained]
    return {**files, **published}


rule compare:
    """Deviations from the paper's tables and published curves, and which are comparable."""
    input:
        unpack(compared_files),
    output:
        csv=report(
            f"{RESULTS}/compare/compare.csv",
            caption="../report/caption.rst",
            category=BEYOND,
            labels={"in the paper": "–", "title": COMPARISON, "what": "data"},
        ),
        md=f"{RESULTS}/compare/compare.md",
        html=report(
            f"{RESULTS}/compare/compare.html",
            caption="../report/caption.rst",
            category=BEYOND,
            labels={"in the paper": "–", "title": COMPARISON, "what": "table"},
        ),
        lineage=f"{LINEAGE}/compare/compare.json",
    log:
        f"{LOGS}/compare/compare.log",
    threads: THREADS
    params:
        code=code(
            "compare.py",
            modules=[TARGETS[table].module for table in COMPARED],
            files=[path for table in COMPARED for path in printed_values(table)],
        ),
        packages=packages("numpy", "pandas", "scipy", "tabulate"),
        threads=THREADS,
        printed=[path for table in COMPARED for path in printed_values(table)],
        tables={table: study(table) for table in COMPARED},
        curves=study("table1") if "table1" in TARGETS else {},
        shown=f"{COMPARISON}, {EXPERIMENT.experiment}: deviation is ours less theirs.",
    message:
        "Comparison with the paper"
    script:
        "../scripts/compare.py"
