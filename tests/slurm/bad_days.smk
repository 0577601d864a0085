"""Jobs that sleep, submitted as those of the project are: what befalls them is up to the test."""

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from zsl.slurm.executor import Executor
from zsl.planning.growth import UNTRIED

if workflow.is_main_process:
    ExecutorPluginRegistry().get_plugin("slurm").executor = Executor


def memory(wildcards):
    return 100 * Executor.grown.get(("sleep", *wildcards), UNTRIED).memory


rule all:
    input:
        expand("made/{name}", name=config["names"].split()),


rule sleep:
    output:
        "made/{name}",
    resources:
        mem_mb=memory,
        runtime=10,
        slurm_partition=config.get("partition", "cpu"),
        slurm_extra=config.get("extra", ""),
        slurm_account=config.get("account", ""),
    shell:
        "touch begun-{wildcards.name}; . ./job.sh {wildcards.name}; touch {output}"
