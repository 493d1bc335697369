# Sweeps of a search, what is missing where nothing fits, and what else there would be beside a plan.
quick=$(unprofiled)
# Answers are proven on a busy machine, too.
patient='search.limit={seconds: 60}'
search() { timeout 200 "$trellis" --log error search $quick --nproc 2 search.use=exact "$patient" "$@"; }
has() { grep -qF -- "$2" "$1" || { echo "$1 has no '$2':"; head -20 "$1"; failed=1; }; }

search --sweep memory=20MiB..100MiB --points 6 --json "$work/front.json" --out "$work/best.yaml" >"$work/out" || failed=1
grep -Eq "^6 of [0-9]+ points, spread over the range" "$work/out" || { head -20 "$work/out"; failed=1; }
has "$work/out" "the front is exact: every answer is proven"
has "$work/out" "one search over all budgets: "
has "$work/front.json" '"best_from_bytes"'
has "$work/front.json" '"sweep": ['
has "$work/best.yaml" "search: exact"
# However few points are shown, nothing fits below the smallest that was found.
search --sweep memory=20MiB..100MiB --points 1 >"$work/out" || failed=1
has "$work/out" "in less than 20.3 MiB nothing fits, proven"
# Another search's front has its own plans: none is better than what it finds for that budget.
timeout 200 "$trellis" --log error search $quick --nproc 2 search.use=uniform --sweep memory=20MiB..100MiB --points 4 --json "$work/uniform.json" >"$work/out" || failed=1
has "$work/out" "search 'uniform' proves nothing of its answers"
budget=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["sweep"][1]["best_from_bytes"])' "$work/uniform.json")
timeout 200 "$trellis" --log error search $quick --nproc 2 search.use=uniform search.budget="${budget}B" --json "$work/one.json" >/dev/null || failed=1
python3 - "$work/uniform.json" "$work/one.json" <<'PYTHON' || failed=1
import json, sys
point, one = json.load(open(sys.argv[1]))["sweep"][1], json.load(open(sys.argv[2]))
assert point["step_s"] == one["step_s"], (point["step_s"], one["step_s"])
PYTHON
search --sweep memory=46MiB..47MiB >"$work/out" || failed=1
grep -q "spread over the range" "$work/out" && { echo "a short front was cut"; failed=1; }
search --sweep memory=4MiB..44MiB:20MiB --json "$work/steps.json" >"$work/out" || failed=1
has "$work/out" "no plan fits"
has "$work/steps.json" '"status": "infeasible, proven"'
has "$work/steps.json" '"status": "optimal, proven"'
search --sweep gpus=1..2 >"$work/out" || failed=1
has "$work/out" "1 x 2 devices"
search --sweep batch=8,16 --json "$work/batches.json" >"$work/out" || failed=1
has "$work/batches.json" '"batch": 16'
search --sweep sequence=64..128 --json "$work/sequences.json" >"$work/out" || failed=1
has "$work/sequences.json" '"sequence": 64'
refuse 2 "found 'memroy'" search $quick --sweep memroy=1GiB
refuse 2 "ends before it begins" search $quick --sweep gpus=8..4
refuse 2 "exclude each other" search $quick --sweep gpus=1,2 --compare uniform,exact
refuse 2 "this search brings its own" search configs/runs/galvatron-fixture.yaml --sweep gpus=1,2
refuse 2 "--points is for a front" search $quick --points 4
refuse 2 "--points is for a front" search $quick --sweep gpus=1,2 --points 4
refuse 2 "expected 1 or more" search $quick --sweep memory=1MiB..2MiB --points 0
refuse 3 "no plan fits anywhere" search $quick --nproc 2 search.use=exact --sweep memory=1MiB..2MiB --json "$work/none.json"
has "$work/none.json" '"throughput": null'
has "$work/none.json" '"status": "infeasible, proven"'

