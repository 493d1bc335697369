# Images: what is refused before there are ranks, that a plan changes no sample, and that an export says how images are prepared.
formats=$PWD/tests/images/formats
mkdir -p "$work/png"/{cat,dog}
for i in 1 2 3 4 5 6; do
  cp "$formats/gray.png" "$work/png/cat/$i.png"
  cp "$formats/color.jpg" "$work/png/dog/$i.jpg"
done
cat >"$work/run.yaml" <<EOF
seed: 3
model: {use: vit, image_size: 8, patch_size: 2, channels: 1, hidden: 16, layers: 2, heads: 2, ffn: 16, classes: 2}
data: {use: images, folder: png, held_out: 25%, random_crop: {padding: 1}, flip: on}
train: {steps: 4, batch: 4, dtype: f64, evaluate_batches: 4}
output: $work/refused
EOF
accept() { "$trellis" "$@" >"$work/.out" 2>"$work/.err" || { echo "trellis $*"; cat "$work/.err"; failed=1; }; }
says() { grep -qF -- "$1" "$work/.out" || { echo "expected: $1"; cat "$work/.out"; failed=1; }; }
losses() {
  awk -F'[:,]' '/"losses": \[/ { on = 1 } /\]/ { on = 0 } on && /^ *[0-9]/ { printf "%.9f ", $1 }
                /"held_out_loss":/ { printf "held out %.9f ", $2 }' "$1"
}

refuse 7 "data.folder: there is no folder" train "$work/run.yaml" --nproc 2 data.folder=none
refuse 7 "data.folder: there is no folder" run "$work/run.yaml" --nproc 2 data.folder=none
refuse 4 "model.classes" train "$work/run.yaml" --nproc 2 model.classes=1
refuse 4 "data.size: 7 pixels are fewer than the model takes: 8" train "$work/run.yaml" --nproc 2 data.size=7
refuse 8 "trains models that read a field 'patches', and family 'gpt' does not" train configs/runs/quickstart.yaml data.use=images "data.folder=$work/png"
refuse 4 "there is not one image" train "$work/run.yaml" --nproc 1 data.held_out=1%
cp -r "$work/png" "$work/bad"
cp "$formats/cut.jpg" "$formats/print.jpg" "$work/bad/dog/"
touch "$work/bad/cat/empty.png"
refuse 4 "3 of 15 images cannot be used" train "$work/run.yaml" --nproc 2 "data.folder=$work/bad"
grep -qF "print.jpg': a JPEG of print colors (CMYK)" "$work/.err" || { echo "the reason is missing"; failed=1; }
printf '\0\0\10\3\0\0\0\2\0\0\0\1\0\0\0\1AB' >"$work/images"
printf '\0\0\10\1\0\0\0\3\0\1\0' >"$work/labels"
idx=(data.use=idx "data.images=$work/images" "data.labels=$work/labels")
refuse 4 "has 2 images, and '$work/labels' 3 labels" train "$work/run.yaml" "${idx[@]}"
printf '\0\0\10\3\0\0\0\3\0\0\0\1\0\0\0\1AB' >"$work/images"
refuse 4 "says 3 x 1 x 1, and has 2 bytes of numbers" train "$work/run.yaml" "${idx[@]}"
absent "$work/refused"

accept train "$work/run.yaml" --nproc 1 "output=$work/one" --json "$work/one.json" "export=$work/weights"
says "images  12 of 2 classes in 12 files, 25 % of them held out"
says "nats an image"
says "label entropy of the images"
accept train "$work/run.yaml" --nproc 2 "output=$work/two" --json "$work/two.json" parallelism.uniform.zero.stage=3
cat >"$work/plan.yaml" <<EOF
apiVersion: trellis/v1
kind: Plan
global: {batch: 4, micro_batches: 2, devices: 2}
layers: [{layers: 0}, {layers: 1-2, tp: {degree: 2}, megatron_sp: on}, {layers: 3, tp: {degree: 2}}]
EOF
accept train "$work/run.yaml" --plan "$work/plan.yaml" "output=$work/five" --json "$work/five.json"
accept train "$work/run.yaml" --nproc 2 "output=$work/three" --json "$work/three.json" 'parallelism.uniform={ulysses: {degree: 2}, micro_batches: 2}'
accept train "$work/run.yaml" --nproc 2 "output=$work/four" --json "$work/four.json" parallelism.uniform.pp.degree=2
[ "$(losses "$work/one.json" | wc -w)" = 7 ] || { losses "$work/one.json"; failed=1; }
for other in two three four five; do
  [ "$(losses "$work/one.json")" = "$(losses "$work/$other.json")" ] || { echo "$other: a plan changes the samples"; failed=1; }
done

# an export says how images are prepared; who starts from it gets that, and passes it on
grep -qF '"image_processor_type": "ViTImageProcessor"' "$work/weights/preprocessor_config.json" || failed=1
grep -qF '"cat": 0' "$work/weights/config.json" && grep -qF '"1": "dog"' "$work/weights/config.json" || { echo "no class names"; failed=1; }
# a head and the classes that it was trained for
cp -r "$work/weights" "$work/swapped"
sed -i 's/"0": "cat"/"0": "dog"/; s/"1": "dog"/"1": "cat"/' "$work/swapped/config.json"
refuse 4 "weights: class 'cat' has label 0 in the data, and 1 in the head that was trained" train "$work/run.yaml" --nproc 2 \
  "output=$work/r" "weights=$work/swapped"
grep -qF "data.labels=[dog, cat] has the head's order" "$work/.err" || { cat "$work/.err"; failed=1; }
refuse 4 "weights: class 'cat' has label 0" run "$work/run.yaml" --nproc 2 "output=$work/r" "weights=$work/swapped"
absent "$work/r"
accept train "$work/run.yaml" --nproc 1 "output=$work/r" "weights=$work/swapped" 'data.labels=[dog, cat]' "export=$work/swapped2"
grep -qF '"0": "dog"' "$work/swapped2/config.json" || { echo "labels are not in the export"; failed=1; }
mv "$work/png/dog" "$work/png/cow"
accept train "$work/run.yaml" --nproc 1 "output=$work/r" "weights=$work/weights"
grep -qF "trained for other classes, and goes on from those: 'cow' (was 'dog')" "$work/.err" || { cat "$work/.err"; failed=1; }
mv "$work/png/cow" "$work/png/dog"

sed -i 's/"resample": 2/"resample":   3/' "$work/weights/preprocessor_config.json"
accept train "$work/run.yaml" --nproc 1 "output=$work/six" "weights=$work/weights" "export=$work/weights2"
cmp "$work/weights/preprocessor_config.json" "$work/weights2/preprocessor_config.json" || failed=1
sed -i 's/"resample":   3/"resample": 0/' "$work/weights/preprocessor_config.json"
refuse 8 "preprocessor_config.json:8:15: resample: 0 (nearest) is not supported" train "$work/run.yaml" "weights=$work/weights"
accept train "$work/one/run.yaml" --nproc 1 "output=$work/again" --json "$work/again.json" "export=$work/weights3" # its paths are absolute
[ "$(losses "$work/one.json")" = "$(losses "$work/again.json")" ] || { echo "the resolved run file is another run"; failed=1; }
