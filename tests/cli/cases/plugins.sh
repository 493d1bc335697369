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
