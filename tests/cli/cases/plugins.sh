# Plugins that must not be loaded.
quick=configs/runs/quickstart.yaml
built=$(dirname "$trellis")/../plugins
copy() { rm -rf "$work/p"; mkdir -p "$work/p"; cp -r "$built/parallelism/tp" "$work/p/mine"; sed -i "s/^name: tp/name: $1/" "$work/p/mine/plugin.yaml"; }

copy tp
refuse 5 "tp" search $quick "plugins.path=[$work/p]"

copy other
chmod o+w "$work/p/mine/"*.so
refuse 5 "written" search $quick "plugins.path=[$work/p]"

copy other
head -c 5000 "$built/parallelism/tp/"*.so >"$work/p/mine/libtrellis_parallelism_tp.so"
refuse 5 "libtrellis_parallelism_tp.so" search $quick "plugins.path=[$work/p]"

copy other
rm "$work/p/mine/"*.so
refuse 5 "libtrellis_parallelism_tp.so" search $quick "plugins.path=[$work/p]"

mkdir -p "$work/none"
refuse 7 "there is no plugin.yaml" plugins check "$work/none"
refuse 5 "searched: " plugins check no_such_plugin

# The name of a plugin that was found comes before a folder of that name: its source, say.
mkdir -p "$work/source/gpt"
cp "$built/models/gpt/plugin.yaml" "$work/source/gpt/"
cd "$work/source"
"$trellis" plugins check gpt >"$work/.out" 2>&1 || { cat "$work/.out"; failed=1; }
cd "$OLDPWD"

# What is wrong with the options that a family shrinks itself to is the family's mistake.
copy_careless() { mkdir -p "$work/careless"; cp "$built/../tests/loader/fakes/careless.so" "$work/careless/fake.so"; printf '%s\n' "apiVersion: trellis/v1" "kind: Plugin" "type: models" "name: careless" "version: 1.0.0" "library: fake.so" >"$work/careless/plugin.yaml"; }
copy_careless
printf '%s\n' "model: {use: careless, mistake: shrink}" "train: {steps: 1, batch: 4}" >"$work/careless.yaml"
refuse 5 "model 'careless' cannot be shrunk to test size: hiden: unknown option" --plugins "$work/careless" verify "$work/careless.yaml" --random 1 --ranks 1
refuse 5 "verify it as it is, with --full; a defect of the plugin" --plugins "$work/careless" verify "$work/careless.yaml" --random 1 --ranks 1
