#!/bin/sh
# Builds limit.wasm into the folder that is named, `build` if none is.
set -eu
cd "$(dirname "$0")"
out=${1:-build}

wit-bindgen go ../../../wit --world plugin --out-dir "$out"
mkdir -p "$out/export_standfast_plugin_check" "$out/export_standfast_plugin_notify"
cp check.go "$out/export_standfast_plugin_check/"
cp hook.go "$out/export_standfast_plugin_notify/"
here=$PWD
cd "$out"
# The bindings import a package of the Go module proxy; a copy in GO_PKG will do too.
if [ -n "${GO_PKG:-}" ]; then
    go mod edit -replace "go.bytecodealliance.org/pkg=$GO_PKG"
fi
go mod tidy
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w -checklinkname=0" -o core.wasm .
node "$here/../tools/embed.mjs" "$here/../../../wit/plugin.wit" plugin utf8 core.wasm embedded.wasm
jco new embedded.wasm --wasi-reactor --output limit.wasm
