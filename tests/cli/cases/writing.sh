# A full disk and folders that cannot be written: an error that names the file, and nothing half-written.
quick=configs/runs/quickstart.yaml
refuse 7 "/dev/full" search $quick --nproc 1 --json /dev/full/x.json
refuse 7 "nowhere" search $quick --nproc 1 --out "$work/nowhere/plan.yaml"
absent "$work/nowhere"
# before the work begins: nothing is written, a run is not begun
for verb in train verify run profile; do
  refuse 7 "nowhere/a.json" $verb $quick --json "$work/nowhere/a.json" "output=$work/begun"
done
absent "$work/begun"
refuse 7 "nowhere/a.json" search $quick --nproc 1 --out "$work/written.yaml" --json "$work/nowhere/a.json"
absent "$work/written.yaml"
refuse 7 "Is a directory" search $quick --nproc 1 --out "$work"
: >"$work/file"
refuse 7 "file" train $quick --nproc 1 train.steps=1 "output=$work/file/run"

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
