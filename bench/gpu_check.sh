#!/usr/bin/env bash
# Checks on a machine with a GPU what was built on one without: each kernel for CUDA against the one for the CPU, whole
# plans on one GPU against one rank on the CPU, and a short training in bf16.
#
#   bench/gpu_check.sh pack FOLDER [BUILD]   where the preset cuda was built: FOLDER gets all that the check needs
#   FOLDER/gpu_check.sh                      where the GPU is; nothing is installed
#
# The second needs LibTorch 2.11 for CUDA 13: that of python3's torch, or TRELLIS_TORCH=FOLDER/torch.
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
    awk '$3 ~ /lib(fmt|spdlog|yaml-cpp)\.so/ { print $3 }' | sort -u | xargs -I{} cp -L {} "$folder/lib/"
  (cd "$build" && find plugins \( -name '*.so' -o -name plugin.yaml \) -exec cp --parents {} "$folder/" \;)
  find "$folder" \( -name '*.so*' -o -path '*/bin/*' \) -type f -exec strip --strip-debug {} +
  cp "$root"/docs/*.md "$root/README.md" "$folder/text/"
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
  nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || die "nvidia-smi finds no GPU"

  cat > "$here/run.yaml" << 'YAML'
seed: 1
model: {use: gpt, shape: llama, hidden: 256, layers: 4, heads: 8, kv_heads: 2, ffn: 768, vocab: 257, sequence: 256}
data: {use: text, files: [text], tokenizer: byte, held_out: 5%}
train: {steps: 60, batch: 16, learning_rate: 1e-3, warmup: 10, dtype: bf16, evaluate_batches: 2, log_every: 20}
devices: {kind: cuda}
YAML
  local failed=0 run=$here/run.yaml dtype shape
  expect() {
    echo "== $*"
    "$@" || { failed=$((failed + 1)); echo "== FAILED: $*"; }
  }
  expect "$here/bin/trellis_cuda_tests"
  for shape in llama gpt2; do
    for dtype in f64 f32 bf16; do
      expect "$here/bin/trellis" verify "$run" --random 10 --ranks 1 --dtype $dtype model.shape=$shape
    done
  done
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
