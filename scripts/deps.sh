#!/bin/sh
# Installs the system programs that firstbyte's tests drive, where apt and the right to use it are there.
#   deps.sh              chromium, for the browser tests
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

for program in chromium; do
    command -v "$program" >/dev/null || install "$program" ||
        echo "deps: $program is missing; its tests will skip (and fail in CI)" >&2
done
