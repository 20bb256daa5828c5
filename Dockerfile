# Plumbline in a container: `docker build -t plumbline .`; on Debian 12 with `--build-arg DEBIAN=bookworm`.
ARG DEBIAN=trixie

# All that makes the program, and is not needed to run it.
FROM debian:${DEBIAN}-slim AS build
WORKDIR /src
COPY tests/dependencies.sh tests/
RUN sh tests/dependencies.sh build
COPY web/package.json web/package-lock.json web/
RUN cd web && npm ci --no-fund --no-audit
COPY . .
RUN make -j"$(nproc)" && make install PREFIX=/usr DESTDIR=/image && strip /image/usr/bin/plumbline
# The packages of the libraries it is linked with: their names differ from release to release.
RUN ldd /image/usr/bin/plumbline | awk '$3 ~ "/" { print $3 }' | xargs realpath | sed 's|.*/|*/|' | \
    xargs -d '\n' dpkg-query -S | cut -d: -f1 | sort -u > /image/packages

# TLS in front of the server, for the profile `proxy` of compose.yaml.
FROM debian:${DEBIAN}-slim AS proxy
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends caddy && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* && install -d -m 700 -o caddy -g caddy /data
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/data
USER caddy
VOLUME /data

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="Plumbline" \
    org.opencontainers.image.description="Measures how far gradient descent's steps on activations are from ideal" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="MIT"
COPY --from=build /image/packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends \
    dataset-fashion-mnist < /tmp/packages && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /tmp/packages && \
    useradd --system --uid 10001 --no-create-home --home-dir /var/lib/plumbline plumbline && \
    install -d -m 700 -o plumbline -g plumbline /var/lib/plumbline /backup
COPY --from=build /image/usr /usr
ENV PLUMBLINE_DATA=/var/lib/plumbline PLUMBLINE_LISTEN=0.0.0.0:8420 PLUMBLINE_FIRST_TOKEN=true
USER 10001
VOLUME /var/lib/plumbline
EXPOSE 8420
# Asks the server over its socket in the data directory, which takes the scheduler and the catalog to answer.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["plumbline", "list", "--state", "running", "--limit", "1"]
ENTRYPOINT ["plumbline"]
CMD ["serve"]
