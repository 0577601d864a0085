"""Download a file of loss curves."""

from zsl.job import job

with job(snakemake):
    import shutil
    from pathlib import Path

    from zsl.config.sources import Remote
    from zsl.data.download import fetch
    from zsl.files import replacing

    fetched = fetch(Remote.model_validate(snakemake.params.source), Path(snakemake.params.state))
    with replacing(snakemake.output.file) as temporary:
        shutil.copyfile(fetched.path, temporary)
