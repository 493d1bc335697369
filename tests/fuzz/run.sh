#!/usr/bin/env bash
# Fuzzes readers of files from elsewhere with libFuzzer, under address and undefined-behavior sanitizers:
#
#   tests/fuzz/run.sh [SECONDS each, 600] [TARGET...]
#
# Needs Clang: Debian's package clang. Inputs that reach new code are kept in build/fuzz/corpus and begin the next run, so
# four runs of 150 seconds are one of 600. A finding ends the run: its input is build/fuzz/TARGET-*, and is to become a seed
# (tests/fuzz/seeds/TARGET), which every test run then reads.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-600}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(tokenizer_json idx safetensors config_json image idx_images)
command -v clang++ > /dev/null || {
  echo "run.sh: there is no clang++: apt-get install clang" >&2
  exit 1
}
mkdir -p build
cmake --preset fuzz > build/fuzz.configure.log
cmake --build build/fuzz -j "$(nproc)" --target "${targets[@]/#/fuzz_}"

figure() { grep -o "$2" "$1" | tail -n 1 | grep -o '[0-9]*$' || echo '?'; }
for target in "${targets[@]}"; do
  mkdir -p "build/fuzz/corpus/$target"
  log=build/fuzz/$target.log
  if ! "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=20000 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$target-" "build/fuzz/corpus/$target" "tests/fuzz/seeds/$target" > "$log" 2>&1; then
    tail -n 60 "$log"
    echo "$target: a finding; all of its output is in $log"
    exit 1
  fi
  echo "$target: no finding in $(figure "$log" 'number_of_executed_units: *[0-9]*') executions of $seconds s," \
    "$(figure "$log" 'average_exec_per_sec: *[0-9]*')/s; coverage $(figure "$log" 'cov: [0-9]*')"
done
