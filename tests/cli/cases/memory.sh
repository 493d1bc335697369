# What a rank uses is what was predicted, also where its kernels have scratch for each of its threads.
quick=configs/runs/quickstart.yaml
small=(train.steps=2 train.batch=2 train.evaluate_batches=0 model.hidden=16 model.heads=2 model.ffn=16 model.layers=1
  model.sequence=1024 model.loss_chunk=64 model.vocab=257)
for threads in 1 2 3; do
  "$trellis" train $quick --nproc 1 "${small[@]}" "devices.threads=$threads" "output=$work/run$threads" --quiet --json "$work/$threads.json" ||
    failed=1
  tr -d '\n ' <"$work/$threads.json" | sed 's/.*"memory":{"measured":\[\([0-9]*\)\],"predicted":\[\([0-9]*\)\].*/\1 \2/' >"$work/memory"
  awk -v threads="$threads" '{ off = $1 / $2 - 1; if (off > 0.01 || off < -0.01) { print threads " threads: " $1 " bytes, predicted " $2; exit 1 } }' \
    "$work/memory" || failed=1
done
