#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

wit-bindgen c ../../../wit --world plugin --out-dir "$out"
python-zig cc -target wasm32-wasi -mexec-model=reactor -std=c17 -Wall -Wextra -Oz -s -I "$out" -o "$out/core.wasm" \
    main.c "$out/plugin.c" "$out/plugin_component_type.o"
jco new "$out/core.wasm" --wasi-reactor --output "$out/limit.wasm"
