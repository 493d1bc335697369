#!/usr/bin/env bash
# build.sh BUILD WORK COMPILER [LAUNCHER...]: installs BUILD below WORK, then builds every example of this folder against
# that installed SDK alone, as its user would, and drops what comes out into WORK/plugins.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
build=$(realpath "$1") work=$(realpath -m "$2") compiler=$3
shift 3
launcher=$(IFS=';' && echo "$*")  # of the compiler: ccache and its settings, as a list of CMake's

rm -rf "$work"
mkdir -p "$work/source" "$work/plugins"
cmake --install "$build" --prefix "$work/sdk" > "$work/install.log"
cp "$here"/*.yaml "$work"
for example in greedy hidden_tp palm; do
  cp -r "$here/$example" "$work/source"  # out of the repository: nothing of it can be found by accident
  cmake -S "$work/source/$example" -B "$work/build/$example" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$work/sdk" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher"
  cmake --build "$work/build/$example"
  cp -r "$work/build/$example/plugins/." "$work/plugins"
done
