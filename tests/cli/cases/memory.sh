# What a rank uses is what was predicted, also where its kernels have scratch for each of its threads.
small=(train.steps=2 train.batch=2 train.evaluate_batches=0 model.hidden=16 model.heads=2 model.ffn=16 model.layers=1
  model.sequence=1024 model.loss_chunk=64 model.vocab=257)
quick=$(unprofiled)
for threads in 1 2 3; do
  set_to=("${small[@]}" "devices.threads=$threads")
  timeout 100 "$trellis" --log error search $quick --nproc 1 "${set_to[@]}" --json "$work/search.json" >/dev/null || failed=1
  timeout 100 "$trellis" --log error train $quick --nproc 1 "${set_to[@]}" "output=$work/run$threads" --quiet \
    --json "$work/train.json" || failed=1
  python3 -c '
import json, sys
threads, search, train = sys.argv[1], *(json.load(open(f)) for f in sys.argv[2:])
measured, = train["memory"]["measured"]
for predicted in train["memory"]["predicted"] + search["memory_expected"]:
    assert abs(measured / predicted - 1) < 0.01, f"{threads} threads: {measured} bytes, predicted {predicted}"
' "$threads" "$work/search.json" "$work/train.json" || failed=1
done
