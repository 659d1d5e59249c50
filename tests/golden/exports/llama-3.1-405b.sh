#!/usr/bin/env bash
# llama-3.1-405b on 16,384 GPUs of gigafactory, for Megatron-LM (megatron-core 0.19).
# Written by `giga export` from the plan with SHA-256
#   181446aa7919c001cea8e88e04ffa5c82683fa6c358a5279f98d691fbf5faccb.
# A checkpoint every 144 steps is one every 1,800 s at the predicted 12.5 s a step.
# Not expressible, or not in the plan:
# - Rotary base 10000: no plan holds one (--rope-base).
# - spike_policy rollback, hang_s and sample_tokens of the training.
# - Norm and biases: RMSNorm without biases, as models with rope positions have.
# - Seed 0: Megatron-LM wants a positive one and takes its own, 1234.
# - keep_checkpoints 2: only the newest is kept (--save-retain-interval).
#
# Needs MEGATRON_LM (a checkout, with pretrain_gpt.py), DATA_PATH, TOKENIZER_MODEL and
# CHECKPOINT_DIR (shared by all hosts); on more than one host also MASTER_ADDR, and NODE_RANK where
# the order of hosts matters. Run it once on every host; what follows its name is passed on, such
# as --exit-interval 20.
set -euo pipefail
export CUDA_DEVICE_MAX_CONNECTIONS=1

MODEL=(
  --num-layers 126
  --hidden-size 16384
  --ffn-hidden-size 53248
  --num-attention-heads 128
  --kv-channels 128
  --group-query-attention
  --num-query-groups 8
  --seq-length 8192
  --max-position-embeddings 131072
  --swiglu
  --position-embedding-type rope
  --rotary-base 10000
  --normalization RMSNorm
  --disable-bias-linear
  --untie-embeddings-and-output-weights
  --vocab-size 128256
  --make-vocab-size-divisible-by 32
  --attention-backend fused
  --attention-dropout 0
  --hidden-dropout 0
)

PARALLEL=(
  --tensor-model-parallel-size 8
  --pipeline-model-parallel-size 16
  --context-parallel-size 1
  --sequence-parallel
  --tp-comm-overlap
  --pipeline-model-parallel-layout 'Et*7|(t*8|)*14t*7L'
  --overlap-grad-reduce
  --use-distributed-optimizer
  --overlap-param-gather
)

PRECISION=(
  --bf16
  --grad-reduce-in-bf16
)

TRAINING=(
  --micro-batch-size 1
  --global-batch-size 2048
  --train-iters 894070
  --optimizer adam
  --lr 8e-05
  --min-lr 8e-06
  --lr-decay-style cosine
  --lr-decay-iters 894070
  --lr-warmup-iters 2000
  --weight-decay 0.1
  --adam-beta1 0.9
  --adam-beta2 0.95
  --clip-grad 1
  --eval-interval 89407
  --eval-iters 8
  --data-path "${DATA_PATH:?prefix of the tokenized data}"
  --split 99,1,0
  --tokenizer-type HuggingFaceTokenizer
  --tokenizer-model "${TOKENIZER_MODEL:?folder of the tokenizer}"
  --log-interval 1
  --log-throughput
)

CHECKPOINT=(
  --save "${CHECKPOINT_DIR:?shared folder of the checkpoints}"
  --load "${CHECKPOINT_DIR:?shared folder of the checkpoints}"
  --save-interval 144
  --save-retain-interval 894096
  --ckpt-format torch_dist
  --async-save
  --use-persistent-ckpt-worker
  --exit-signal-handler
  --distributed-timeout-minutes 10
)

MASTER="${MASTER_ADDR:?host of rank 0}" PORT="${MASTER_PORT:-29500}"
if [[ -n "${NODE_RANK:-}" ]]; then
  RENDEZVOUS=(--node-rank="$NODE_RANK" --master-addr="$MASTER" --master-port="$PORT")
else
  RENDEZVOUS=(--rdzv-backend=c10d --rdzv-endpoint="$MASTER:$PORT")
  RENDEZVOUS+=(--rdzv-id="${RUN_ID:-181446aa7919}")
  RENDEZVOUS+=(--max-restarts=5)
fi

exec torchrun \
  --nnodes=2048 --nproc-per-node=8 \
  "${RENDEZVOUS[@]}" \
  "${MEGATRON_LM:?checkout of Megatron-LM}/pretrain_gpt.py" \
  "${MODEL[@]}" "${PARALLEL[@]}" "${PRECISION[@]}" "${TRAINING[@]}" "${CHECKPOINT[@]}" "$@"
