#!/bin/sh
# Makes what no image may contain: keys, a password, and a certificate that browsers warn about.
# What is there already stays as it is.
set -eu
secrets=${1:-/secrets}
tls=${2:-/tls}
random() { python -c 'import secrets; print(secrets.token_hex())'; }

if [ ! -e "$secrets/.env" ]; then
    password=$(random)
    # The user of the database server has to read it.
    printf '%s' "$password" > "$secrets/postgres_password"
    chmod 444 "$secrets/postgres_password"
    umask 077
    {
        echo "SECRET_KEY=$(random)"
        echo "DATABASE_URL=postgresql://microblog:$password@database/microblog"
    } > "$secrets/.env.new"
    mv "$secrets/.env.new" "$secrets/.env"
fi
if [ ! -e "$tls/fullchain.pem" ]; then
    umask 027
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$tls/privkey.pem" -out "$tls/fullchain.new" 2> "$tls/log" || { cat "$tls/log"; exit 1; }
    chmod 640 "$tls/privkey.pem"
    mv "$tls/fullchain.new" "$tls/fullchain.pem"
fi
