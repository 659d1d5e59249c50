#!/usr/bin/env bash
# grok-1 on 98,304 GPUs of gigafactory, for Megatron-LM (megatron-core 0.19).
# Written by `giga export` from the plan with SHA-256
#   af2235321f3098ee1528aa625b1742b50b9b8758f73d734f7c197e1ddae2bbf2.
# A checkpoint every 144 steps is one every 1,800 s at the predicted 12.5 s a step.
# Not expressible, or not in the plan:
# - Rotary base 10000: no plan holds one (--rope-base).
# - Router: softmax over the chosen experts; a plan says nothing of it.
# - spike_policy rollback, hang_s and sample_tokens of the training.
# - Norm and biases: RMSNorm without biases, as models with rope positions have.
# - Load balance: auxiliary loss, coefficient 0.01 (arXiv 2101.03961, 2.2).
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
  --num-layers 64
  --hidden-size 6144
  --ffn-hidden-size 32768
  --num-attention-heads 48
  --kv-channels 128
  --group-query-attention
  --num-query-groups 8
  --seq-length 8192
  --max-position-embeddings 8192
  --swiglu
  --position-embedding-type rope
  --rotary-base 10000
  --normalization RMSNorm
  --disable-bias-linear
  --vocab-size 131072
  --make-vocab-size-divisible-by 128
  --attention-backend fused
  --attention-dropout 0
  --hidden-dropout 0
)

EXPERTS=(
  --num-experts 8
  --moe-router-topk 2
  --moe-ffn-hidden-size 32768
  --moe-layer-freq '1'
  --moe-router-dtype fp32
  --moe-router-load-balancing-type aux_loss
  --moe-aux-loss-coeff 0.01
  --moe-grouped-gemm
  --moe-token-dispatcher-type alltoall
)

PARALLEL=(
  --tensor-model-parallel-size 4
  --pipeline-model-parallel-size 8
  --context-parallel-size 1
  --sequence-parallel
  --tp-comm-overlap
  --expert-model-parallel-size 8
  --expert-tensor-parallel-size 1
  --num-virtual-stages-per-pipeline-rank 8
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
  --global-batch-size 24576
  --train-iters 74506
  --optimizer adam
  --lr 8e-05
  --min-lr 8e-06
  --lr-decay-style cosine
  --lr-decay-iters 74506
  --lr-warmup-iters 2000
  --weight-decay 0.1
  --adam-beta1 0.9
  --adam-beta2 0.95
  --clip-grad 1
  --eval-interval 7450
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
  --save-retain-interval 74592
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
  RENDEZVOUS+=(--rdzv-id="${RUN_ID:-af2235321f30}")
  RENDEZVOUS+=(--max-restarts=5)
fi

exec torchrun \
  --nnodes=12288 --nproc-per-node=8 \
  "${RENDEZVOUS[@]}" \
  "${MEGATRON_LM:?checkout of Megatron-LM}/pretrain_gpt.py" \
  "${MODEL[@]}" "${EXPERTS[@]}" "${PARALLEL[@]}" "${PRECISION[@]}" "${TRAINING[@]}" "${CHECKPOINT[@]}" "$@"