# infeasible: what is missing, and what fits
refuse 3 "stage 0 lacks" search $quick --nproc 2 search.use=exact "$patient" search.budget=16MiB --json "$work/lacks.json"
has "$work/.err" "at the least"
has "$work/.err" "what fits: search.budget=21MiB"
grep -q "or less" "$work/.err" && { echo "a proven budget is said to be perhaps too much"; failed=1; }
has "$work/lacks.json" '"infeasible": {'
has "$work/lacks.json" '"search_budget_bytes"'
search search.budget=21MiB >"$work/out" || { echo "what was said to fit does not"; failed=1; }
# Search and questions together end half of the limit after it, a second at the least; questions are announced, and what
# they could not prove is said so. Time of the processors, of which there may be many: a machine may be busy otherwise.
TIMEFORMAT=%0U
nothing_fits() {
  timeout 300 "$trellis" search bench/planner/32x8.yaml search.budget=8GiB 'search.limit={seconds: 2}' >"$work/out" 2>"$work/.err"
  echo $? >"$work/code"
}
took=$({ time nothing_fits; } 2>&1)
[ "$(cat "$work/code")" -eq 3 ] || { echo "8 GiB for 7 B parameters: expected exit code 3"; failed=1; }
[ "$took" -le 12 ] || { echo "a limit of 2 s took $took s"; failed=1; }
has "$work/.err" "no plan fits; looking for what would"
budget=$(grep -o "search.budget=[0-9]*MiB" "$work/.err")
search() { timeout 200 "$trellis" --log error search "$@"; }
search bench/planner/32x8.yaml "$budget" 'search.limit={seconds: 5}' >"$work/out" || { echo "$budget was said to fit and does not"; failed=1; }
search() { timeout 200 "$trellis" --log error search $quick --nproc 2 search.use=exact "$patient" "$@"; }
refuse 3 "but there is one" search $quick --nproc 2 search.use=uniform 'search.fix={1: {ckpt: full}, 2: {ckpt: off}}' --json "$work/other.json"
has "$work/other.json" '"missed": {'

# explain: what binds, runner-ups, the price of memory
explain() { timeout 200 "$trellis" --log error explain "$work/30.yaml" --run $quick search.budget=30MiB "$patient" "$@"; }
search search.budget=30MiB --out "$work/30.yaml" >/dev/null || failed=1
explain --json "$work/plain.json" >"$work/out" || failed=1
has "$work/out" "  memory: stage 0 needs"
has "$work/plain.json" '"full_stages"'
grep -q "what if" "$work/out" && { echo "plain explain searches"; failed=1; }
explain --what-if --json "$work/whatif.json" >"$work/out" || failed=1
for text in "memory, from the exact front's point at" "next point below: +" "next point above: -" "over 5 % less: +" "no plan of the space is better (optimal, proven)" "another global choice" "another mix of strategies" "ms per GiB"; do
  has "$work/out" "$text"
done
grep -q "^  without [a-z_]* in any layer " "$work/out" || { echo "no plan without a dimension"; failed=1; }
grep -q "^  overall" "$work/out" && { echo "the better runner-up is told twice"; failed=1; }
for text in '"what_if"' '"groups"' '"dimensions"' '"other_choice"' '"other_mix"' '"runner_up"' '"less_s_per_gib"' '"over_5_percent"' '"extra_s"'; do
  has "$work/whatif.json" "$text"
done
# The neighbors are those of the front that a sweep tells.
search --sweep memory=20MiB..40MiB --points 1000 --json "$work/front.json" >/dev/null || failed=1
python3 - "$work/whatif.json" "$work/front.json" <<'PYTHON' || failed=1
import json, sys
price = json.load(open(sys.argv[1]))["what_if"]["price_of_memory"]
assert price["here_is_proven"] and price["less_is_proven"] and price["more_is_proven"], price
front = json.load(open(sys.argv[2]))["sweep"]
steps = [point["step_s"] for point in front]
at = steps.index(price["here"]["step_s"])
less, more = front[at - 1], front[at + 1]
assert price["less"]["step_s"] == less["step_s"], (price["less"], less)
assert price["more"]["step_s"] == more["step_s"], (price["more"], more)
assert max(more["memory"]) == price["more"]["needs_bytes"] == price["nothing_faster_in_bytes"] + 1, price["more"]
gib = (price["here"]["needs_bytes"] - price["less"]["needs_bytes"]) / 2**30
slope = (price["less"]["step_s"] - price["here"]["step_s"]) / gib
assert abs(price["less_s_per_gib"] / slope - 1) < 1e-6, (price["less_s_per_gib"], slope)
PYTHON
# in another budget the plan is not in the space
timeout 200 "$trellis" --log error explain "$work/30.yaml" --run $quick search.budget=25MiB --what-if >"$work/out" || failed=1
has "$work/out" "the plan is not in the space of the search: stage 0 needs"
has "$work/out" "  does not fit: stage 0 needs"
timeout 200 "$trellis" --log error explain "$work/30.yaml" --run $quick search.budget=1GiB >"$work/out" || failed=1
has "$work/out" "  memory does not bind: stage 0 needs"
has "$work/out" "of the replayed step it computes"

