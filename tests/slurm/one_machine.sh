#!/usr/bin/env bash
# one_machine.sh check|start|stop: a real SLURM on this machine alone, for tests.
#
# For Debian, as root, without systemd, on loopback. Exit status 77 says "cannot be had here",
# and why. A machine that has a configuration of SLURM is never touched. `check` says whether
# `start` can work, and installs Debian's packages if they are missing; these stay. `stop` ends
# everything that ran and removes everything that `start` made.
#
# Two facts behind it. The jobs of Snakemake's executor drop SLURM_CONF, so the configuration has
# to be /etc/slurm/slurm.conf. Without accounting the state of a job is asked of squeue, which
# forgets a finished one after MinJobAge.
#
# It has two nodes, `left` and `right`, with two CPUs each, whatever the machine has, and GPUs
# that are devices that do nothing: two common ones each, and on `right` a scarce one. Partitions:
# `cpu` (default), `gpu`, `spot` and `urgent`, whose jobs preempt those of `spot`, which then are
# killed without notice and go back into the queue.
set -euo pipefail

FOLDER=${ONE_MACHINE_FOLDER:-/tmp/one-machine-slurm}
NAME=one-machine
CONFIGURATION=/etc/slurm/slurm.conf
PACKAGES=(slurmctld slurmd slurm-client munge)
DAEMONS=(slurmd.left slurmd.right slurmctld munged)

skip() { # reason
  echo "$*" >&2
  exit 77
}

ours() {
  [ "$(readlink "$CONFIGURATION" 2>/dev/null)" = "$FOLDER/slurm.conf" ]
}

wait_until() { # seconds, command...
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.1
  done
}

check() {
  [ "$(id -u)" = 0 ] || skip "only root can start the daemons of SLURM"
  [ ! -e "$CONFIGURATION" ] || ours ||
    skip "$CONFIGURATION exists: this machine belongs to a cluster"
  type slurmctld slurmd munged sbatch >/dev/null 2>&1 && return
  type apt-get >/dev/null 2>&1 || skip "SLURM is not installed, and there is no apt-get"
  { apt-get update && DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${PACKAGES[@]}"; } >/dev/null 2>&1 ||
    skip "Debian's packages ${PACKAGES[*]} cannot be installed"
}

write_configuration() { # name of this machine
  local memory
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.45)}' /proc/meminfo)
  mkdir -p "$FOLDER"/{state,log}
  chmod 755 "$FOLDER"
  (umask 077 && head -c 1024 /dev/urandom >"$FOLDER/munge.key")
  cat >"$FOLDER/gres.conf" <<END
NodeName=left,right Name=gpu Type=common File=/dev/null
NodeName=left,right Name=gpu Type=common File=/dev/zero
NodeName=right Name=gpu Type=scarce File=/dev/full
END
  cat >"$FOLDER/slurm.conf" <<END
ClusterName=$NAME
SlurmctldHost=$1(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munged.sock,cred_expire=10
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool.%n
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.%n.pid
SlurmctldLogFile=$FOLDER/log/slurmctld.log
SlurmdLogFile=$FOLDER/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=500
AccountingStorageType=accounting_storage/none
MinJobAge=3600
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName=left NodeHostname=$1 NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=$memory Gres=gpu:common:2
NodeName=right NodeHostname=$1 NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=$memory Gres=gpu:common:2,gpu:scarce:1
PartitionName=cpu Nodes=left,right Default=YES PriorityTier=1 PreemptMode=OFF
PartitionName=gpu Nodes=left,right PriorityTier=1 PreemptMode=OFF
PartitionName=spot Nodes=left,right PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes=left,right PriorityTier=2 PreemptMode=OFF
END
}

start_daemons() {
  munged --key-file="$FOLDER/munge.key" --socket="$FOLDER/munged.sock" \
    --pid-file="$FOLDER/munged.pid" --log-file="$FOLDER/log/munged.log" \
    --seed-file="$FOLDER/munge.seed" &&
    slurmctld -c -f "$FOLDER/slurm.conf" &&
    slurmd -N left -f "$FOLDER/slurm.conf" &&
    slurmd -N right -f "$FOLDER/slurm.conf"
}

start() {
  local host
  check
  stop
  host=$(hostname -s)
  write_configuration "$host"
  getent hosts "$host" >/dev/null || echo "127.0.0.1 $host # $NAME" >>/etc/hosts
  mkdir -p "${CONFIGURATION%/*}"
  ln -s "$FOLDER/slurm.conf" "$CONFIGURATION"
  if start_daemons && wait_until 60 timeout 10 srun --nodes=2 --time=1 true; then
    echo "SLURM is up; its logs are in $FOLDER/log"
  else
    tail -n 20 "$FOLDER"/log/slurm*.log >&2 || true
    stop
    skip "SLURM did not come up"
  fi
}

left_over() { # processes of its jobs
  grep --files-with-matches --null-data "^SLURM_CLUSTER_NAME=$NAME$" /proc/[0-9]*/environ \
    2>/dev/null | cut -d / -f 3
}

stop() {
  local jobs daemon pid hosts
  ours || return 0
  jobs=$(timeout 10 squeue --noheader --format=%A || true)
  # shellcheck disable=SC2086 # a list of numbers
  [ -z "$jobs" ] || timeout 20 scancel --full --signal=KILL $jobs || true
  wait_until 10 bash -c '! pgrep -x slurmstepd' || true
  for daemon in "${DAEMONS[@]}"; do
    pid=$(cat "$FOLDER/$daemon.pid" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null || continue
    wait_until 10 bash -c "! kill -0 $pid" || kill -KILL "$pid"
  done
  for pid in $(left_over); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -f "$CONFIGURATION"
  rmdir --ignore-fail-on-non-empty "${CONFIGURATION%/*}"
  if hosts=$(grep -v "# $NAME\$" /etc/hosts) && [ "$hosts" != "$(cat /etc/hosts)" ]; then
    echo "$hosts" >/etc/hosts # written, not replaced: in a container it may be mounted
  fi
  rm -rf "$FOLDER"
}

case "${1:-}" in
check | start | stop) "$1" ;;
*) skip "usage: one_machine.sh check|start|stop" ;;
esac
