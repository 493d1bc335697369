# A full disk and folders that cannot be written: an error that names the file, and nothing half-written.
quick=$(unprofiled)
: >"$work/file"
refuse 7 "/dev/full" search $quick --nproc 1 --json /dev/full/x.json
refuse 7 "file/nowhere'" search $quick --nproc 1 --out "$work/file/nowhere/plan.yaml"
# before the work begins: nothing is written, a run is not begun
for verb in train verify run profile search; do
  refuse 7 "cannot make folder '$work/file/nowhere'" $verb $quick --json "$work/file/nowhere/a.json" "output=$work/begun"
done
absent "$work/begun"
refuse 7 "file/nowhere'" search $quick --nproc 1 --out "$work/written.yaml" --json "$work/file/nowhere/a.json"
absent "$work/written.yaml"
refuse 7 "Is a directory" search $quick --nproc 1 --out "$work"
refuse 7 "file" train $quick --nproc 1 train.steps=1 "output=$work/file/run"

# Folders that are missing are made, of all that verbs write; where the work is refused, none is.
quietly() { timeout 100 "$trellis" --log error "$@" >/dev/null || { echo "trellis $* failed"; failed=1; }; }
written() { [ -s "$1" ] || { echo "$1 was not written"; failed=1; }; }
tiny=(model.hidden=16 model.heads=2 model.ffn=16 model.layers=1 train.steps=1 train.evaluate_batches=0)
new=$work/new
refuse 4 "nothing" search $quick model.nothing=1 --out "$new/a/plan.yaml" --json "$new/b/search.json"
absent "$new"
quietly search $quick --nproc 1 "${tiny[@]}" --out "$new/a/plan.yaml" --json "$new/b/search.json"
written "$new/a/plan.yaml"
written "$new/b/search.json"
quietly explain "$new/a/plan.yaml" --run $quick "${tiny[@]}" --json "$new/c/explain.json"
written "$new/c/explain.json"
quietly train $quick --nproc 1 "${tiny[@]}" --quiet "output=$new/d/run" --json "$new/e/train.json"
written "$new/d/run/result.json"
written "$new/e/train.json"
quietly verify $quick --random 1 --ranks 1 --json "$new/f/verify.json"
written "$new/f/verify.json"
quietly profile $quick --nproc 1 "${tiny[@]}" --out "$new/g/quick.profile.yaml" --json "$new/h/profile.json"
written "$new/g/quick.profile.yaml"
written "$new/h/profile.json"
quietly plugins list --json "$new/i/plugins.json"
written "$new/i/plugins.json"
quietly diff "$new/a/plan.yaml" "$new/a/plan.yaml" --json "$new/j/diff.json"
written "$new/j/diff.json"
quietly data tokenize README.md --out "$new/k/readme" --json "$new/l/tokenize.json"
written "$new/k/readme.bin"
written "$new/l/tokenize.json"

# a file system of 64 KiB, where the machine lets us make one
mkdir "$work/small"
if mount -t tmpfs -o size=64k tmpfs "$work/small" 2>/dev/null; then
  head -c 60000 /dev/zero >"$work/small/filler"
  refuse 7 "space" search $quick --nproc 1 --out "$work/small/plan.yaml" --json "$work/small/a.json"
  absent "$work/small/a.json"
  refuse 7 "space" train $quick --nproc 1 train.steps=200 model.hidden=16 model.heads=2 model.ffn=16 model.layers=1 \
    train.log_every=1000 train.evaluate_every=0 "output=$work/small/run"
  umount "$work/small"
fi
