#!/usr/bin/env bash
# python_env.sh NAME PACKAGE...: makes the Python environment NAME-venv with these packages in the cache folder
# (TRELLIS_CACHE, see bootstrap.sh), outside the clone, and prints the path of its interpreter. A second run only prints.
set -euo pipefail
venv=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}/$1-venv
if [ ! -e "$venv/.complete" ]; then
  echo "==> making $venv" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet "${@:2}" >&2
  touch "$venv/.complete"
fi
echo "$venv/bin/python"
