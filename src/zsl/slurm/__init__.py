"""Running on SLURM: what the executor plugin of Snakemake leaves to chance is decided here."""
