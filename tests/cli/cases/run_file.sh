quick=configs/runs/quickstart.yaml

refuse 4 "unknown option" train $quick train.step=3
refuse 4 "did you mean 'steps'?" train $quick train.step=3
printf 'seed: 1\nseed: 2\n' >"$work/twice.yaml"
refuse 4 "twice.yaml:2:1" train "$work/twice.yaml"
refuse 4 "expected" train $quick train.steps=many
refuse 4 "expected" search $quick devices.memory=4XB
refuse 7 "nowhere.yaml" train nowhere.yaml
refuse 5 "exakt" search $quick search.use=exakt
refuse 5 "found: dynamic_programming" search $quick search.use=exakt
refuse 5 "gpd" train $quick model.use=gpd
refuse 2 "" train
refuse 2 "" trian $quick

# null takes a key away
refuse 4 "train.steps: required, and not given" train $quick train.steps=null
refuse 2 "did you mean 'steps'?" train $quick train.step=null
refuse 4 "leave the key out where its default is meant" train $quick 'data.files=[~]'

# a pattern that YAML takes for an alias
refuse 2 "a text that begins with '*' stands in quotes: \"*.zip\"" train $quick 'data.files=*.zip'
printf 'data:\n  files: [docs, **/*.md]\n' >"$work/pattern.yaml"
refuse 4 "pattern.yaml:2:17: this is not YAML" train "$work/pattern.yaml"
refuse 4 'stands in quotes: "**/*.md"' train "$work/pattern.yaml"

# text
: >"$work/empty.txt"
refuse 7 "nowhere" train $quick data.files=nowhere
refuse 4 "empty" train $quick "data.files=$work/empty.txt"

# an infeasible budget names the nearest one
refuse 3 "no plan fits" search $quick --nproc 2 search.budget=1MiB --out "$work/plan.yaml"
absent "$work/plan.yaml"
