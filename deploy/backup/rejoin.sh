#!/bin/sh
# Make the old primary a standby of the new one: what only the old one had is undone, the rest is fetched.
# The old primary must not run. As the user of PostgreSQL, on the old primary's machine.
#
#   rejoin.sh DATA NAME      NAME is what the new primary shall call it
#
# PRIMARY_URL: the new primary, as a superuser. PG_BIN: where PostgreSQL's programs are, when not on the PATH.
set -eu
: "${PRIMARY_URL:?set it to the address of the new primary, as a superuser}"
bin=${PG_BIN:+$PG_BIN/} data=$1 name=$2
"${bin}psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$name" "$PRIMARY_URL" <<'SQL'
CHECKPOINT;  -- pg_rewind reads the new timeline from its control file, which is written by the next checkpoint
SELECT pg_create_physical_replication_slot(:'name')
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = :'name') \g /dev/null
SQL
"${bin}pg_rewind" --target-pgdata="$data" --source-server="$PRIMARY_URL?application_name=$name" --write-recovery-conf
{
    echo "primary_slot_name = '$name'"
    # The new primary's settings came along. Promoted with them this one would wait for a standby that is not there.
    echo "synchronous_standby_names = ''"
    echo "default_transaction_read_only = 'off'"  # a primary that was stopped in good order may have been fenced by it
    # Nor may it keep what restore.sh may have left in there: with a moment to stop at it would not follow.
    printf '%s\n' "hot_standby = 'on'" "recovery_target_time = ''" "restore_command = ''"
} >>"$data/postgresql.auto.conf"
rm -rf "$data"/pg_replslot/*  # slots of its own standbys would keep its log for ever
