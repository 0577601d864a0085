"""Hold tables and curves against the paper's, value by value."""

from zsl.job import job

MODULES = [f"zsl.tables.{table}" for table in snakemake.params.tables]
with job(snakemake, modules=MODULES, files=snakemake.params.printed):
    from pathlib import Path

    import pandas as pd

    from zsl.compare.curves import compare_losses, compare_measured, paper_T
    from zsl.compare.page import markdown, page
    from zsl.compare.tables import compare_table
    from zsl.files import write_text
    from zsl.study import make_study, write_csv

    given, params, out = dict(snakemake.input.items()), snakemake.params, snakemake.output
    losses = given.get("published_losses")
    T = paper_T(Path(losses)) if losses else {}
    frames = [
        compare_table(name, Path(given[name]), make_study(study, {}), T)
        for name, study in params.tables.items()
    ]
    kinds = ("train_loss", "delta_loss", "gradient_opposition")
    curves = make_study(params.curves, {kind: given[kind] for kind in kinds if kind in given})
    if losses:
        frames.append(compare_losses(Path(losses), curves))
    for kind in kinds[1:]:
        if (path := given.get(f"published_{kind}")) and kind in given:
            frames.append(compare_measured(Path(path), curves, kind, params.get("text", "")))
    table = pd.concat(frames, ignore_index=True)
    write_csv(out.csv, table)
    write_text(out.md, markdown(table, curves.experiment))
    write_text(out.html, page(table, curves.experiment))
