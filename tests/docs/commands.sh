#!/usr/bin/env bash
# commands.sh DOCUMENT SOURCE BUILD WORK: runs the blocks of a document that follow a line `<!-- run -->`, in order, as its
# reader would: in a folder that looks like the clone, with BUILD as build/cpu. The clone itself stays as it is.
set -euo pipefail
document=$1 source=$(realpath "$2") build=$(realpath "$3") work=$(realpath -m "$4")

commands=$(awk '/^<!-- run -->$/ { wanted = 1; next }
                /^```/ { inside = wanted && !inside; wanted = 0; next }
                inside { print }' "$source/$document")
[ -n "$commands" ] || { echo "$document: no block follows a line <!-- run -->" >&2; exit 1; }

rm -rf "$work"
mkdir -p "$work/build"
for entry in "$source"/*; do
  case $(basename "$entry") in
    build | runs) ;;
    *) ln -s "$entry" "$work/" ;;
  esac
done
ln -s "$build" "$work/build/cpu"
cd "$work"
bash -euxo pipefail -c "$commands"
