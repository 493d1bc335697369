quick=$(unprofiled)
search() { timeout 100 "$trellis" --log error search "$@"; }
has() { grep -qF -- "$2" "$1" || { echo "$1 has no '$2':"; head -20 "$1"; failed=1; }; }

# The default is exact, and it says what it has proven.
printf 'model: {use: gpt, hidden: 64, layers: 2, heads: 4, vocab: 256, sequence: 32}\ntrain: {batch: 4}\n' >"$work/bare.yaml"
search "$work/bare.yaml" --nproc 2 --out "$work/bare.plan.yaml" >"$work/out" || failed=1
has "$work/bare.plan.yaml" "search: exact"
has "$work/out" "optimal, proven: no plan of the space is faster than"
has "$work/out" " a step by this cost model"
grep -q "^replayed: .* a step, " "$work/out" || { echo "no replayed step beside the predicted one"; failed=1; }
has "$work/out" "ties: proven"
search $quick --nproc 2 search.use=uniform >"$work/out" || failed=1
has "$work/out" "feasible: whether a better plan exists"
search $quick --nproc 4 'search.batch=[16, 24]' 'search.limit={labels: 1}' >"$work/out" || failed=1
has "$work/out" "a sample by this cost model"
# Predicted and replayed, for machines as explain has it.
search $quick --nproc 4 search.use=uniform 'search.fix={zero: {stage: 3}}' --out "$work/zero3.yaml" --json "$work/zero3.json" >/dev/null || failed=1
timeout 100 "$trellis" --log error explain "$work/zero3.yaml" --run $quick --json "$work/explained.json" >"$work/out" || failed=1
grep -q "^predicted: .*; this is what searches compare" "$work/out" || { echo "explain does not label its prediction"; failed=1; }
grep -q "^replayed: .* than predicted" "$work/out" || { echo "explain does not label its replay"; failed=1; }
python3 - "$work/zero3.json" "$work/explained.json" <<'PYTHON' || failed=1
import json, sys
found, told = (json.load(open(file)) for file in sys.argv[1:])
assert found["replayed_s"] == told["step_seconds"] > 0 and found["step_s"] == told["step_s"], (found, told)
assert found["replayed_s"] != found["step_s"]
for stage in told["stages"]:
    parts = [stage[part + "_seconds"] for part in ("reduction", "norm", "optimizer", "gather", "sharing")]
    assert abs(sum(parts) - stage["update_seconds"]) < 1e-9, stage
share = told["binding"]["share_of_step"]
assert abs(share["reducing"] + share["gathering"] + share["optimizing"] - share["updating"]) < 1e-9, share
PYTHON
refuse 4 "expected at least 1, found 0" search $quick 'search.limit={labels: 0}'
refuse 4 "expected more than 0, found 0" search $quick 'search.limit={seconds: 0}'
# What devices make of it; the peak only of a cluster that is described.
python3 - "$work/zero3.json" "$work/explained.json" <<'PYTHON' || failed=1
import json, sys
found, told = (json.load(open(file)) for file in sys.argv[1:])
for answer in found, told:
    assert answer["tokens_per_second"] > 0 and answer["flops_per_device"] > 0 and answer["mfu"] is None, answer
assert found["estimated"] and len(found["estimated"]) < 300, len(found["estimated"])
PYTHON
search bench/planner/32x8.yaml search.use=uniform --json "$work/mfu.json" >"$work/out" || failed=1
grep -q "tokens/s, [0-9.]* TFLOP/s a device, [0-9.]* % of its peak (MFU)" "$work/out" || { echo "no MFU"; head -20 "$work/out"; failed=1; }
python3 - "$work/mfu.json" <<'PYTHON' || failed=1
import json, sys
answer = json.load(open(sys.argv[1]))
assert 0.1 < answer["mfu"] < 0.8 and abs(answer["flops_per_device"] / answer["mfu"] - 312e12) < 1e6, answer["mfu"]
PYTHON
# A bound has as many digits as tell it from the step.
search bench/planner/32x8.yaml 'search.limit={labels: 1}' --json "$work/gap.json" >"$work/out" || failed=1
if grep -q "^within" "$work/out"; then
  grep -q "^within .*; this one takes " "$work/out" || { echo "a bound that cannot be told from the step"; failed=1; }
