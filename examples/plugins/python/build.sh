#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

mkdir -p "$out"
cp -R main.py ../../../wit "$out"
cd "$out"
componentize-py -d wit -w plugin componentize main -o limit.wasm
