#!/usr/bin/env bash
# Makes the Python environment that the benchmarks compare with: PyTorch of the same wheel that Trellis is built on.
# Prints the path of its interpreter. A second run does nothing else.
#
# The environment lies outside the clone, in bench-venv of the cache folder (TRELLIS_CACHE, see bootstrap.sh). With a
# CUDA 13 toolkit PyTorch's CUDA libraries are links to the toolkit's; without one pip installs them (another 2 GB),
# because Python's `import torch` loads them even where only the processor is used. TRELLIS_PYTHON names the
# interpreter to start from; it must be Python 3.11, which the wheel is for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}
venv=$cache/bench-venv

say() { echo "==> $*" >&2; }
die() {
  echo "python_env.sh: $1" >&2
  shift
  for line in "$@"; do echo "    $line" >&2; done
  exit 1
}

# base_python: a Python 3.11 that can make an environment. Its C headers are what torch.compile builds against.
base_python() {
  local found
  for found in "${TRELLIS_PYTHON:-}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11.*/bin/python3.11 python3.11 python3; do
    [ -n "$found" ] || continue
    if "$found" - 2> /dev/null << 'PYTHON'; then
import ensurepip, os, sys, sysconfig
sys.exit(sys.version_info[:2] != (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
PYTHON
      echo "$found"
      return
    fi
  done
  die "found no Python 3.11 with venv and its C headers" \
    "as root: apt-get install --no-install-recommends python3.11-venv python3.11-dev" "or name one: TRELLIS_PYTHON=PROGRAM"
}

# shellcheck source=cmake/fetch_libtorch.sh
source cmake/fetch_libtorch.sh

if [ ! -e "$venv/.complete" ]; then
  python=$(base_python)
  say "making $venv with $("$python" --version)"
  fetch_wheel torch >&2
  rm -rf "$venv"
  "$python" -m venv "$venv"
  pip=("$venv/bin/python" -m pip install --quiet --no-compile)
  if toolkit_fits; then
    fetch_libtorch cuda >&2
    "${pip[@]}" filelock typing_extensions 'sympy>=1.13.3' networkx jinja2 fsspec numpy 'setuptools<82'
    "${pip[@]}" --no-deps "$wheel"
    packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    ln -sfn "$site/nvidia" "$packages/nvidia"
  else
    say "no CUDA 13 toolkit here: pip installs the CUDA libraries that PyTorch loads"
    "${pip[@]}" numpy 'setuptools<82' "$wheel"
  fi
  found=$("$venv/bin/python" -c 'import torch; print(torch.__version__)') ||
    die "PyTorch does not load in $venv; the line above says what is missing"
  [ "${found%%+*}" = "$torch_version" ] || die "expected PyTorch $torch_version in $venv, found $found"
  touch "$venv/.complete"
fi
echo "$venv/bin/python"
