#!/usr/bin/env bash
# Writes .env with generated secrets for docker-compose, once and readable by you alone. `--nvidia` chooses the GPU worker.
set -euo pipefail
cd "${ISENGARD_ENV_DIR:-$(dirname "$0")/..}"

profile=cpu
if [ "${1:-}" = --nvidia ]; then profile=nvidia; fi
if [ -e .env ]; then
    echo ".env is there already and was left as it is. Remove it to make new secrets (the database keeps the old password)." >&2
    exit 1
fi

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

umask 077
set -o noclobber
cat >.env <<TEXT
COMPOSE_PROFILES=$profile
SECRET_KEY=$(secret)$(secret)
POSTGRES_PASSWORD=$(secret)
REDIS_PASSWORD=$(secret)
TEXT
echo "Wrote .env. Now run: docker compose up --build"
