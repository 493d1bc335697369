# What the user pins of a search, and what is compared.
quick=$(unprofiled)
search() { timeout 100 "$trellis" --log error search $quick --nproc 2 "$@"; }
has() { grep -qF -- "$2" "$1" || { echo "$1 has no '$2':"; head -20 "$1"; failed=1; }; }

search 'search.fix={0-2: {tp: {degree: 2}}, 3-5: {zero: {stage: 3}}}' 'search.forbid=[ulysses, {pp: {above: 1}}]' \
  --out "$work/pinned.yaml" >"$work/out" || failed=1
has "$work/pinned.yaml" "{layers: 0-2, tp: {degree: 2}"
has "$work/pinned.yaml" "stages: [0-5]"
refuse 4 "search.fix.0-2 contradicts search.forbid[0]" search $quick --nproc 2 'search.fix={0-2: {tp: {degree: 2}}}' 'search.forbid=[{layers: 2, tp: on}]'
refuse 4 "layer 2 (block) has no candidate left" search $quick --nproc 2 'search.fix={0-2: {tp: {degree: 2}}}' 'search.forbid=[{layers: 2, tp: on}]'
refuse 4 "did you mean 'ulysses'?" search $quick --nproc 2 'search.forbid=ulises'
refuse 4 "there is no layer 9" search $quick --nproc 2 'search.fix={0-9: {tp: on}}'

# batches
search 'search.batch=[8, 16-32 step 16]' search.objective=tokens search.use=uniform --json "$work/batches.json" >"$work/out" || failed=1
has "$work/out" "tokens/s"
has "$work/batches.json" '"objective": "tokens"'
search search.tokens_per_step=2048 search.use=uniform >"$work/out" || failed=1
has "$work/out" "batch 16 in"
refuse 4 "1000 tokens are no whole number of samples of 128 tokens" search $quick search.tokens_per_step=1000
refuse 4 "search.batch is given, too" search $quick search.tokens_per_step=2048 search.batch=16
refuse 4 "the shortest step would be that of the smallest" search $quick 'search.batch=[8, 16]' search.objective=step
refuse 4 "search.batch" search $quick search.batch=0
refuse 4 "as in 32-128 step 32" search $quick 'search.batch=8-16 step 0'
refuse 4 "expected at least 1 plan, found 0" search $quick --nproc 1 search.use=exhaustive search.limit=0
refuse 4 "search.budget" search $quick search.budget=0
refuse 2 "expected 1 or more, found 0" search $quick --nproc 0
refuse 2 "expected 1 or more, found 0" verify $quick --random 0

# start_from
search "search.start_from=$work/pinned.yaml" search.use=uniform 'search.fix={5: {zero: {stage: 3}}}' >"$work/out" || failed=1
refuse 4 "the plan is not in the space" search $quick --nproc 2 "search.start_from=$work/pinned.yaml" 'search.forbid=[tp]'
refuse 4 "there is no file" search $quick "search.start_from=$work/nowhere.yaml"

# compare
search --compare dynamic_programming,uniform,exhaustive search.use=dynamic_programming search.cells=128 --out "$work/best.yaml" --json "$work/compare.json" >"$work/out" || failed=1
has "$work/out" "more than the limit of 100000"
has "$work/compare.json" '"search": "uniform"'
has "$work/best.yaml" "search: dynamic_programming"
refuse 5 "exakt" search $quick --compare uniform,exakt
refuse 2 "named twice" search $quick --compare uniform,uniform
refuse 3 "no plan fits" search $quick --nproc 2 --compare uniform,dynamic_programming search.budget=1MiB --json "$work/none.json"
has "$work/none.json" '"status": "infeasible"'

# diff
timeout 100 "$trellis" diff "$work/best.yaml" "$work/best.yaml" >"$work/out" || { echo "equal plans differ"; failed=1; }
has "$work/out" "the plans are equal"
timeout 100 "$trellis" diff "$work/best.yaml" "$work/pinned.yaml" --json "$work/diff.json" >"$work/out"
[ $? -eq 1 ] || { echo "plans that differ: expected exit code 1"; failed=1; }
has "$work/out" "-> tp 2"
has "$work/diff.json" '"equal": false'
printf 'model: {use: gpt, hidden: 64, layers: 4, heads: 4, vocab: 256, sequence: 32}\ntrain: {batch: 24}\n' >"$work/other.yaml"
timeout 100 "$trellis" --log error search "$work/other.yaml" --nproc 2 search.use=uniform --out "$work/other.plan.yaml" >/dev/null || failed=1
timeout 100 "$trellis" diff "$work/best.yaml" "$work/other.plan.yaml" --json "$work/diff.json" >"$work/out"
has "$work/out" "the plans are for different models: what they predict is not compared"
has "$work/diff.json" '"other_model": true'
timeout 100 "$trellis" explain "$work/other.plan.yaml" --run $quick train.batch=12 >"$work/out" 2>"$work/err"
has "$work/err" "the plan's batch is 24, and so are all figures; train.batch is 12"
has "$work/err" "the plan was made for another model than the run file's"
refuse 7 "nowhere" diff "$work/best.yaml" "$work/nowhere.yaml"
printf 'apiVersion: trellis/v1\nkind: Plan\nglobal: {batch: 1, devices: 1}\nlayers: [{layers: 0-x}]\n' >"$work/bad.yaml"
refuse 4 "bad.yaml:4" diff "$work/best.yaml" "$work/bad.yaml"
refuse 4 "did you mean 'layers'?" search configs/runs/quickstart.yaml --nproc 2 'search.fix=[{layer: 0-1, tp: off}]'
