#!/usr/bin/env bash
# case.sh CASE.sh TRELLIS: runs one file of cases. In it, `refuse CODE TEXT ARGUMENTS...` runs trellis and expects that
# exit code and that text on stderr; $work is an empty folder.
set -u
case_file=$1 trellis=$2
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
failed=0

refuse() {
  local code=$1 text=$2
  shift 2
  timeout 60 "$trellis" --log error "$@" >"$work/.out" 2>"$work/.err"
  local got=$?
  if [ $got -ne "$code" ] || ! grep -qF -- "$text" "$work/.err"; then
    printf 'trellis %s\n  expected exit code %s and "%s"\n  found %s and:\n' "$*" "$code" "$text" "$got"
    sed 's/^/    /' "$work/.err" | head -12
    failed=1
  fi
}

# absent FILE: nothing was written there.
absent() { [ ! -e "$1" ] || { echo "$1 was written"; failed=1; }; }

# a run file with one more line
run_with() { { echo "base: $PWD/configs/runs/quickstart"; printf '%s\n' "$@"; } >"$work/run.yaml"; }

# The quickstart's run file, whatever profile of it this clone may have by now.
unprofiled() {
  printf 'base: [%s]\nprofile: {file: %s}\n' "$PWD/configs/runs/quickstart.yaml" "$work/none.profile.yaml" >"$work/quickstart.yaml"
  echo "$work/quickstart.yaml"
}

. "$case_file"
exit $failed
