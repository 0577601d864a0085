"""In which order checkpoints of others are fetched, and what they are made from."""

from zsl.planning.fetching import Window, checkpoints_of, forget, waited_for

FETCHED = {id: run for id, run in PLAN.runs.items() if run.source}
# What each fetched checkpoint is measured by in this call. The order is made by the Snakemake that
# schedules the jobs, not by those that run one of them.
WORDS = typed()
MEASURED_BY = waited_for(PLAN, WORDS.targets) if FETCHED and WORDS is not None else {}


def measured_by(run, segment):
    """The files of what a fetched checkpoint is measured by in this call."""
    kinds = MEASURED_BY.get((run, segment), ())
    return [f"{RESULTS}/measurements/{kind}/{run}/{segment}.h5" for kind in kinds]


# Only what has to be measured stands in the order: what is there and is not stale stays as it is,
# and Snakemake asks that of no job after one that runs.
WINDOW = Window.of(
    PLAN,
    {run: size(run) for run in FETCHED if MEASURED_BY},
    EXPERIMENT.fetched,
    done={
        place for place in MEASURED_BY if all(map(os.path.exists, measured_by(*place)))
    },
)


def dropped(run, segment):
    """Marker of a checkpoint that lies on the disk no more."""
    return f"{RESULTS}/state/dropped/{run}/{segment}"


def fetched_after(wildcards):
    """What has to be dropped before a checkpoint is fetched."""
    before = WINDOW.before.get((wildcards.run, wildcards.segment))
    return dropped(*before) if before else []


def dropped_after(wildcards):
    """The measurements of a checkpoint, and the one before it in the order of the configuration."""
    previous = WINDOW.previous.get((wildcards.run, wildcards.segment))
    files = measured_by(wildcards.run, wildcards.segment)
    return [*files, *([dropped(*previous)] if previous else [])]


def forget_order():
    """Let Snakemake forget after what each checkpoint was fetched."""
    for run in FETCHED:
        for segment in PLAN.layout(run).segments:
            folder = segment_folder(run, segment)
            made = [folder, f"{folder}.manifest.json"]
            made.append(f"{LINEAGE}/checkpoints/{run}/{segment.name}.json")
            forget([*made, dropped(run, segment.name)], Path(".snakemake/metadata"))


if WORDS is not None:
    forget_order()


def source_files(run, segment):
    """Files of a segment's checkpoints that lie here, none where they are fetched."""
    found = PLAN.runs[run].source
    steps = PLAN.layout(run).blocks[segment]
    return [str(path) for path in checked(checkpoints_of, found, steps)]


def source_of(run, segment):
    """What the fetched checkpoints of a segment depend on, as plain values."""
    source = PLAN.runs[run].source
    names = source.revision
    if isinstance(names, dict):
        names = {step: names[step] for step in PLAN.layout(run).blocks[segment]}
    asked = {"repository", "folder", "optimizer", "repair"}
    return {**source.model_dump(mode="json", include=asked), "revision": names}


# Kept where the configuration says so.
temporary = (lambda path: path) if EXPERIMENT.fetched.keep else temp
