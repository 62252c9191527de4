#!/usr/bin/env bash
# Everything that can be said about the code without running it: format, lint, templates, types, imports, migrations, schema.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
# None of these talks to a service, but the settings want a folder to write to.
export VOLUME_ROOT="$scratch/data"

step() {
    echo "== $*"
    "$@"
}

step ruff format --check .
step ruff check .
git ls-files -z -- 'templates/*.html' '*/templates/*.html' >"$scratch/templates"
if [ -s "$scratch/templates" ]; then
    echo "== djade --check"
    xargs -0 djade --check --target-version 5.2 <"$scratch/templates"
fi
step lint-imports
step mypy
step python manage.py check --fail-level WARNING
step python manage.py makemigrations --check --dry-run
step python manage.py spectacular --validate --fail-on-warn --file "$scratch/openapi.yaml"
