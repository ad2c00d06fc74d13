#!/bin/sh
# Roles and their passwords, before the migrations, as the superuser. Harmless a second time. Reads
#   /run/secrets/postgres_superuser   the superuser's password
#   /run/secrets/database_logins      lines `role SCRAM-verifier`: PostgreSQL never sees a password, nor does its log
set -eu
umask 077
printf '%s:*:*:%s:%s\n' "$PGHOST" "$PGUSER" "$(cat /run/secrets/postgres_superuser)" >"$PGPASSFILE"
psql --quiet -v ON_ERROR_STOP=1 -f /roles/roles.sql
psql --quiet -v ON_ERROR_STOP=1 -c "ALTER DATABASE $PGDATABASE OWNER TO fleet_owner"
while read -r role verifier; do
    printf "ALTER ROLE %s PASSWORD '%s';\n" "$role" "$verifier"
done </run/secrets/database_logins | psql --quiet -v ON_ERROR_STOP=1 -f -
