# One image for every part of the studio; `deploy/entrypoint.sh` says which part a container runs.
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev tini libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --shell /usr/sbin/nologin isengard \
    && install -d -o isengard -g isengard /data

WORKDIR /app
# The packages change seldom and weigh gigabytes, the code changes often and weighs little.
COPY requirements/base.lock requirements/base.lock
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements/base.lock

COPY . .
# A throw-away data folder, so that no key of the build ends up in the image.
RUN VOLUME_ROOT=/tmp/build python manage.py collectstatic --noinput -v 0 && rm -rf /tmp/build

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VOLUME_ROOT=/data HF_HOME=/data/huggingface
USER isengard
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["tini", "-s", "--", "/app/deploy/entrypoint.sh"]
CMD ["studio"]
