#!/bin/sh
# Installs every tool that the languages of this folder need below one folder, and nothing outside of it:
#     sh install.sh FOLDER && . FOLDER/env
# Needs cargo, python3 with venv, node 20 and npm. A part that cannot be installed is said, and the others go on.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)

# The generator of C, C++ and Go bindings. Its crates also bring the Go package that its bindings import.
from_crates_io() {
    cargo install wit-bindgen-cli --version 0.63.0 --locked --no-default-features --features c,cpp,go --quiet \
        --root "$folder/cargo" --target-dir "$folder/cargo-build" || return 1
    rm -rf "$folder/cargo-build"
    [ -d "$folder/go-pkg-0.63.0" ] ||
        cp -R "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/wit-bindgen-go-0.63.0/src/pkg "$folder/go-pkg-0.63.0"
}

from_pypi() {
    python3 -m venv "$folder/python" &&
        "$folder/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

from_npm() {
    mkdir -p "$folder/npm" &&
        cp "$here/package.json" "$here/package-lock.json" "$folder/npm/" &&
        (cd "$folder/npm" && npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error)
}

cat >"$folder/env" <<END
PATH="$folder/cargo/bin:$folder/python/bin:$folder/npm/node_modules/.bin:\$PATH"
GO_PKG="$folder/go-pkg-0.63.0"
GOCACHE="$folder/cache/go"
ZIG_GLOBAL_CACHE_DIR="$folder/cache/zig"
export PATH GO_PKG GOCACHE ZIG_GLOBAL_CACHE_DIR
END

failed=
from_crates_io & crates_io=$!
from_pypi || failed="$failed PyPI"
from_npm || failed="$failed npm"
wait $crates_io || failed="$failed crates.io"
if [ -n "$failed" ]; then
    echo "install.sh: not everything could be had from$failed" >&2
    exit 1
fi
