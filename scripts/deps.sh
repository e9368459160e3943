#!/bin/sh
# Installs the system programs that firstbyte's tests drive, where apt and the right to use it are there.
#   deps.sh              chromium, redis-server and curl for tests, a compiler and Python.h for the compiled modules
#   deps.sh venv PYTHON  python3-venv, then the virtual environment (Debian splits it off)
set -eu

install() {
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
    else
        echo "deps: please install: $*" >&2
        return 1
    fi
}

if [ "${1:-}" = venv ]; then
    rm -rf .venv
    install python3-venv
    exec "$2" -m venv .venv
fi

# The compiled modules: a compiler and Python's headers.
if ! command -v cc >/dev/null || ! .venv/bin/python -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null; then
    install gcc libc6-dev python3-dev || echo "deps: no C compiler or no Python.h; the compiled tests will fail" >&2
fi

for program in chromium redis-server curl; do
    command -v "$program" >/dev/null || install "$program" ||
        echo "deps: $program is missing; its tests will skip (and fail in CI)" >&2
done
