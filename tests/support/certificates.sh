#!/bin/sh
# Makes certificates for a test in the folder $1, good for a day: ca.pem; server.* for localhost, 127.0.0.1 and
# sesior-session; edge.*, backend.*, admin.* for callers "sesior-rest", "billing" and "ops"; stranger.* of another authority.
set -eu
mkdir -p "$1"
cd "$1"

# make FILE SUBJECT [OPTION...]
make() {
  file=$1 subject=$2
  shift 2
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=$subject" \
    -keyout "$file.key" -out "$file.pem" "$@" 2>> openssl.log
}
signed() {
  file=$1 name=$2
  shift 2
  make "$file" "$name" -CA "${CA:-ca}.pem" -CAkey "${CA:-ca}.key" -addext basicConstraints=critical,CA:FALSE \
    -addext "subjectAltName=${ALSO:-}DNS:$name" "$@"
}
make ca "an authority of a test"
ALSO="DNS:localhost,IP:127.0.0.1," signed server sesior-session
signed edge sesior-rest
signed backend billing
signed admin ops
make other "another authority"
CA=other signed stranger sesior-rest
