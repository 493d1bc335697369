#!/usr/bin/env bash
# vit_digits.sh TRELLIS WORK: the run configs/runs/vit-digits.yaml, whole, on two ranks. Exits with 77 (skipped) where the wheel that has
# the digits is not in the cache: ./bootstrap.sh digits fetches it. Nothing is downloaded here.
set -euo pipefail
trellis=$1 work=$2
cache=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}
wheel=$(find "$cache/wheels" -name 'scikit_learn-*.whl' 2> /dev/null | sort | head -1 || true)
[ -n "$wheel" ] || { echo "skipped: no scikit-learn wheel in $cache/wheels; ./bootstrap.sh digits fetches it"; exit 77; }
rm -rf "$work"
mkdir -p "$work"
python3 configs/digits/convert.py "$wheel" "$work/digits"
"$trellis" run configs/runs/vit-digits.yaml --nproc 2 --json "$work/run.json" "output=$work/run" "data.folder=$work/digits/png" \
  "profile.file=$work/profile.yaml" "export=$work/weights"
python3 - "$work/run.json" << 'END_OF_PYTHON'
import json, sys
train = json.load(open(sys.argv[1]))["train"]
loss, accuracy = train["held_out_loss"], train["held_out_accuracy"]
if not loss < 0.3:
    sys.exit(f"held-out loss {loss}, expected less than 0.3 nats an image; label frequencies alone give 2.30")
if not accuracy > 0.9:
    sys.exit(f"{accuracy} of the held-out images are told right, expected more than 0.9")
END_OF_PYTHON
