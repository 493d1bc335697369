# trellis data and the section `data`: what is refused, that nothing is half-written, and that a plan changes no sample.
quick=configs/runs/quickstart.yaml golden=tests/tokenizers/golden
small=(train.steps=3 train.batch=4 train.evaluate_batches=2 model.hidden=16 model.heads=2 model.ffn=16 model.layers=2
  model.sequence=16 model.vocab=320 train.dtype=f64 data.tokenizer=$PWD/$golden/gpt2.json)
accept() { "$trellis" "$@" >"$work/.out" 2>"$work/.err" || { echo "trellis $*"; cat "$work/.err"; failed=1; }; }
says() { grep -qF -- "$1" "$work/.out" || { echo "expected: $1"; cat "$work/.out"; failed=1; }; }

printf '{"text": "one document"}\n{"text": "two"}\n' >"$work/a.jsonl"
accept data tokenize "$work/a.jsonl" --tokenizer $golden/gpt2.json --out "$work/a.bin" --json "$work/a.json"
says "2 documents"
accept data show "$work/a"
says "2 sequences, 2 documents"
accept data tokenize docs --tokenizer $golden/gpt2.json --out "$work/docs" --threads 1
accept data tokenize docs --tokenizer $golden/gpt2.json --out "$work/docs2" --threads 3
cmp "$work/docs.bin" "$work/docs2.bin" && cmp "$work/docs.idx" "$work/docs2.idx" || failed=1

refuse 2 "expected files, lines or jsonl" data tokenize docs --out "$work/x" --documents pages
refuse 2 "the tokenizer has no token '<eod>'" data tokenize docs --out "$work/x" --end '<eod>'
refuse 2 "expected 1 or more" data tokenize docs --out "$work/x" --threads 0
refuse 7 "there is no file or folder" data tokenize "$work/none" --out "$work/x"
refuse 7 "there is no tokenizer" data tokenize docs --out "$work/x" --tokenizer "$work/none.json"
refuse 7 "cannot make folder" data tokenize docs --out "$work/a.jsonl/deep/x"
refuse 7 "there is no tokenizer" data tokenize docs --out "$work/none/x" --tokenizer "$work/none.json"
absent "$work/none"
accept data tokenize "$work/a.jsonl" --out "$work/new/deep/a" # as profile, import and export make the folders of what they write
accept data show "$work/new/deep/a"
refuse 4 "a.jsonl:1:1: there is no 'body'" data tokenize "$work/a.jsonl" --out "$work/x" --key body
printf 'caf\351\n' >"$work/latin.txt"
refuse 4 "latin.txt:1:4: this is not UTF-8 text" data tokenize "$work/latin.txt" --out "$work/x" --tokenizer $golden/gpt2.json
sed 's/"type":"ByteLevel","add/"type":"Metaspace","add/' $golden/gpt2.json >"$work/meta.json"
refuse 8 "pre_tokenizer.type: 'Metaspace' is not supported" data tokenize docs --out "$work/x" --tokenizer "$work/meta.json"
absent "$work/x.bin"
absent "$work/x.idx"
head -c 1000 "$work/docs.bin" >"$work/docs2.bin"
refuse 4 "and the .bin has 1000" data show "$work/docs2"
refuse 7 "there is no file" data show "$work/none"

# in a run file, told once, before there are ranks
refuse 4 "data.files" train $quick --nproc 2 "${small[@]}" "output=$work/r" data.use=indexed "data.files=[$work/docs2]"
refuse 7 "data.tokenizer: there is no tokenizer" train $quick "${small[@]}" "output=$work/r" data.tokenizer=none.json
refuse 4 "100 tokens are fewer than the byte-level BPE tokenizer has: 320" train $quick "${small[@]}" "output=$work/r" model.vocab=100
refuse 4 "the tokenizer has no token '<eod>'" train $quick "${small[@]}" "output=$work/r" 'data.end_of_document=<eod>'
refuse 4 "and the model's vocabulary has 257" train $quick --nproc 1 "${small[@]}" "output=$work/r2" data.use=indexed "data.files=[$work/docs]" \
  data.tokenizer=byte model.vocab=257
