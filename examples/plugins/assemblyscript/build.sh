#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

mkdir -p "$out"
asc main.ts --runtime stub --use abort=main/stop -Oz --textFile "$out/named.wat"
# An identifier cannot be named like an export of a component.
sed -e 's|(export "run"|(export "standfast:plugin/check@0.1.0#run"|' \
    -e 's|(export "handle"|(export "standfast:plugin/notify@0.1.0#handle"|' "$out/named.wat" >"$out/core.wat"
jco parse "$out/core.wat" --output "$out/core.wasm"
node ../tools/embed.mjs ../../../wit/plugin.wit plugin utf16 "$out/core.wasm" "$out/embedded.wasm"
jco new "$out/embedded.wasm" --output "$out/limit.wasm"
