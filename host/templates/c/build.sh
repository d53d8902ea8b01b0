#!/bin/sh
# Makes NAME.wasm.
set -eu
cd "$(dirname "$0")"
wit-bindgen c wit --world check-plugin --out-dir build
python-zig cc -target wasm32-wasi -mexec-model=reactor -std=c17 -Wall -Wextra -Oz -s -I build -o build/core.wasm \
    plugin.c build/check_plugin.c build/check_plugin_component_type.o
jco new build/core.wasm --wasi-reactor --output NAME.wasm
