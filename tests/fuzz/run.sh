#!/usr/bin/env bash
# Fuzzes each reader for a while with libFuzzer under sanitizers: tests/fuzz/run.sh [SECONDS each, 600] [TARGET...]
# Needs Clang. New inputs are kept in build/fuzz/corpus, findings in build/fuzz.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-600}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(tokenizer_json idx safetensors config_json image idx_images)
mkdir -p build
cmake --preset fuzz > build/fuzz.configure.log
cmake --build build/fuzz -j "$(nproc)" --target "${targets[@]/#/fuzz_}"
for target in "${targets[@]}"; do
  mkdir -p "build/fuzz/corpus/$target"
  "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=20000 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$target-" "build/fuzz/corpus/$target" "tests/fuzz/seeds/$target" 2>&1 |
    tail -n 12
done
