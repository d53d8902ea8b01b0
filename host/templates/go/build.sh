#!/bin/sh
# Makes NAME.wasm.
set -eu
cd "$(dirname "$0")"
wit-bindgen go wit --world check-plugin --out-dir build
mkdir -p build/export_standfast_plugin_check
cp check.go build/export_standfast_plugin_check/
cd build
# The bindings import a package of the Go module proxy; a copy in GO_PKG will do too.
if [ -n "${GO_PKG:-}" ]; then
    go mod edit -replace "go.bytecodealliance.org/pkg=$GO_PKG"
else
    go mod tidy
fi
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w -checklinkname=0" -o core.wasm .
wasm-tools component embed ../wit --world check-plugin core.wasm --output embedded.wasm
jco new embedded.wasm --wasi-reactor --output ../NAME.wasm
