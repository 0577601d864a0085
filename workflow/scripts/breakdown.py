"""Measure D and M of loss changes within groups of tokens."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    import numpy as np

    from zsl.curves.breakdown import breakdown, by_frequency, by_position, token_counts
    from zsl.data.manifest import read_manifest
    from zsl.data.tokens import open_split
    from zsl.study import write_csv

    groups = snakemake.params.options["groups"]
    manifest = read_manifest(Path(snakemake.input.tokens))
    folder = Path(snakemake.input.token_files)
    evaluation = open_split(folder, manifest, "eval").batch(np.arange(manifest.sequences))
    predicted = evaluation[:, 1:]
    counts = token_counts(open_split(folder, manifest, "train"), manifest.vocab_size)
    groupings = by_position(predicted.shape, groups), by_frequency(predicted, counts, groups)
    paths = [Path(path) for path in snakemake.input.changes]
    write_csv(snakemake.output.csv, breakdown(snakemake.wildcards.run, paths, groupings))
