#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

wit-bindgen c ../../../wit --world plugin --out-dir "$out"
cp main.zig "$out"
cd "$out"
python-zig translate-c -target wasm32-wasi -lc plugin.h >plugin.zig
python-zig build-exe main.zig plugin.c plugin_component_type.o -target wasm32-wasi -mexec-model=reactor -rdynamic \
    -O ReleaseSmall -fstrip -I . -lc --name core
jco new core.wasm --wasi-reactor --output limit.wasm
