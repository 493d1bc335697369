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
