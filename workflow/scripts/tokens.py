"""Make the tokens, the tokenizer and the manifest of a corpus."""

from zsl.job import job

with job(snakemake) as facts:
    from pathlib import Path

    from zsl.config.load import resolve
    from zsl.config.schema import Corpus
    from zsl.data.budget import requirement
    from zsl.data.corpus import build_corpus
    from zsl.data.tasks import task_files

    name, out = snakemake.wildcards.corpus, snakemake.output
    # What the runs need is checked, but is no parameter: longer runs do not remake the corpus.
    plan = resolve(snakemake.config)
    unseen = plan.experiment.measurements.single_step.batches
    corpus = Corpus.model_validate(snakemake.params.corpus)
    facts["sources"] = task_files(corpus.exclude_tasks)
    build_corpus(
        name,
        corpus,
        tokens_folder=Path(out.folder),
        tokenizer_path=Path(out.tokenizer),
        manifest_path=Path(out.manifest),
        state=Path(snakemake.params.state),
        root=Path.cwd(),
        threads=snakemake.threads,
        requirements=[
            requirement(id, run, unseen=unseen)
            for id, run in plan.runs.items()
            if run.corpus == name
        ],
    )
