#!/usr/bin/env bash
# Makes the Python environment with the packages that images are compared with, and prints the path of its
# interpreter. It lies outside the clone, in images-venv of the cache folder (TRELLIS_CACHE, see bootstrap.sh). Only
# agreement.py uses it.
set -euo pipefail
cache=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}
venv=$cache/images-venv
if [ ! -e "$venv/.complete" ]; then
  echo "==> making $venv" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet pillow==11.3.0 numpy==2.3.5 >&2
  touch "$venv/.complete"
fi
echo "$venv/bin/python"
