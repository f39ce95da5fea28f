#!/usr/bin/env bash
# A real SLURM cluster of two nodes on one Debian machine, without systemd: for tests, and to try submissions before the real thing.
#   local_cluster.sh install    the packages it needs (Debian), where they are not there
#   local_cluster.sh start      bring up what is not up
#   local_cluster.sh health     wait until every node is usable, and show them
#   local_cluster.sh stop       end all daemons; the jobs end with them
#   local_cluster.sh crash N    let node N die: its daemon and all it runs, at once and without a word
#   local_cluster.sh node N     bring up a node that died
# As root.
# Then: export SLURM_CONF=${ECGVIS_CLUSTER:-/tmp/ecgvis-cluster}/slurm.conf
set -euo pipefail
home=${ECGVIS_CLUSTER:-/tmp/ecgvis-cluster}
nodes=${ECGVIS_CLUSTER_NODES:-2}
export SLURM_CONF=$home/slurm.conf

running() { # whether the process of a pid file lives; what is left of a dead one does not count
  local pid stat
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && stat=$(ps -o stat= -p "$pid") && [ "${stat:0:1}" != Z ]
}

settings() {
  local cores memory host k
  host=$(hostname -s)
  cores=$(($(nproc) / nodes)); [ "$cores" -ge 1 ] || cores=1
  memory=$(($(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo) * 3 / 4 / nodes))
  cat <<CONF
# what it is, and who may speak to it
ClusterName=ecgvis-local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$home/munge/socket,cred_expire=5
# where its files are
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool.%n
SlurmctldPidFile=$home/run/slurmctld.pid
SlurmdPidFile=$home/run/%n.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/%n.log
# nothing that wants systemd, cgroups, mail or a database
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
# scheduling without delay; jobs of the partition urgent push those of main aside
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1024
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MaxArraySize=100
# what dies is noticed in seconds, and what is over stays visible
ReturnToService=2
KillWait=5
BatchStartTimeout=2
MessageTimeout=5
SlurmctldTimeout=10
SlurmdTimeout=10
MinJobAge=3600
CONF
  for ((k = 1; k <= nodes; k++)); do
    echo "NodeName=n$k NodeHostname=$host NodeAddr=127.0.0.1 Port=$((17900 + k)) CPUs=$cores RealMemory=$memory"
  done
  echo "PartitionName=main Nodes=n[1-$nodes] Default=YES MaxTime=1-0 DefaultTime=60 PriorityTier=1 GraceTime=20"
  echo "PartitionName=urgent Nodes=n[1-$nodes] MaxTime=1-0 PriorityTier=10 PreemptMode=OFF"
}

node() { running "$home/run/n$1.pid" || slurmd -N "n$1" -f "$SLURM_CONF"; }

install() {
  [ "$(command -v munged slurmctld slurmd | wc -l)" = 3 ] && return 0
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
}

start() {
  local k
  for k in munged slurmctld slurmd; do
    command -v "$k" >/dev/null || { echo "$k is missing: run $0 install" >&2; exit 1; }
  done
  [ "$(id -u)" = 0 ] || { echo 'the daemons of several nodes on one machine need root' >&2; exit 1; }
  mkdir -p "$home"/{munge,run,state,log}
  chmod 755 "$home" "$home/munge"
  [ -s "$home/munge/key" ] || (umask 077; head -c 128 /dev/urandom >"$home/munge/key")
  [ -s "$SLURM_CONF" ] || settings >"$SLURM_CONF"
  running "$home/munge/pid" || munged --socket="$home/munge/socket" --key-file="$home/munge/key" --pid-file="$home/munge/pid" \
    --log-file="$home/munge/log" --seed-file="$home/munge/seed"
  running "$home/run/slurmctld.pid" || slurmctld -f "$SLURM_CONF"
  for ((k = 1; k <= nodes; k++)); do node "$k"; done
  health
}

health() {
  for _ in $(seq 120); do
    if scontrol ping 2>/dev/null | grep -q 'is UP' && ! sinfo -h -N -o %T | grep -qvE '^(idle|mixed|allocated|completing)$'; then
      sinfo
      return
    fi
    sleep 0.5
  done
  sinfo -R >&2
  echo "not healthy; see $home/log" >&2
  exit 1
}

own() { # whether a process belongs to this cluster and, where one is named, to a job
  tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -qxF "SLURM_CONF=$SLURM_CONF" || return
  [ -z "${2:-}" ] || tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -qxF "SLURM_JOB_ID=$2"
}

members() { # processes of the jobs that run on a node
  local job pid
  for job in $(squeue -h -w "n$1" -t running,completing -o %A); do
    for pid in $(pgrep -f "^slurmstepd: \\[$job\\."); do own "$pid" && echo "$pid"; done
    for pid in /proc/[0-9]*; do own "${pid#/proc/}" "$job" && echo "${pid#/proc/}"; done
  done
  true
}

crash() {
  local pids
  mapfile -t pids < <(members "$1")
  kill -9 "$(cat "$home/run/n$1.pid")" "${pids[@]}" 2>/dev/null || true
}

stop() {
  local pid busy
  [ ! -s "$SLURM_CONF" ] || { scancel -u root 2>/dev/null && sleep 1; } || true
  for _ in $(seq 60); do
    busy=
    for pid in "$home"/run/slurmctld.pid "$home"/run/n*.pid "$home"/munge/pid; do
      if running "$pid"; then kill "$(cat "$pid")" 2>/dev/null || true; busy=yes; fi
    done
    [ -n "$busy" ] || return 0
    sleep 0.25
  done
  echo "some daemons do not end; see $home/run" >&2
  exit 1
}

case ${1:-} in
  install | start | health | stop) "$1" ;;
  crash | node) "$1" "${2:?which node: 1, 2}" ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
