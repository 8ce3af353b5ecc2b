# One image for all services and for the operators' command; the first argument names what runs:
#
#     docker run … ocop-interconnect registry
#     docker run … ocop-interconnect ocop tenant list
#
# Whoever takes packages from a mirror, or through a proxy with a certificate of its own, says so in a pip.conf of
# theirs (`cert = /run/secrets/ca`). Secrets stay out of the image:
#
#     docker build --secret id=pip,src=pip.conf --secret id=ca,src=ca.pem .

# For a digest of one's own choice: --build-arg BASE=python:3.11.15-slim-bookworm@sha256:…
ARG BASE=python:3.11.15-slim-bookworm

FROM ${BASE} AS build
RUN python3 -m venv /venv
COPY requirements.run.lock /build/
# Ready-made packages only, each with a digest from the lock: nothing is compiled, nothing else gets in.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    ["/venv/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", \
     "--require-hashes", "--only-binary=:all:", "--requirement=/build/requirements.run.lock"]
RUN ["/venv/bin/python", "-m", "pip", "uninstall", "--yes", "pip", "setuptools"]
# `ocop` for whoever comes into a container that runs already; what pip would have made of the project.
RUN ["/venv/bin/python", "-c", "from pathlib import Path; ocop = Path('/venv/bin/ocop'); ocop.write_text('#!/venv/bin/python\\nfrom ocop.__main__ import main\\nmain()\\n'); ocop.chmod(0o755)"]
COPY contracts /app/contracts
COPY servicekit /app/servicekit
COPY services/gateway/gateway /app/gateway
COPY services/registry/registry /app/registry
COPY services/evaluation/evaluation /app/evaluation
COPY services/marketplace-sync/marketplace_sync /app/marketplace_sync
COPY services/notifications/notifications /app/notifications
COPY services/national/national /app/national
COPY ocop /app/ocop
# The root is read-only, so a start could not keep what it compiled.
RUN ["/venv/bin/python", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/app"]

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="OCOP Interconnect" \
      org.opencontainers.image.description="Joins the records of Vietnam's provinces on the One Commune One Product programme" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OCOP_HTTP_HOST=0.0.0.0 \
    OCOP_HTTP_PORT=8080
WORKDIR /app
# A number, so that an orchestrator can see that it is not root's; nothing in the image belongs to it.
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=3 CMD ["python", "-m", "servicekit.healthcheck"]
ENTRYPOINT ["python", "-m"]
CMD ["ocop", "--help"]
