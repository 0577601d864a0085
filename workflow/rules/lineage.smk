"""From all records to one digest, which the report shows.

This job alone reads records. What runs with its target ``all`` makes the records of the figures
and tables anew, and so this page; after jobs that were asked for by name, `make report` does.
"""


rule provenance:
    """The root digest of the whole history, and the digests of the records behind it."""
    input:
        [f"{LINEAGE}/{target.kind}s/{id}.json" for id, target in TARGETS.items()],
        f"{LINEAGE}/compare/compare.json" if COMPARED else [],
    output:
        html=report(
            f"{RESULTS}/provenance/root.html",
            caption="../report/caption.rst",
            category="Provenance",
            labels={"title": "Root digest", "what": "page"},
        ),
        listing=f"{RESULTS}/provenance/records.sha256",
        lineage=f"{LINEAGE}/provenance/root.json",
    log:
        f"{LOGS}/provenance/root.log",
    threads: THREADS
    resources:
        **needs("provenance"),
    params:
        code=code("provenance.py"),
        threads=THREADS,
        experiment=EXPERIMENT.experiment,
        shown=f"One digest of the history of {EXPERIMENT.experiment}.",
    message:
        "Root digest of all records"
    script:
        "../scripts/provenance.py"
