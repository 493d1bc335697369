#!/usr/bin/env bash
# Makes the Python environment that make_golden.py and reload.py run in: transformers beside the PyTorch of the
# benchmarks' environment (bench/python_env.sh). Prints the path of its interpreter. A second run does nothing else.
#
# It lies outside the clone, in parity-venv of the cache folder (TRELLIS_CACHE, see bootstrap.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=5.23.0
venv=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}/parity-venv

if [ ! -e "$venv/.transformers-$version" ]; then
  bench=$(bash bench/python_env.sh)
  echo "==> making $venv" >&2
  rm -rf "$venv"
  "$bench" -m venv "$venv"
  purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
  "$bench" -c "$purelib" > "$("$venv/bin/python" -c "$purelib")/torch.pth"
  "$venv/bin/python" -m pip install --quiet --no-compile "transformers==$version"
  "$venv/bin/python" -c 'import torch, transformers'
  touch "$venv/.transformers-$version"
fi
echo "$venv/bin/python"
