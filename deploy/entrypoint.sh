#!/usr/bin/env bash
# What a container runs: studio (everything in one), prepare, web, beat, cpu, gpu0 … or any command of manage.py.
set -euo pipefail
cd /app

role="${1:-studio}"
shift || true
case "$role" in
    studio) exec python manage.py studio --host 0.0.0.0 "$@" ;;
    prepare)
        python manage.py migrate --noinput -v 0
        exec python manage.py sample
        ;;
    web | beat | cpu | gpu[0-9]*) exec python -m isengard.studio child "$role" "$@" ;;
    *) exec python manage.py "$role" "$@" ;;
esac
