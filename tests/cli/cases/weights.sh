# Folders of public weights: what import, export and train refuse, and that nothing is half-written.
quick=configs/runs/quickstart.yaml
small=(train.steps=1 train.batch=2 train.evaluate_batches=0 model.hidden=16 model.heads=2 model.ffn=16 model.layers=1
  model.sequence=32)
accept() { "$trellis" "$@" >"$work/.out" 2>"$work/.err" || { echo "trellis $*"; cat "$work/.err"; failed=1; }; }
same() { cmp "$1" "$2" || failed=1; }

accept train $quick --nproc 2 "${small[@]}" "output=$work/run" "export=$work/weights"
accept import "$work/weights" --out "$work/model.yaml" --json "$work/import.json"
accept export "$work/model.yaml" --out "$work/again"
same "$work/weights/model.safetensors" "$work/again/model.safetensors"
same "$work/weights/config.json" "$work/again/config.json"
accept train $quick --nproc 2 "${small[@]}" "output=$work/run2" "weights=$work/weights" "export=$work/weights2"
cmp -s "$work/weights/model.safetensors" "$work/weights2/model.safetensors" && { echo "it did not train"; failed=1; }
accept import "$work/weights2" --out "$work/imported"
accept export "$work/imported" --out "$work/shards" --shard-size 4kB --dtype bf16
accept import "$work/shards"

# what is there is not overwritten, and training is not begun for nothing
refuse 7 "there is something in it" train $quick "${small[@]}" "output=$work/run3" "export=$work/weights"
refuse 8 "export: no public model type of family gpt has rotary positions beside layer_norm" train $quick "${small[@]}" \
  "output=$work/run3" "export=$work/new" model.norm=layer_norm
absent "$work/run3"
absent "$work/new"
refuse 7 "there is something in it" export "$work/model.yaml" --out "$work/weights"
refuse 2 "--dtype" export "$work/model.yaml" --out "$work/new" --dtype int8
refuse 4 "weights: required, and not given" export $quick --out "$work/new"
absent "$work/new"

# a run that does not fit its weights
refuse 4 "and the model needs [32 16]" train $quick "${small[@]}" model.ffn=32 "output=$work/run3" "weights=$work/weights"
refuse 4 "tensors that the model needs are missing" train $quick "${small[@]}" model.layers=2 "output=$work/run3" "weights=$work/weights"
golden=tests/parity/golden
refuse 4 "has a model of type 'bert', and the run's model, of family gpt, is of type 'llama'" train $quick "output=$work/run3" weights=$golden/bert-masked-lm
refuse 4 "has a model of type 'gpt2', and the run's model, of family gpt, is of type 'llama': " train $quick "output=$work/run3" weights=$golden/gpt2
refuse 4 "'trellis import $golden/gpt2 --out MODEL.yaml'" train configs/runs/bert-text.yaml "output=$work/run3" weights=$golden/gpt2
refuse 7 "weights: there is no folder" train $quick "${small[@]}" "output=$work/run3" "weights=$work/nowhere"
absent "$work/run3"

# damaged folders
refuse 7 "there is no folder" import "$work/nowhere" --out "$work/new.yaml"
cp -r "$work/weights" "$work/broken"
truncate -s -1 "$work/broken/model.safetensors"
refuse 4 "broken/model.safetensors: tensor" import "$work/broken" --out "$work/new.yaml"
cp "$work/weights/model.safetensors" "$work/broken/"
sed -i 's/"silu"/"relu"/' "$work/broken/config.json"
refuse 4 "hidden_act: 'relu' is not supported" import "$work/broken" --out "$work/new.yaml"
sed -i 's/"llama"/"gpt_bigcode"/' "$work/broken/config.json"
refuse 8 "model_type 'gpt_bigcode' is not supported" import "$work/broken" --out "$work/new.yaml"
rm "$work/broken/model.safetensors"
: >"$work/broken/pytorch_model.bin"
refuse 8 "the weights are pickled only (pytorch_model.bin)" import "$work/broken" --out "$work/new.yaml"
rm "$work/shards/model-00002"*
refuse 4 "shards are missing: model-00002-of-" import "$work/shards" --out "$work/new.yaml"
absent "$work/new.yaml"
