quick=configs/runs/quickstart.yaml
plan() { { echo 'apiVersion: trellis/v1'; echo 'kind: Plan'; cat; } >"$work/plan.yaml"; }

# what is no plan
for verb in "train $quick --plan $quick" "verify $quick --plan $quick" "explain $quick --run $quick" "diff $quick $quick" \
  "search $quick --nproc 2 search.start_from=$quick"; do
  refuse 4 "this is no plan but a run file" $verb
done
printf 'hello\n' >"$work/hello.txt"
refuse 4 "this is no plan: expected a mapping" train $quick --plan "$work/hello.txt"
refuse 4 "kind: expected Plan, found 'Cluster'" explain configs/clusters/h100-80g.yaml --run $quick

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 2}
layers: [{layers: 0-3, tp: {degree: 2}}]
END
refuse 4 "layer" train $quick --plan "$work/plan.yaml"
refuse 4 "plan.yaml:4" train $quick --plan "$work/plan.yaml"

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 3}
layers: [{layers: 0-5, tp: {degree: 3}}]
END
refuse 4 "do not divide by 3" train $quick --plan "$work/plan.yaml"

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 2}
layers: [{layers: 0-5, tp: {degre: 2}}]
END
refuse 4 "did you mean 'degree'?" explain "$work/plan.yaml" --run $quick

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 2}
layers: [{layers: 0-5, zero: {stage: 4}}]
END
refuse 4 "stage" explain "$work/plan.yaml" --run $quick

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 2}
layers: [{layers: 0-5, zero: {stage: 1}}]
END
refuse 4 "3 ranks" train $quick --nproc 3 --plan "$work/plan.yaml"
refuse 4 "batch" train $quick --plan "$work/plan.yaml" train.batch=7

# Of a misfit: its place, and what fits.
plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 3}
layers:
- {layers: 1-4}
- {layers: [0, 5], tp: {degree: 3}}
END
refuse 4 "plan.yaml:6:" train $quick model.vocab_multiple=64 --plan "$work/plan.yaml"
refuse 4 "layer 0 (embedding) can have here: tp off" explain "$work/plan.yaml" --run $quick model.vocab_multiple=64
refuse 4 "plan.yaml:6:" verify $quick model.vocab_multiple=64 --plan "$work/plan.yaml"
refuse 2 "contradict" train $quick --plan "$work/plan.yaml" parallelism.uniform.tp.degree=2
refuse 2 "contradict" verify $quick --plan "$work/plan.yaml" parallelism.uniform.tp.degree=2
refuse 2 "--ranks: the plan is for 3 devices, --ranks says 4" verify $quick --plan "$work/plan.yaml" --ranks 4

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 2}
layers: [{layers: 0-5, tp: on}]
END
refuse 4 "write 'tp: {degree: 2}'" explain "$work/plan.yaml" --run $quick

plan <<'END'
global: {batch: 24, micro_batches: 1, devices: 2}
layers: [{layers: 0-5, vocab_parallel: {degree: 2}}]
END
refuse 4 "--plugins FOLDER" explain "$work/plan.yaml" --run $quick
