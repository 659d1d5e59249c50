#!/usr/bin/env bash
# deepseek-v3 on 2,048 GPUs of gigafactory, for Megatron-LM (megatron-core 0.19).
# Written by `giga export` from the plan with SHA-256
#   8c45a5f591a81b726c96c16b546d2e24717445fe025bfcb209825627b04a524d.
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
  --num-layers 61
  --hidden-size 7168
  --ffn-hidden-size 18432
  --num-attention-heads 128
  --kv-channels 128
  --multi-latent-attention
  --q-lora-rank 1536
  --kv-lora-rank 512
  --qk-head-dim 128
  --qk-pos-emb-head-dim 64
  --v-head-dim 128
  --rope-type rope
  --no-rope-fusion
  --qk-layernorm
  --seq-length 4096
  --max-position-embeddings 163840
  --swiglu
  --position-embedding-type rope
  --rotary-base 10000
  --normalization RMSNorm
  --disable-bias-linear
  --untie-embeddings-and-output-weights
  --vocab-size 129280
  --make-vocab-size-divisible-by 128
  --attention-backend fused
  --attention-dropout 0
  --hidden-dropout 0
)

EXPERTS=(
  --num-experts 256
  --moe-router-topk 8
  --moe-ffn-hidden-size 2048
  --moe-shared-expert-intermediate-size 2048
  --moe-layer-freq '[0]*3+[1]*58'
  --moe-router-dtype fp32
  --moe-router-load-balancing-type aux_loss
  --moe-aux-loss-coeff 0.01
  --moe-grouped-gemm
  --moe-token-dispatcher-type alltoall
)

PARALLEL=(
  --tensor-model-parallel-size 2
  --pipeline-model-parallel-size 16
  --context-parallel-size 1
  --sequence-parallel
  --expert-model-parallel-size 64
  --expert-tensor-parallel-size 1
  --pipeline-model-parallel-layout 'Et*3|(t*4|)*13t*3|t*3L'
  --overlap-grad-reduce
  --use-distributed-optimizer
  --overlap-param-gather
)

PRECISION=(
  --bf16
  --grad-reduce-in-bf16
  --fp8-format hybrid
  --fp8-recipe tensorwise
)

TRAINING=(
  --micro-batch-size 1
  --global-batch-size 15360
  --train-iters 238419
  --optimizer adam
  --lr 8e-05
  --min-lr 8e-06
  --lr-decay-style cosine
  --lr-decay-iters 238419
  --lr-warmup-iters 2000
  --weight-decay 0.1
  --adam-beta1 0.9
  --adam-beta2 0.95
  --clip-grad 1
  --eval-interval 23841
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
  --save-retain-interval 238464
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
  RENDEZVOUS+=(--rdzv-id="${RUN_ID:-8c45a5f591a8}")
  RENDEZVOUS+=(--max-restarts=5)
fi

exec torchrun \
  --nnodes=256 --nproc-per-node=8 \
  "${RENDEZVOUS[@]}" \
  "${MEGATRON_LM:?checkout of Megatron-LM}/pretrain_gpt.py" \
  "${MODEL[@]}" "${EXPERTS[@]}" "${PARALLEL[@]}" "${PRECISION[@]}" "${TRAINING[@]}" "${CHECKPOINT[@]}" "$@"
