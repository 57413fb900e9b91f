#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command with QUERN_TEST_POSTGRES set to the URL of a PostgreSQL of its own, made in a
# temporary folder and reached by a socket there, and QUERN_TEST_POSTGRES_RESTART to a program that
# restarts it: with_postgres.sh COMMAND ... Exit 77 (skipped)
# where PostgreSQL is not installed. Root, whom PostgreSQL refuses, lends the server to nobody.
set -eu
bin=$(dirname "$(command -v initdb || echo /none/initdb)")
for folder in /usr/local/pgsql/bin /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ]; then bin=$folder; fi
done
if [ ! -x "$bin/initdb" ]; then
    echo "skipped: PostgreSQL is not installed (apt-get install postgresql)"
    exit 77
fi
folder=$(mktemp -d /tmp/quern-postgres-XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
    chown nobody "$folder"
    as=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups env "HOME=$folder")
fi
cd "$folder"
stop() {
    "${as[@]}" "$bin/pg_ctl" -D data -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
"${as[@]}" "$bin/initdb" -D data -U quern -A trust --no-sync --locale=C.UTF-8 >/dev/null
cat >restart <<END
#!/bin/sh
cd '$folder' && exec ${as[@]} '$bin/pg_ctl' -D data -w -l log -m fast restart >/dev/null
END
chmod +x restart
"${as[@]}" "$bin/pg_ctl" -D data -w -l log start \
    -o "-k '$folder' -c listen_addresses='' -c max_connections=60" >/dev/null || {
    cat log
    exit 1
}
cd "$OLDPWD"
QUERN_TEST_POSTGRES="postgresql://quern@/postgres?host=$folder" \
    QUERN_TEST_POSTGRES_RESTART="$folder/restart" "$@"
