#!/usr/bin/env bash
# reaches.sh TRELLIS RUN.yaml WORK LOSS [KEY=VALUE...]: profiles, searches and trains by `trellis run`, and expects a held-out loss below
# LOSS.
set -euo pipefail
trellis=$1 run=$2 work=$3 bound=$4
rm -rf "$work"
"$trellis" run "$run" "${@:5}" --nproc 2 "output=$work/out"
loss=$(sed -n 's/^ *"held_out_loss": \([0-9.]*\),*$/\1/p' "$work/out/result.json")
echo "$run: held-out loss $loss, expected below $bound"
awk -v loss="$loss" -v bound="$bound" 'BEGIN { exit !(loss > 0 && loss < bound) }'
