#!/bin/bash
#SBATCH --job-name=giga-tiny
#SBATCH --comment="gigafactory plan 896ac871a204"
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=0-00:11:00
#SBATCH --signal=B:TERM@30
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --chdir="/shared/tiny"
#SBATCH --output=slurm-%j.out
#SBATCH --export=NONE

# The environment of the submitting shell is not taken along: what counts stands here.
export RUN=/shared/tiny
export PYTHON=/usr/bin/python3
export RANKS_PER_NODE=2
export SLURM_EXPORT_ENV=ALL
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=10
# Ranks of a node that joins late count restarts from zero; with a store of their own,
# made anew in each round, all ranks find one another all the same.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
threads=$((SLURM_CPUS_ON_NODE / RANKS_PER_NODE))
export OMP_NUM_THREADS=$((threads > 1 ? threads : 1))

# Ranks meet on the first node, at the address by which Slurm itself reaches it.
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
HEAD=$(scontrol -o show node "$HEAD" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
export HEAD
export PORT=$((20000 + SLURM_JOB_ID % 10000))

# shellcheck disable=SC2016  # expanded on each node
on_each_node='
echo "$(date -u +%FT%TZ) $SLURMD_NODENAME is node $SLURM_NODEID of $SLURM_JOB_NODELIST"
exec "$PYTHON" -m torch.distributed.run \
  --nnodes=2:2 --nproc-per-node=2 --max-restarts=2 \
  --rdzv-backend=c10d --rdzv-endpoint="$HEAD:$PORT" \
  --rdzv-id="$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}" \
  --rdzv-conf="is_host=$((SLURM_NODEID == 0)),join_timeout=600" \
  -m gigafactory.run.trainer "$RUN"
'

session() { "$PYTHON" -m gigafactory.run.slurm_session "$1" "$RUN" "${@:2}"; }

asked=nobody step='' timer=''
stop() {  # a file in the run folder asks all ranks to save their state and end
  asked=$1
  echo "$(date -u +%FT%TZ) $asked: the ranks are asked to stop"
  touch "$RUN/stop"
  hurry
}
hurry() {  # those that hang end as well
  [ -n "$step" ] && [ -z "$timer" ] || return 0
  (sleep 15 && kill -TERM "$step") &
  timer=$!
}
trap 'stop time-limit' TERM  # of --signal, or the nodes are taken back
trap 'stop cancel' USR1      # scancel --batch --signal=USR1 JOB

session begin || exit 1
mkdir -p logs
srun --wait=120 --kill-on-bad-exit=0 --cpus-per-task="$SLURM_CPUS_ON_NODE" \
  --output=logs/node-%n.log --open-mode=append bash -c "$on_each_node" &
step=$!
[ "$asked" = nobody ] || hurry

while wait "$step"; status=$?; kill -0 "$step" 2>/dev/null; do :; done  # a trap ends a wait
[ -z "$timer" ] || kill "$timer" 2>/dev/null

session end --status "$status" --asked "$asked"
verdict=$?
if [ "$verdict" = 75 ]; then  # not over: EX_TEMPFAIL of sysexits.h
  for _ in {1..12}; do  # a controller that is away comes back
    scontrol requeue "$SLURM_JOB_ID" && sleep infinity
    sleep 10
  done
fi
exit "$verdict"
