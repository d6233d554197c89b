# One static binary in an otherwise empty image.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /image/usr/bin/sluice ./cmd/sluice
# Connectors talk to the hub through sockets in /tmp; TLS needs the roots.
RUN mkdir -p /image/etc/ssl/certs /image/tmp /image/var/lib/sluice \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && chmod 1777 /image/tmp && chown 65532:65532 /image/var/lib/sluice

FROM scratch
COPY --from=build /image /
USER 65532:65532
VOLUME /var/lib/sluice
EXPOSE 8081 8083 9092
ENTRYPOINT ["/usr/bin/sluice"]
# Who publishes 8081 for others asks them who they are (sluice.registry.auth.*) instead of being insecure.
CMD ["run", "--data", "/var/lib/sluice", "--set", "listeners=http://0.0.0.0:8083", "--set", "sluice.registry.listener=0.0.0.0:8081", "--set", "sluice.registry.insecure=true"]
