#!/usr/bin/env bash
# The browser tests drive Debian's chromium. Installs it where it is missing and we may, and says loudly when we cannot.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing chromium for the browser tests ..."
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then exit 0; fi
fi
cat >&2 <<'TEXT'
**********************************************************************
* chromium is missing and could not be installed.                    *
* THE BROWSER TESTS ARE SKIPPED. To run them:                        *
*     sudo apt-get install -y chromium                               *
**********************************************************************
TEXT
