#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

cargo build --release --target wasm32-wasip2 --locked --target-dir "$out/target"
cp "$out/target/wasm32-wasip2/release/limit.wasm" "$out/limit.wasm"
