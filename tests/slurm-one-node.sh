#!/usr/bin/env bash
# Slurm on this one machine, to try what a cluster will do: a profile's jobs sent through Snakemake's Slurm executor.
#
#     tests/slurm-one-node.sh up                                  # as root, on Debian: install, configure, start
#     tests/slurm-one-node.sh run profiles/demo.yaml [ARGUMENT..] # what follows goes to snakemake (targets, --dry-run)
#     tests/slurm-one-node.sh down                                # cancel its jobs, stop; results stay, packages too
#
# It needs neither systemd nor cgroups nor Slurm's database: containers have none. Where a Slurm is already at work, `run`
# uses that one, and `up` and `down` refuse.
set -euo pipefail
cd "$(dirname "$0")/.."

CONF=/etc/slurm/slurm.conf
STATE=/var/lib/slurm-one-node
MARK="# made by tests/slurm-one-node.sh"

fail() { echo "slurm-one-node: $*" >&2; exit 1; }

made_here() { [ "${SLURM_CONF:-$CONF}" = "$CONF" ] && grep -qxF "$MARK" "$CONF" 2>/dev/null; }

may_change() {
    [ "$(id -u)" -eq 0 ] || fail "'$1' starts and stops system services: run it as root"
    made_here && return
    local other=${SLURM_CONF:-$CONF}
    [ ! -e "$other" ] || fail "$other is another Slurm's configuration and stays as it is: use 'run' with that Slurm"
    ! answers || fail "a Slurm that this script did not start answers here: use 'run' with it"
}

answers() { timeout 20 sinfo >/dev/null 2>&1; }

node_state() { timeout 20 sinfo --noheader --format=%T 2>/dev/null || echo "not known to slurmctld"; }

# The id of a daemon's process, by the file that it left: by its name another Slurm's could be meant. One that ended and
# that nobody waits for, as in a container without an init, is gone.
pid_of() {
    local pid
    pid="$(cat "$2" 2>/dev/null)" || return 1
    awk -v name="$1" '/^Name:/ { n = $2 } /^State:/ { s = $2 } END { exit !(n == name && s != "Z") }' \
        "/proc/$pid/status" 2>/dev/null && echo "$pid"
}

stop_daemon() {
    local pid
    pid="$(pid_of "$1" "$2")" || return 0
    kill "$pid"
    for _ in $(seq 100); do
        pid_of "$1" "$2" >/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

stop_slurm() {
    stop_daemon slurmd "$STATE/slurmd.pid"
    stop_daemon slurmctld "$STATE/slurmctld.pid"
}

install_packages() {
    local missing=""
    for tool in slurmctld slurmd sbatch munged; do
        command -v "$tool" >/dev/null || missing+=" $tool"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "missing, and no apt-get to install it:$missing"
    echo "Installing Debian's packages of Slurm"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        slurmctld slurmd slurm-client munge; } >"$STATE/install.log" 2>&1 ||
        fail "apt-get does not install Slurm: see $STATE/install.log"
}

configure() {
    local memory
    memory="$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)"
    mkdir -p "$(dirname "$CONF")" "$STATE/ctld" "$STATE/d"
    cat >"$CONF" <<CONFIGURATION
$MARK
ClusterName=one
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
# no cgroups
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
# no database: squeue shows a finished job for ten minutes
AccountingStorageType=accounting_storage/none
MinJobAge=600
MpiDefault=none
# a node that was shut down badly comes back by itself; its jobs do not, their Snakemake is gone
ReturnToService=2
JobRequeue=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES MaxTime=INFINITE State=UP
CONFIGURATION
}

munge_works() { munge --no-input 2>/dev/null | unmunge >/dev/null 2>&1; }

start_munge() {
    ! munge_works || return 0
    if [ ! -e /etc/munge/munge.key ]; then
        dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
        chown munge: /etc/munge/munge.key
        chmod 400 /etc/munge/munge.key
    fi
    install -d -o munge -g munge -m 755 /run/munge
    runuser -u munge -- munged || fail "munged does not start: see /var/log/munge/munged.log"
    touch "$STATE/munged-started"
    munge_works || fail "munged does not answer: see /var/log/munge/munged.log"
}

up() {
    may_change up
    HOST="$(hostname -s)"
    mkdir -p "$STATE"
    install_packages
    start_munge
    if ! made_here || ! pid_of slurmctld "$STATE/slurmctld.pid" >/dev/null || ! pid_of slurmd "$STATE/slurmd.pid" >/dev/null; then
        stop_slurm
        configure
        slurmctld >>"$STATE/slurmctld.log" 2>&1 || fail "slurmctld does not start: see $STATE/slurmctld.log"
        slurmd >>"$STATE/slurmd.log" 2>&1 || fail "slurmd does not start: see $STATE/slurmd.log"
    fi
    local until=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$until" ]; do
        case "$(node_state)" in
            idle | mixed | allocated | completing)
                echo "Slurm is up: $(sinfo --noheader --format='node %n, %c cores, %m MB, %T')"
                return
                ;;
            down* | drain*) scontrol update nodename="$HOST" state=resume 2>/dev/null || true ;;
        esac
        sleep 0.5
    done
    fail "the node is '$(node_state)', not idle, after a minute: see $STATE/slurmctld.log and $STATE/slurmd.log"
}

run() {
    [ $# -ge 1 ] || fail "run needs a profile: tests/slurm-one-node.sh run profiles/demo.yaml"
    local profile=$1 snakemake=.venv/bin/snakemake here=()
    shift
    [ -f "$profile" ] || fail "there is no profile $profile"
    command -v sinfo >/dev/null || fail "there is no Slurm here (sinfo): 'up' installs one"
    answers || fail "Slurm does not answer (sinfo): 'up' starts it on this machine"
    [ -x "$snakemake" ] || snakemake="$(command -v snakemake)" || fail "there is no snakemake: 'make setup' makes .venv"
    "$(dirname "$snakemake")/python" -c 'import snakemake_executor_plugin_slurm' 2>/dev/null ||
        fail "Snakemake has no Slurm executor: 'make setup' installs it in .venv"
    # There is no database for sacct to ask; on one machine frequent looks at the queue disturb nobody
    made_here && here=(--slurm-status-command squeue
        --slurm-init-seconds-before-status-checks 3 --seconds-between-status-checks 5)
    # The lock of 'make book', which the system gives up however this ends; so Snakemake's own is not needed
    mkdir -p build
    exec 9>>build/lock
    flock --nonblock 9 || fail "another run is at work in this folder: wait for it, or stop it"
    # --cores is what a job that takes a machine for itself asks for: it must fit every node
    exec "$snakemake" --configfile "$profile" --executor slurm --nolock --rerun-incomplete --latency-wait 30 \
        --cores "$(sinfo --noheader --Node --format=%c | sort -n | head -n 1)" "${here[@]}" \
        --default-resources mem_mb=2000 runtime=240 --jobs 10 "$@"
}

down() {
    may_change down
    if pid_of slurmctld "$STATE/slurmctld.pid" >/dev/null && answers; then
        # a daemon that stops leaves its jobs running
        squeue --noheader --format=%i | xargs --no-run-if-empty scancel
        for _ in $(seq 40); do
            [ -n "$(squeue --noheader)" ] || break
            sleep 1
        done
    fi
    stop_slurm
    [ ! -e "$STATE/munged-started" ] || stop_daemon munged /run/munge/munged.pid
    rm -rf "$STATE"
    ! made_here || rm "$CONF"
    echo "Slurm is down"
}

case "${1:-}" in
    up | down) "$1" ;;
    run) shift; run "$@" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
