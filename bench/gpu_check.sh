#!/usr/bin/env bash
# Checks on a machine with a GPU what was built on one without: each kernel for CUDA against the one for the CPU, whole
# plans against one rank on the CPU (one rank; then several over NCCL), profile, search and short trainings.
#
#   bench/gpu_check.sh pack FOLDER [BUILD]   where the preset cuda was built: FOLDER gets all that the check needs
#   FOLDER/gpu_check.sh                      where the GPU is; nothing is installed
#
# The second needs LibTorch 2.11 for CUDA 13: that of python3's torch, or TRELLIS_TORCH=FOLDER/torch. One GPU is enough:
# NCCL takes several ranks on it when each seems to be a host of its own. That is slow, and right.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
  echo "gpu_check.sh: $1" >&2
  exit 1
}

pack() {
  local folder=$1 build=$2 root=$here/..
  [ -x "$build/bin/trellis_cuda_tests" ] && [ -x "$build/bin/trellis" ] ||
    die "$build has no trellis and trellis_cuda_tests: cmake --preset cuda && cmake --build --preset cuda"
  mkdir -p "$folder/bin" "$folder/lib" "$folder/text"
  cp "$build/bin/trellis" "$build/bin/trellis_cuda_tests" "$folder/bin/"
  cp "$build"/lib/libtrellis_*.so "$folder/lib/"
  # Those of Debian that other systems lack. glibc and libstdc++ are taken from where it runs.
  ldd "$build/bin/trellis_cuda_tests" "$build/bin/trellis" |
    awk '$3 ~ /lib(fmt|spdlog|yaml-cpp|jpeg|png16|sentencepiece|z)\.so/ { print $3 }' | sort -u | xargs -I{} cp -L {} "$folder/lib/"
  (cd "$build" && find plugins \( -name '*.so' -o -name plugin.yaml \) -exec cp --parents {} "$folder/" \;)
  find "$folder" \( -name '*.so*' -o -path '*/bin/*' \) -type f -exec strip --strip-debug {} +
  cp "$root/configs/clusters/h100-80g.yaml" "$folder/cluster.yaml"
  cp "$root"/docs/*.md "$root/README.md" "$folder/text/"
  cp "$root"/configs/runs/{bert-text,t5-text,vit-digits}.yaml "$folder/"
  cp "$root"/runs/digits/*-ubyte "$folder/" || die "./bootstrap.sh digits makes the images that vit learns"
  cp "$here/gpu_check.sh" "$folder/"
  du -sh "$folder"
}

check() {
  local torch=${TRELLIS_TORCH:-} folder
  [ -n "$torch" ] || torch=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' 2> /dev/null) ||
    die "there is no torch for python3: name LibTorch's folder, TRELLIS_TORCH=FOLDER/torch"
  export LD_LIBRARY_PATH=$here/lib:$torch/lib
  for folder in "$torch"/../nvidia/*/lib; do LD_LIBRARY_PATH+=:$folder; done
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
  cd "$here"  # of files named below
  nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || die "nvidia-smi finds no GPU"

  cat > "$here/run.yaml" << 'YAML'
seed: 1
model: {use: gpt, shape: llama, hidden: 256, layers: 4, heads: 8, kv_heads: 2, ffn: 768, vocab: 257, sequence: 256}
data: {use: text, files: [text], tokenizer: byte, held_out: 5%}
train: {steps: 60, batch: 16, learning_rate: 1e-3, warmup: 10, dtype: bf16, evaluate_batches: 2, log_every: 20}
devices: {kind: cuda}
YAML
  local failed=0 run=$here/run.yaml dtype shape ranks
  expect() {
    echo "== $*"
    local start=$SECONDS
    "$@" || { failed=$((failed + 1)); echo "== FAILED: $*"; }
    echo "== $((SECONDS - start)) s"
  }
  # on_ranks COUNT COMMAND...: fails when a rank does.
  on_ranks() {
    local count=$1 store rank pids=() failures=0
    shift
    store=$(mktemp -u)
    for ((rank = 0; rank < count; ++rank)); do
      env RANK=$rank LOCAL_RANK=0 WORLD_SIZE=$count TRELLIS_STORE="$store" NCCL_HOSTID=host$rank NCCL_SOCKET_IFNAME=lo \
        NCCL_IB_DISABLE=1 NCCL_NVLS_ENABLE=0 NCCL_CUMEM_ENABLE=0 NCCL_RAS_ENABLE=0 NCCL_MAX_CTAS=2 NCCL_ALGO=Ring \
        NCCL_PROTO=Simple timeout 150 "$@" &
      pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failures=$((failures + 1)); done
    rm -f "$store"
    [ "$failures" = 0 ]
  }
  expect "$here/bin/trellis_cuda_tests"
  for shape in llama gpt2; do
    for dtype in f64 f32 bf16; do
      expect "$here/bin/trellis" verify "$run" --random 10 --ranks 1 --dtype $dtype model.shape=$shape
    done
  done
  for ranks in 2 4; do
    expect on_ranks $ranks "$here/bin/trellis" verify "$run" --random 4 --ranks $ranks --processes --dtype f64
  done
  expect on_ranks 2 "$here/bin/trellis" verify "$run" --random 4 --ranks 2 --processes --dtype bf16
  # The other families, and what of GPT has kernels or paths of its own: windows and dropout of attention.
  local cuda="devices.kind=cuda" family check
  # Where a relu's input rounds to either side of zero, gradients differ by the root of the rounding: t5 has gelu here,
  # and in bf16, whose rounding its residuals of order 1 feel most, is trained instead. Weights as wide as those of
  # vit-digits leave noise in gradients that are zero.
  local families=("bert-text model.dropout=0" "t5-text model.activation=gated_gelu" "vit-digits model.init_std=0.02")
  for check in "${families[@]}"; do
    family=${check%% *}
    for dtype in f64 f32 bf16; do
      [ "$family $dtype" != "t5-text bf16" ] || continue
      expect timeout 100 "$here/bin/trellis" verify "$here/$family.yaml" $cuda --random 8 --ranks 1 --dtype $dtype ${check#* }
    done
    expect on_ranks 2 "$here/bin/trellis" verify "$here/$family.yaml" $cuda --random 3 --ranks 2 --processes --dtype f64
  done
  for check in "model.task=pretraining" "model.task=classification model.classes=3" "model.dropout=0.1 model.attention_dropout=0.1"; do
    # shellcheck disable=SC2086
    expect timeout 100 "$here/bin/trellis" verify "$here/bert-text.yaml" $cuda --random 4 --ranks 1 $check
  done
  expect timeout 100 "$here/bin/trellis" verify "$run" --random 6 --ranks 1 model.window=16
  expect timeout 100 "$here/bin/trellis" verify "$run" --random 6 --ranks 1 model.window=16 --dtype bf16
  local short="train.steps=60 train.dtype=bf16 train.evaluate_every=60 train.evaluate_batches=2"
  for check in "bert-text data.files=[text]" "t5-text data.files=[text]" \
    "vit-digits data.use=idx data.images=images.idx3-ubyte data.labels=labels.idx1-ubyte"; do
    family=${check%% *}
    # shellcheck disable=SC2086
    expect timeout 100 "$here/bin/trellis" train "$here/$family.yaml" --nproc 1 $cuda $short "output=$here/trained-$family" ${check#* }
  done
  expect timeout 150 "$here/bin/trellis" run "$run" --nproc 1 "output=$here/searched" search.use=exact devices.memory=8GiB \
    "profile.cluster=$here/cluster.yaml"
  expect "$here/bin/trellis" train "$run" --nproc 1 "output=$here/trained"
  expect "$here/bin/trellis" train "$run" --nproc 1 "output=$here/trained-f32" train.dtype=f32 train.steps=20
  [ "$failed" = 0 ] || die "$failed checks failed"
  echo "all checks passed"
}

case ${1:-} in
  pack) pack "$(realpath -m "${2:?FOLDER}")" "$(realpath "${3:-$here/../build/cuda}")" ;;
  '') check ;;
  *) die "expected 'pack FOLDER [BUILD]', or nothing: see the head of this file" ;;
esac
