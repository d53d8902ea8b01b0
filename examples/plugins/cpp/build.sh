#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

wit-bindgen cpp ../../../wit --world plugin --out-dir "$out"
python-zig c++ -target wasm32-wasi -mexec-model=reactor -std=c++23 -fno-exceptions -fno-rtti -Wall -Oz -s -I "$out" \
    -o "$out/core.wasm" main.cpp "$out/plugin.cpp" "$out/plugin_component_type.o"
jco new "$out/core.wasm" --wasi-reactor --output "$out/limit.wasm"
