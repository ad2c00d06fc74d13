#!/bin/sh
# Let the fleet into a database that was restored to a moment, with every payment, refund, capture and transfer of every
# tenant on hold: Stripe may have moved that money already, after the moment.
#
#   open-held.sh WHO     WHO is written beside the pauses. End them: fleet pause lift PAUSE --alike --reason WHY
#
# DATABASE_SUPERUSER_URL: the database of the fleet, as a superuser. PG_BIN: where psql is, when not on the PATH.
set -eu
: "${DATABASE_SUPERUSER_URL:?set it to the address of the restored database, as a superuser}"
"${PG_BIN:+$PG_BIN/}psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=who="$1" "$DATABASE_SUPERUSER_URL" <<'SQL'
SET default_transaction_read_only = off;
INSERT INTO pauses (tenant_id, what, reason, paused_by)
SELECT tenant_id, 'all', 'restored to a moment: compare with Stripe first', :'who' FROM tenants;
ALTER SYSTEM RESET default_transaction_read_only;
SELECT pg_reload_conf() \g /dev/null
SELECT count(*) AS "tenants on hold" FROM pauses WHERE lifted_at IS NULL AND what = 'all';
SQL
