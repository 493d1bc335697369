#!/usr/bin/env bash
# Builds Trellis from a bare clone: installs the Debian packages and downloads the LibTorch that are missing.
#
#   ./bootstrap.sh build         what is missing, then the optimized build: build/cpu/bin/trellis
#   ./bootstrap.sh test          build; all tests; plan side and plugins under sanitizers; CUDA code where a toolkit is
#   ./bootstrap.sh quickstart    build; then train a small model: trellis run configs/runs/quickstart.yaml
#   ./bootstrap.sh digits        the images of configs/runs/vit-digits.yaml: runs/digits, from scikit-learn's wheel
#   ./bootstrap.sh help          this text
#
# A second run downloads and rebuilds nothing. Environment:
#   TRELLIS_CACHE    where downloads and compiled objects are kept, outside the clone; default ~/.cache/trellis
#   TRELLIS_TORCH    an existing LibTorch 2.11 folder (with include/ and lib/), used instead of a download
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${TRELLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trellis}
export TRELLIS_CACHE=$cache

say() { echo "==> $*"; }
die() {
  echo "bootstrap.sh: $1" >&2
  shift
  for line in "$@"; do echo "    $line" >&2; done
  exit 1
}

# A program counts as there wherever it comes from; a library's headers by Debian's package.
missing_packages() {
  local pair
  for pair in g++:g++ cmake:cmake ninja:ninja-build ccache:ccache ${programs_of_tests:-}; do
    command -v "${pair%%:*}" > /dev/null || echo "${pair#*:}"
  done
  for package in libboost-dev libcli11-dev doctest-dev libfmt-dev libgloo-dev libjpeg62-turbo-dev nlohmann-json3-dev libpng-dev libsentencepiece-dev \
    libspdlog-dev libyaml-cpp-dev; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || echo "$package"
  done
  if [ -z "${TRELLIS_TORCH:-}" ]; then
    for pair in curl:curl unzip:unzip flock:util-linux; do
      command -v "${pair%%:*}" > /dev/null || echo "${pair#*:}"
    done
    python3 -m pip --version > /dev/null 2>&1 || echo python3-pip
  fi
}

install_packages() {
  local missing as_root=()
  missing=$(missing_packages | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  command -v apt-get > /dev/null || die "these are missing, and only Debian's apt-get is known to this script:" "$missing" \
    "install what your system calls them, then use cmake --preset cpu directly (CONTRIBUTING.md)"
  if [ "$(id -u)" != 0 ]; then
    # sudo that would ask for a password needs somebody to answer
    if ! command -v sudo > /dev/null || { [ ! -t 0 ] && ! sudo -n true 2> /dev/null; }; then
      die "these Debian packages are missing, and installing them needs root:" "$missing" \
        "as root: apt-get install --no-install-recommends $missing"
    fi
    as_root=(sudo)
  fi
  say "installing $missing"
  "${as_root[@]}" apt-get update -qq || die "apt-get update failed; without it $missing cannot be installed"
  # shellcheck disable=SC2086
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing > /dev/null ||
    die "apt-get could not install: $missing"
}

# build PRESET [TARGET...]
build() {
  say "building build/$1"
  cmake --preset "$1" -DTRELLIS_TORCH="${TRELLIS_TORCH:-}" > "build/$1.configure.log" 2>&1 ||
    { sed -n '/CMake Error/,$p' "build/$1.configure.log" >&2; die "cmake could not configure the preset '$1'"; }
  cmake --build "build/$1" -j "$(nproc)" --target "${@:2}"
}
program="trellis trellis_run plugins"  # what a user runs, without the tests

prepare() {
  [ "$(uname -sm)" = "Linux x86_64" ] || die "found $(uname -sm); LibTorch is fetched for Linux on x86-64 only"
  install_packages
  mkdir -p build
  # shellcheck source=cmake/fetch_libtorch.sh
  source cmake/fetch_libtorch.sh
  [ -n "${TRELLIS_TORCH:-}" ] || fetch_libtorch "$1"
}

# run_tests PRESET [CTEST OPTION...]
run_tests() {
  say "testing build/$1"
  ctest --test-dir "build/$1" --output-on-failure -j2 "${@:2}" || failed="${failed:-} $1"
}

# Sets `wheel`: the one that has the digits.
fetch_digits() {
  # shellcheck source=cmake/fetch_libtorch.sh
  source cmake/fetch_libtorch.sh
  mkdir -p "$cache"
  exec 9> "$cache/lock"
  flock 9
  fetch_wheel scikit-learn
  exec 9>&-
}

test_all() {
  programs_of_tests=cbc:coinor-cbc  # the integer programs that search exact is compared with
  prepare cpu
  (fetch_digits) || say "without the digits: the test train/vit_digits will be skipped"
  build cpu all
  cmake --build build/cpu -j "$(nproc)" --target all_verify_interface_header_sets
  run_tests cpu
  build asan all
  run_tests asan
  if toolkit_fits; then
    [ -n "${TRELLIS_TORCH:-}" ] || fetch_libtorch cuda
    # shellcheck disable=SC2086
    build cuda $program trellis_cuda trellis_cuda_tests
    nvidia-smi > /dev/null 2>&1 || say "no GPU here: of the CUDA room's tests those run that do without"
    run_tests cuda -R '^trellis_cuda_tests'
  else
    say "no CUDA 13 toolkit here: the CUDA code was not built"
  fi
  [ -z "${failed:-}" ] || die "tests failed in:$failed"
}

[ $# -le 1 ] || die "expected one verb, found: $*" "see ./bootstrap.sh help"
case "${1:-help}" in
  build)
    prepare cpu
    # shellcheck disable=SC2086
    build cpu $program
    say "built build/cpu/bin/trellis"
    ;;
  test) test_all ;;
  quickstart)
    prepare cpu
    # shellcheck disable=SC2086
    build cpu $program
    exec build/cpu/bin/trellis run configs/runs/quickstart.yaml
    ;;
  digits)
    install_packages
    fetch_digits
    python3 configs/digits/convert.py "$wheel" runs/digits
    ;;
  help | -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0" ;;
  *) die "unknown verb '$1'" "expected build, test, quickstart, digits or help" ;;
esac
