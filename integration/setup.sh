#!/usr/bin/env bash
# Installs what `make test` needs on a Debian machine with Go, and only what is
# missing: setup.sh. What `make demo` needs: setup.sh demo. Run as root.
set -euo pipefail

packages=()
need() { # need PACKAGE COMMAND...: the package, unless the command succeeds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || packages+=("$package")
}
postgres_15_or_newer() {
  local dir
  for dir in /usr/lib/postgresql/*/bin; do
    [ -x "$dir/initdb" ] && [ "$(basename "$(dirname "$dir")")" -ge 15 ] && return
  done
  return 1
}
java_17() { compgen -G '/usr/lib/jvm/*17*/bin/java'; }
race_detector_toolchain() { printf '#include <stdlib.h>\n' | gcc -E -; }

need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need postgresql postgres_15_or_newer
need openjdk-17-jre-headless java_17
need maven command -v mvn
servers=(postgres s3 elasticsearch)
if [ "${1-}" != demo ]; then
  servers=() # all
  need kcat command -v kcat
  need debootstrap command -v debootstrap
  need mariadb-server-core command -v mariadbd
  need mariadb-client-core command -v mariadb
  need python3-venv python3 -c 'import ensurepip, venv'
  need gcc command -v gcc
  need libc6-dev race_detector_toolchain
fi

if [ ${#packages[@]} -gt 0 ]; then
  echo "setup: installing ${packages[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "setup: not root; run: sudo apt-get update && sudo apt-get install -y ${packages[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  if ! { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 30 "$log" >&2
    exit 1
  fi
fi
exec go run ./integration/services/cmd/services fetch "${servers[@]}"