# devices with different memory
uneven() { timeout 200 "$trellis" --log error search $quick --nproc 4 search.use=exact "$@"; }
uneven 'devices.memory={0-1: 64MiB, 2-3: 30MiB}' search.stages=2 --out "$work/uneven.yaml" --json "$work/uneven.json" >"$work/out" || failed=1
has "$work/out" " of 60.8 MiB ("
has "$work/out" " of 28.5 MiB ("
has "$work/out" "a margin of 5 %"
python3 - "$work/uneven.json" <<'PYTHON' || failed=1
import json, sys
answer = json.load(open(sys.argv[1]))
assert answer["budget_bytes"] == [63753421] * 2 + [29884416] * 2, answer["budget_bytes"]
assert answer["memory"][0] <= 63753421 and answer["memory"][1] <= 29884416, answer["memory"]
assert answer["status"] == "optimal, proven", answer["status"]
PYTHON
uneven 'search.budget=[64MiB, 64MiB, 30MiB, 30MiB]' search.stages=2 --compare exact,dynamic_programming,uniform >"$work/out" || failed=1
has "$work/out" "optimal, proven"
timeout 200 "$trellis" --log error explain "$work/uneven.yaml" --run $quick search.stages=2 'search.budget={0-1: 64MiB, 2-3: 30MiB}' --what-if >"$work/out" || failed=1
grep -q "the plan is not in the space" "$work/out" && { echo "a plan under different budgets is outside"; failed=1; }
has "$work/out" "another mix of strategies"
has "$work/out" "its price is not asked for where devices have different budgets"
refuse 3 "no plan fits in 7.6 MiB to 15.2 MiB a device, proven; stage" search $quick --nproc 4 search.use=exact 'search.budget={0-1: 16MiB, 2-3: 8MiB}' --json "$work/none.json"
has "$work/.err" "what fits: search.budget={0-1: "
python3 - "$work/none.json" <<'PYTHON' || failed=1
import json, sys
missing = json.load(open(sys.argv[1]))["infeasible"]
near = missing["nearest"]["search_budget_bytes"]
assert len(near) == 4 and abs(near[0] - near[2] - (8 << 20)) <= 2, near  # whole bytes of a share
assert missing["nearest"]["devices"] is None and missing["lacks_bytes"] > 0, missing
PYTHON
refuse 2 "--sweep memory: the devices of this run have different memory" search $quick --nproc 2 'search.budget=[32MiB, 64MiB]' --sweep memory=16MiB..80MiB
refuse 2 "--sweep gpus: the devices of this run have different memory" search $quick --nproc 2 'search.budget=[32MiB, 64MiB]' --sweep gpus=1,2
refuse 4 "search.budget: it is of 2 devices, the run has 4" search $quick --nproc 4 'search.budget=[32MiB, 64MiB]'
refuse 4 "devices.memory: it is of 3 devices, the run has 2" search $quick --nproc 2 'devices.memory={0-2: 32MiB}' 
refuse 4 "device 1 is named twice" search $quick --nproc 2 'devices.memory={0-1: 32MiB, 1: 64MiB}'
refuse 4 "device 1 is missing" search $quick --nproc 2 'devices.memory={0: 32MiB, 2: 64MiB}'
