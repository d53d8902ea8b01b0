#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

mkdir -p "$out"
cp -R main.js ../../../wit "$out"
cd "$out"
jco componentize main.js --wit wit --world-name plugin --backend quickjs --backend-qjs-disable-async --out limit.wasm
