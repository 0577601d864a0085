"""Write the root digest of all records, and the digests that it is made of."""

from zsl.job import job

with job(snakemake):
    from pathlib import Path

    from zsl.files import write_text
    from zsl.lineage.root import listing, page, record_digests

    digests = record_digests(Path(snakemake.output.lineage).parents[1])
    write_text(snakemake.output.html, page(snakemake.params.experiment, digests))
    write_text(snakemake.output.listing, listing(digests))
