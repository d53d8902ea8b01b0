#!/bin/sh
# Makes NAME.wasm.
set -eu
cd "$(dirname "$0")"
jco componentize plugin.js --wit wit --world-name check-plugin --backend quickjs --backend-qjs-disable-async --out NAME.wasm