sed "s/<|endoftext|>/<|other|>/g" $golden/gpt2.json >"$work/noend.json"
bert=configs/runs/bert-text.yaml t5=configs/runs/t5-text.yaml
printf 'text\tlabel\na\t1\nb\t7\n' >"$work/labels.tsv"
labelled=(data.use=labelled_text "data.files=$work/labels.tsv" model.vocab=259 "output=$work/r")
refuse 4 "labels.tsv:3:1: label 7 is out of range: the model has 2 classes" train $bert --nproc 2 "${labelled[@]}" model.task=classification
refuse 8 "has a label for each text, and the model reads one for each token" train $bert --nproc 2 "${labelled[@]}"
refuse 4 "there is no column 'sentence'" train $bert "${labelled[@]}" model.task=classification data.text=sentence
refuse 4 "and those to begin a sample: 259" train $bert data.use=sentence_pairs "output=$work/r"
refuse 8 "has labels of tokens, and the model reads one for each sample" train $bert model.task=classification "output=$work/r"
refuse 8 "has labels of tokens, and the model reads one for each sample" train $bert model.task=classification data.use=sentence_pairs "output=$work/r"
refuse 4 "fewer than the byte tokenizer and 100 sentinels have: 357" train $t5 --nproc 2 "output=$work/r" model.vocab=300
refuse 4 "a sample has 7 spans, and there are 3 sentinels" train $t5 --nproc 1 "output=$work/r" data.sentinels=3
refuse 4 "a sample has 141 tokens, and there are only" train $t5 --nproc 1 "output=$work/r" "data.files=$work/labels.tsv"
# which kind of data a model needs
refuse 8 "data.use=span_corruption trains this model" train $t5 data.use=text "output=$work/r"
refuse 8 "data.use=span_corruption trains this model" train $t5 "${labelled[@]}"
refuse 8 "data.use=masked_text trains this model" train $bert data.use=span_corruption "output=$work/r"
refuse 8 "data.use=text trains this model" train $quick data.use=span_corruption "output=$work/r"
refuse 8 "data.use=labelled_text trains this model" train $bert model.task=classification "output=$work/r"
refuse 8 "data.use=images trains this model" train configs/runs/vit-digits.yaml data.use=text data.files=docs "output=$work/r"
refuse 4 "data.format: expected text or indexed" train $t5 "output=$work/r" data.format=binary
refuse 4 "it has no token that is known to end documents" train $t5 "output=$work/r" "data.tokenizer=$work/noend.json" model.vocab=420
absent "$work/r"

# the same losses and the same held-out loss by another plan on another number of ranks, from text or tokenized before
losses() {
  awk -F'[:,]' '/"losses": \[/ { on = 1 } /\]/ { on = 0 } on && /^ *[0-9]/ { printf "%.9f ", $1 }
                /"held_out_loss":/ { printf "held out %.9f ", $2 }' "$1"
}
accept data tokenize core/data --tokenizer $golden/gpt2.json --out "$work/core"
sed '/files:/d' $quick | sed "s#^data:#data:\n  use: indexed\n  sources: [{files: $work/docs, weight: 0.7}, {files: $work/core, weight: 0.3}]#; /use: text/d" >"$work/blend.yaml"
accept train "$work/blend.yaml" --nproc 1 "${small[@]}" "output=$work/one" --json "$work/one.json"
accept train "$work/blend.yaml" --nproc 2 "${small[@]}" "output=$work/two" --json "$work/two.json" parallelism.uniform.tp.degree=2
accept train "$work/blend.yaml" --nproc 2 "${small[@]}" "output=$work/three" --json "$work/three.json" parallelism.uniform.pp.degree=2
[ "$(losses "$work/one.json" | wc -w)" = 6 ] || { losses "$work/one.json"; failed=1; }
[ "$(losses "$work/one.json")" = "$(losses "$work/two.json")" ] || { echo "tp changes the samples"; failed=1; }
[ "$(losses "$work/one.json")" = "$(losses "$work/three.json")" ] || { echo "pp changes the samples"; failed=1; }
accept train $quick --nproc 1 "${small[@]}" "output=$work/text" --json "$work/text.json" "data.files=[$PWD/docs]"
accept train $quick --nproc 1 "${small[@]}" "output=$work/indexed" --json "$work/indexed.json" data.use=indexed "data.files=[$work/docs]"
[ "$(losses "$work/text.json")" = "$(losses "$work/indexed.json")" ] || { echo "tokenizing before changes the samples"; failed=1; }
accept data tokenize docs core/data --out "$work/bytes"
masked=(train.steps=3 train.batch=4 train.evaluate_batches=2 train.dtype=f64 model.hidden=16 model.heads=2 model.layers=2 model.sequence=32)
for use in masked_text span_corruption; do
  run=$bert
  [ $use = masked_text ] || run=$t5
  accept train $run --nproc 1 "${masked[@]}" "output=$work/text" --json "$work/text.json" "data.files=[$PWD/docs, $PWD/core/data]"
  accept train $run --nproc 2 "${masked[@]}" "output=$work/indexed" --json "$work/indexed.json" data.format=indexed "data.files=[$work/bytes]" \
    parallelism.uniform.pp.degree=2
  [ "$(losses "$work/text.json" | wc -w)" = 6 ] || { losses "$work/text.json"; failed=1; }
  [ "$(losses "$work/text.json")" = "$(losses "$work/indexed.json")" ] || { echo "$use: indexed files or pp change the samples"; failed=1; }
done
accept train $bert --nproc 1 "${masked[@]}" "output=$work/words" --json "$work/words.json" data.whole_words=on data.files=docs
[ "$(losses "$work/words.json")" != "$(losses "$work/text.json")" ] || { echo "whole words change nothing"; failed=1; }
accept train $quick --nproc 1 "${small[@]}" "output=$work/weights_run" "export=$work/weights" "data.files=[$PWD/docs]"
cmp "$work/weights/tokenizer.json" $golden/gpt2.json || failed=1
