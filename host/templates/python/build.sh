#!/bin/sh
# Makes NAME.wasm.
set -eu
cd "$(dirname "$0")"
componentize-py -d wit -w check-plugin componentize plugin -o NAME.wasm