fi
# The bound of one search is that of all.
search $quick --nproc 2 --compare exact,uniform --json "$work/compared.json" >"$work/out" || failed=1
python3 - "$work/compared.json" <<'PYTHON' || failed=1
import json, sys
exact, uniform = json.load(open(sys.argv[1]))["compare"]
assert exact["gap"] == 0 and abs(uniform["gap"] - (uniform["step_s"] / exact["lower_bound"] - 1)) < 1e-12, (exact["gap"], uniform["gap"])
PYTHON
# On one core and on all: the same plan, bound and status, under a limit of labels, too.
for cores in 0 "0-$(($(nproc) - 1))"; do
  taskset -c "$cores" timeout 100 "$trellis" --log error search bench/planner/32x8.yaml search.limit.labels=2000 \
    --out "$work/cores.yaml" | sed 's/; [0-9.]* m\?s$//' >"$work/cores-$cores" || failed=1
done
cmp "$work/cores-0" "$work/cores-0-$(($(nproc) - 1))" || failed=1
# Of the plans that are as fast the first one of all, also where many labels are needed to tell.
for cores in 0 "0-$(($(nproc) - 1))"; do
  taskset -c "$cores" timeout 100 "$trellis" --log error search bench/planner/32x64.yaml search.budget=40GiB \
    --out "$work/cores.yaml" | sed 's/; [0-9.]* m\?s$//' >"$work/ties-$cores" || failed=1
done
has "$work/ties-0" "ties: proven"
cmp "$work/ties-0" "$work/ties-0-$(($(nproc) - 1))" || failed=1
search $quick --nproc 2 --compare exact,dynamic_programming,uniform >"$work/out" || failed=1
has "$work/out" "optimal, proven"

# With no margin there is still what a prediction may be off.
search $quick --nproc 2 search.margin=0 search.budget=24MiB --json "$work/margin.json" --out "$work/margin.yaml" >"$work/out" || failed=1
has "$work/out" "budgets are what a margin of 1.0"
python3 -c '
import json, sys
for low, high in json.load(open(sys.argv[1]))["memory_interval"]: assert high <= 24 * 2**20, high
' "$work/margin.json" || failed=1

# Where nothing fits the JSON is written all the same, and says so.
refuse 3 "no plan fits in" search $quick search.budget=1MiB --nproc 2 --json "$work/none.json" --out "$work/none.yaml"
absent "$work/none.yaml"
grep -q '"replayed_s": null' "$work/none.json" || { echo "an infeasible search wrote no replayed step of null"; failed=1; }
grep -q '"throughput": null' "$work/none.json" || { echo "an infeasible search wrote no throughput of null"; failed=1; }
grep -q '"status": "infeasible, proven"' "$work/none.json" || { echo "an infeasible search did not write its status, proven"; failed=1; }

# Clusters that cannot be, or not of this run.
cluster() { sed "$1" configs/clusters/h100-80g.yaml >"$work/cluster.yaml"; }
on_cluster() { echo search "$work/bare.yaml" devices.kind=cuda profile.cluster="$work/cluster.yaml" "$@"; }
cluster 's/^efficiency: .*/efficiency: 150%/'
refuse 4 "efficiency: expected 0% to 100%, found 150%" $(on_cluster --nproc 8)
cluster 's/^efficiency: .*/efficiency: 60/'
refuse 4 "write 60%" $(on_cluster --nproc 8)
cluster 's/^slowdown: .*/slowdown: 3/'
refuse 4 "slowdown: expected 1 to 2, found 3" $(on_cluster --nproc 8)
cluster 's/^flops: .*/flops: {f32: 67TFLOP\/s}/'
refuse 4 "there is no peak rate for bf16" $(on_cluster --nproc 8 train.dtype=bf16)
cluster '/^ *between:/d'
refuse 4 "links.between: required: 16 devices are more than the 8 of a node" $(on_cluster --nproc 16)
refuse 4 "[2, 3] is 6 devices a stage, which do not divide the run's 8" $(on_cluster --nproc 8 'search.atoms=[[2,3]]')
refuse 4 "write 5%" search $quick search.margin=5
search $quick --nproc 2 search.micro_batches=5 'search.fix={zero: {stage: 1}, pp: {degree: 1}, tp: off, ulysses: off}' >"$work/out" || failed=1
has "$work/out" "batch 24 in 5 micro-batches of 6, padded by 6"

# Plans of other systems.
refuse 2 "no plugin knows a plan format 'galvatrons'" plan import $quick --format galvatrons --out "$work/plan.yaml"
refuse 2 "--format is required" plan import $quick --out "$work/plan.yaml"
