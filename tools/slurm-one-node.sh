#!/usr/bin/env bash
# Slurm on this one machine, to try what a cluster will do: jobs of a profile sent through Snakemake's Slurm executor.
#
#     tools/slurm-one-node.sh up                                  # as root, on Debian: install, configure, start
#     tools/slurm-one-node.sh run profiles/demo.yaml [ARGUMENT..] # what follows goes to snakemake (targets, --dry-run)
#     tools/slurm-one-node.sh down                                # stop; the configuration goes, results stay
#
# It needs neither systemd nor cgroups (containers have none) nor Slurm's database: jobs are watched by squeue. On a real
# cluster `up` is not needed, and `run` is the command to start from.
set -euo pipefail
cd "$(dirname "$0")/.."

CONF=/etc/slurm/slurm.conf
STATE=/var/lib/slurm-one-node
MARK="# made by tools/slurm-one-node.sh"

fail() { echo "slurm-one-node: $*" >&2; exit 1; }

as_root() { [ "$(id -u)" -eq 0 ] || fail "'$1' starts system services: run it as root"; }

ours() { [ ! -e "$CONF" ] || grep -qF "$MARK" "$CONF" || fail "$CONF is another Slurm's configuration and stays as it is; use 'run' with that Slurm"; }

stop() {
    for daemon in slurmd slurmctld; do
        pkill -x "$daemon" || true
        for _ in $(seq 50); do pgrep -x "$daemon" >/dev/null || break; sleep 0.1; done
    done
}

up() {
    as_root up
    ours
    if ! command -v slurmctld slurmd srun munged >/dev/null; then
        command -v apt-get >/dev/null || fail "slurmctld, slurmd, slurm-client and munge are missing, and there is no apt-get to install them"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
    fi
    stop
    mkdir -p "$(dirname "$CONF")" "$STATE/ctld" "$STATE/d" /run/munge
    local host memory
    host="$(hostname -s)"
    memory="$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)"
    cat >"$CONF" <<CONFIGURATION
$MARK
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
# no cgroups, no database: finished jobs stay visible to squeue for ten minutes
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MinJobAge=600
# a node that was shut down badly comes back by itself
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONFIGURATION
    [ -e /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; }
    chown munge: /etc/munge/munge.key /run/munge
    chmod 400 /etc/munge/munge.key
    pgrep -x munged >/dev/null || runuser -u munge -- munged || fail "munged does not start: see /var/log/munge/munged.log"
    slurmctld || fail "slurmctld does not start: see $STATE/slurmctld.log"
    slurmd || fail "slurmd does not start: see $STATE/slurmd.log"
    for _ in $(seq 100); do
        case "$(sinfo --noheader --format=%T 2>/dev/null)" in
            idle | mixed | allocated)
                echo "Slurm is up: $(sinfo --noheader --format='node %n, %c cores, %m MB, %T')"
                return
                ;;
            down* | drain*) scontrol update "nodename=$host" state=resume 2>/dev/null || true ;;
        esac
        sleep 0.3
    done
    fail "the node does not become idle (it is '$(sinfo --noheader --format=%T 2>&1)'): see $STATE/slurmctld.log and slurmd.log"
}

run() {
    [ $# -ge 1 ] || fail "run needs a profile: tools/slurm-one-node.sh run profiles/demo.yaml"
    local profile=$1
    shift
    [ -f "$profile" ] || fail "there is no profile $profile"
    command -v sinfo >/dev/null || fail "there is no Slurm here: 'up' installs one"
    timeout 20 sinfo >/dev/null 2>&1 || fail "Slurm does not answer (sinfo): 'up' starts it on this machine"
    [ -x .venv/bin/snakemake ] || fail "there is no .venv: 'make setup' makes it"
    # Few seconds between looks at the queue: on one machine that costs nobody anything
    exec .venv/bin/snakemake "$@" --executor slurm --jobs 10 --cores "$(nproc)" --slurm-no-account --slurm-status-command squeue \
        --default-resources slurm_partition=main mem_mb=2000 runtime=240 \
        --slurm-init-seconds-before-status-checks 3 --seconds-between-status-checks 5 --latency-wait 10 \
        --nolock --rerun-incomplete --configfile "$profile"
}

down() {
    as_root down
    ours
    stop
    rm -rf "$STATE" "$CONF"
    echo "Slurm is down"
}

case "${1:-}" in
    up | down) "$1" ;;
    run) shift; run "$@" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
