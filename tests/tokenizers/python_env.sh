#!/usr/bin/env bash
# Makes the Python environment with the public packages that the tokenizers are compared with, and prints the path of its
# interpreter. It lies outside the clone, in tokenizers-venv of the cache folder (TRELLIS_CACHE, see bootstrap.sh). Only
# scripts of tests use it: a test without it compares with the golden files that the scripts have left.
set -euo pipefail
cache=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}
venv=$cache/tokenizers-venv
if [ ! -e "$venv/.complete" ]; then
  echo "==> making $venv" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet tokenizers==0.22.2 sentencepiece==0.2.1 >&2
  touch "$venv/.complete"
fi
echo "$venv/bin/python"
