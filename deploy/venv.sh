#!/usr/bin/env bash
# Makes .venv and installs requirements/<base|dev>.lock into it; does nothing when the lock has not changed since.
set -euo pipefail
cd "$(dirname "$0")/.."

set_name="${1:-base}"
python="${PYTHON:-python3}"
lock="requirements/$set_name.lock"

stop() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() { # the apt line as this user has to type it
    if [ "$(id -u)" = 0 ]; then echo "apt-get install -y $*"; else echo "sudo apt-get install -y $*"; fi
}

# A dev install holds the base set too, so it serves both.
digest="$(cat requirements/base.lock "$lock" | sha256sum | cut -d' ' -f1)"
stamp=".venv/.installed-$set_name"
if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then exit 0; fi

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    command -v "$python" >/dev/null || stop "Python is not installed. Run: $(as_root python3 python3-venv)"
    "$python" - <<'PY' || stop "This is $("$python" --version); Isengard needs 3.11 or 3.12. Install one and run: make run PYTHON=python3.11"
import sys
sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
PY
    "$python" -c 'import ensurepip' 2>/dev/null || stop "Python's venv module is missing. Run: $(as_root python3-venv)"
    "$python" -m venv .venv || stop "The virtual environment could not be made in $PWD/.venv; the lines above say why."
fi

free_mb="$(df -Pm . | awk 'NR == 2 { print $4 }')"
if [ ! -e .venv/.installed-base ] && [ "$free_mb" -lt 4000 ]; then
    stop "The disk is nearly full: $free_mb MB are free here and the packages need several GB. Free some space and run it again."
fi

echo "Installing the packages of $lock (the first time takes some minutes) ..."
if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$lock"; then
    stop "The packages could not be installed; the lines above say which. If they name gcc or a missing header, run:" \
        "$(as_root build-essential python3-dev). If they say that no space is left, free some; if they name the network," \
        "connect it. Then run the same command again."
fi
echo "$digest" >"$stamp"
