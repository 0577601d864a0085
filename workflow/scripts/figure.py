"""Draw one figure of the registry; write the data behind it and its caption."""

from zsl.job import job

with job(snakemake, modules=[f"zsl.figures.{snakemake.wildcards.figure}"]) as facts:
    from zsl.checkpoints.words import sentences as faulty
    from zsl.claims import sentences, verdicts
    from zsl.figures import render
    from zsl.files import read_json, write_text
    from zsl.fits.words import sentences as doubtful
    from zsl.study import make_study

    figure, out = snakemake.wildcards.figure, snakemake.output
    study = make_study(snakemake.params.study, dict(snakemake.input.items()))
    facts["shown"] = study.shown()
    render.write(figure, study, {kind: out[kind] for kind in ("csv", "pdf", "svg")})
    claims = getattr(render.module(figure), "CLAIMS", ())
    said = sentences(verdicts(figure, claims, study), study.experiment) if claims else []
    doubts = doubtful(study.all_fits()) if "fits" in study.files else []
    faults = faulty(read_json(path) for path in study.files.get("faults", ()))
    said = [snakemake.params.caption, *said, *doubts, *faults]
    write_text(out.caption, "\n\n".join(said) + "\n")
