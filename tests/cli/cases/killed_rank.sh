# A rank that is killed in the middle of a step: all end, and the error names it.
quick=configs/runs/quickstart.yaml
"$trellis" train $quick --nproc 2 train.steps=100000 train.evaluate_every=0 "output=$work/run" >"$work/out" 2>"$work/err" &
launcher=$!
victim=
for _ in $(seq 400); do
  sleep 0.1
  [ -s "$work/run/metrics.jsonl" ] || continue
  for process in $(pgrep -P $launcher); do
    tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | grep -qx RANK=1 && victim=$process
  done
  [ -n "$victim" ] && break
done
[ -n "$victim" ] || { echo "rank 1 was not seen to train"; failed=1; }
kill -9 "$victim"
for _ in $(seq 200); do kill -0 $launcher 2>/dev/null || break; sleep 0.1; done
kill -0 $launcher 2>/dev/null && { echo "the launcher is still there after 20 s"; failed=1; kill -9 $launcher; }
wait $launcher
code=$?
[ $code -eq 6 ] || { echo "expected exit code 6, found $code"; failed=1; }
grep -q "rank 1 was killed by signal 9" "$work/err" || { echo "the error does not name rank 1:"; cat "$work/err"; failed=1; }
pgrep -f "output=$work/run" >/dev/null && { echo "ranks are left"; failed=1; }
true
