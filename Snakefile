# Loss deceleration and zero-sum learning: from text to every table and figure.
#
#   snakemake --cores all             the default experiment, mini
#   snakemake --cores all fig05       one figure
#   snakemake --profile slurm all --configfile config/paper.yaml
#                                     the paper, on a cluster
from snakemake.utils import min_version

min_version("9.27")


# Several --configfile merge; mini is read only when none is given: its runs would leak in.
if not workflow.configfiles:

    configfile: "config/config.yaml"


# The whole environment for --sdm apptainer, built from envs/container.def.
container: "envs/zsl.sif"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/running.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/order.smk"
include: "workflow/rules/fetching.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/curves.smk"
include: "workflow/rules/sensitivity.smk"
include: "workflow/rules/breakdown.smk"
include: "workflow/rules/fits.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/lineage.smk"


# Every table and figure that this experiment can make, the comparison with the paper, and the
# root digest of all records.
rule all:
    default_target: True
    input:
        [shown_file(target) for target in TARGETS],
        f"{RESULTS}/compare/compare.html" if COMPARED else [],
        f"{RESULTS}/provenance/root.html",


# Those of suite main alone.
rule main:
    input:
        [shown_file(id) for id, made in TARGETS.items() if made.suites == ("main",)],


check_typed()
