# Searches that bring their own costs: no section but `search` is needed, --json and --out are as for others.
llama=configs/runs/galvatron-llama2-7b.yaml
data=configs/galvatron/llama2-7b

"$trellis" --log error search $llama search.micro_batches=1 search.exact_on_same_costs=on --json "$work/l.json" --out "$work/l.yaml" >"$work/l.txt" ||
  { echo "the search failed"; failed=1; }
for text in '"throughput": 14.73233930' '"plan": "'"$work/l.yaml"'"' '"plan": "'"$work/l.exact.yaml"'"' '"status": "optimal, proven"'; do
  grep -qF -- "$text" "$work/l.json" || { echo "no $text in the JSON"; failed=1; }
done
grep -q "20 x 1-1-8f-c, 12 x 1-1-8f" "$work/l.txt" || { echo "not the expected layers"; failed=1; }
grep -q "exact on the same costs" "$work/l.txt" || { echo "no exact answer"; failed=1; }

# infeasible is an answer: JSON, no plan, exit code 3
refuse 3 "no plan fits" search $llama search.memory=8GiB search.exact_on_same_costs=on --json "$work/n.json" --out "$work/n.yaml"
absent "$work/n.yaml"
grep -q '"throughput": null' "$work/n.json" || { echo "no throughput of null"; failed=1; }

# what is used and what is held back; what is rounded down; sections that are not looked at
grep -q "memory by stage 29385 MB, left 107 MB; 7372 MB of a device held back" "$work/l.txt" || { echo "not the expected memory:"; cat "$work/l.txt"; failed=1; }
"$trellis" search $llama search.batch=15 search.micro_batches=1 model.use=gpt profile.cluster=nowhere.yaml >"$work/15.txt" 2>"$work/15.err" || failed=1
grep -q "rounded down: 15 samples of a micro-batch among 8 devices count as 8: 7 of them cost nothing" "$work/15.txt" ||
  { echo "no word of what is rounded down:"; cat "$work/15.txt"; failed=1; }
grep -q "ignored: sections model, profile; search 'galvatron' brings its own" "$work/15.err" || { echo "no word of ignored sections"; failed=1; }
refuse 4 "search.micro_batches: a batch of 16 can be divided by none of: 3" search $llama search.micro_batches=3
refuse 4 "numbers that divide 16: 1, 2, 4, 8, 16" search $llama search.micro_batches=3
refuse 4 "search.disable: 8 GPUs can share the layers in no way that is left" search $llama 'search.disable=[tp,sp,pp,dp]'
refuse 4 "search.batch: 16 in the numbers" search $llama 'search.disable=[tp,sp,dp]' search.micro_batches=1

# what is wrong in the settings or in the files
refuse 4 "search.memory: expected at least" search $llama search.memory=0
refuse 4 "search.layers: expected one number of layers, found 2" search $llama "search.layers=[16,16]"
refuse 4 "search.memroy: unknown option" search $llama search.memroy=1GiB
refuse 4 "search.profiles: there is no folder 'nowhere'" search $llama search.profiles=nowhere
refuse 4 "lengths in the file: 2048" search $llama search.sequence=1024
refuse 2 "--nproc is for searches" search $llama --nproc 2
mkdir "$work/profiles"
cp $data/*.json "$work/profiles"
head -c 900 $data/computation_profiling_bf16_llama2-7b_all.json >"$work/profiles/computation_profiling_bf16_llama2-7b_all.json"
refuse 4 "it ends in the middle" search $llama "search.profiles=$work/profiles"
sed 's/"layertype_0_bsz4_seq2048": [0-9.]*/"layertype_0_bsz4_seq2048": NaN/' $data/computation_profiling_bf16_llama2-7b_all.json \
  >"$work/profiles/computation_profiling_bf16_llama2-7b_all.json"
refuse 4 "NaN and Infinity are no JSON" search $llama "search.profiles=$work/profiles"
cp $data/computation*.json "$work/profiles"
cp $data/computation*.json "$work/profiles/computation_profiling_bf16_other_all.json"
refuse 4 "several files" search $llama "search.profiles=$work/profiles"

# plans to and from the reference's format
published=$data/galvatron_config_llama2-7b_1nodes_8gpus_per_node_36GB_bf16.json
"$trellis" plan import $published --format galvatron --out "$work/plan.yaml" --json "$work/lost.json" >"$work/import.txt" ||
  { echo "import failed"; failed=1; }
grep -q "world_size: not said" "$work/lost.json" || { echo "what was assumed is not in the JSON"; failed=1; }
"$trellis" plan export "$work/plan.yaml" --format galvatron --out "$work/back.json" >/dev/null || { echo "export failed"; failed=1; }
grep -q '"tp_sizes_enc": "1,1,1,1,' "$work/back.json" || { echo "the plan did not come back"; failed=1; }
sed 's/"dp_types_enc": "1,/"dp_types_enc": "/' $published >"$work/short.json"
refuse 4 "dp_types_enc: 31 entries, expected 32" plan import "$work/short.json" --format galvatron --out "$work/no.yaml"
sed '/"chunks"/d' $published >"$work/missing.json"
refuse 4 "chunks: required, and not there" plan import "$work/missing.json" --format galvatron --out "$work/no.yaml"
echo "pp_deg: 1" >"$work/text.json"
refuse 4 "text.json:1:" plan import "$work/text.json" --format galvatron --out "$work/no.yaml"
refuse 7 "gone.json" plan import "$work/gone.json" --format galvatron --out "$work/no.yaml"
absent "$work/no.yaml"
