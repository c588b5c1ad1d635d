# Build it, then look around without a key:
#   docker build -t overview-pipeline .
#   docker run --rm overview-pipeline collect --sandbox QUVEX
#   docker run --rm overview-pipeline --help
# The daemon, with a record of your own, read-only but for the volume (compose.yaml does the same, and more):
#   docker run -d --name overviews --read-only --env-file .env -v overviews:/data \
#     -v ./config/pipeline.toml:/config/pipeline.toml:ro overview-pipeline
#   docker exec overviews pipeline status
# Its /metrics, /-/healthy and /-/ready: -e PIPELINE_STATUS__LISTEN=0.0.0.0:8080 -p 127.0.0.1:8080:8080
# One run, for a scheduler of your own: the same with --rm --no-healthcheck, and collect at the end.

# Python 3.13.15 on Debian 13, for all platforms. A newer one: docker buildx imagetools inspect python:3.13-slim shows its
# digest, for this line or --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# The lock first: this layer is built again only when it changes. What is shipped has no pip. A smaller image, without
# pages, notifications, pictures, Parquet, fleets and uvloop: --build-arg LOCK=requirements.txt
ARG LOCK=requirements-extras.txt
COPY ${LOCK} ./
RUN python -m venv --without-pip /opt/pipeline \
 && pip --python /opt/pipeline/bin/python install --no-deps --only-binary :all: --require-hashes -r ${LOCK}

COPY pyproject.toml README.md LICENSE .env.example ./
COPY config config
COPY migrations migrations
COPY pipeline pipeline
RUN pip --python /opt/pipeline/bin/python install --no-deps --no-build-isolation . \
 && pip --python /opt/pipeline/bin/python check

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="overview-pipeline" \
      org.opencontainers.image.description="Keeps the history of Alpha Vantage's company overviews, in SQLite." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# By number, so that an orchestrator can see that it is not root.
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/pipeline /opt/pipeline
# The defaults; mount a file of your own over it.
COPY config/pipeline.toml /config/pipeline.toml

ENV PATH="/opt/pipeline/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PIPELINE_CONFIG=/config/pipeline.toml \
    PIPELINE_DATABASE=/data/overviews.db
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]

# Whether the daemon lives, its last run did not fail and no symbol is stale: from files, so it needs no port. Where
# an unhealthy container is replaced, which fixes no stale symbol, ask /-/healthy instead. The first start after an upgrade
# may have to bring a large file up to date.
HEALTHCHECK --interval=1m --timeout=10s --start-period=5m --retries=3 CMD ["pipeline", "health"]

# The program itself is process 1, and so gets the signals: it ends in order within docker stop's 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["pipeline"]
CMD ["run"]
