#!/bin/sh
# Makes NAME.wasm.
set -eu
cd "$(dirname "$0")"
cargo build --release --target wasm32-wasip2 --locked --target-dir build
cp build/wasm32-wasip2/release/MODULE.wasm NAME.wasm
