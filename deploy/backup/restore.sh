#!/bin/sh
# Make a data directory out of a base backup and the archived log; PostgreSQL replays and opens it when it is started.
#
#   restore.sh BASE WAL DATA          to the end of the archived log: nothing that was archived is lost
#   restore.sh BASE WAL DATA TIME     to a point in time, as '2026-11-26 02:15:00+00'; what came after is gone. Stripe
#                                     has it still, so the fleet is kept out until somebody runs open-held.sh
#
# DATA must not exist. Put the last segments of a server that still has its disk (pg_wal/) into WAL first.
set -eu
base=$1 wal=$2 data=$3 until=${4:-}
[ ! -e "$data" ] || { echo "$data exists: nothing is restored over a data directory" >&2; exit 1; }
cp -a "$base" "$data"
{
    echo "restore_command = 'cp \"$wal/%f\" \"%p\"'"
    echo "archive_mode = 'off'" # until a person has looked: a restored server must not write into the old archive
    echo "hot_standby = 'off'" # nobody gets in before it is where it shall be
    [ -z "$until" ] || printf '%s\n' "recovery_target_time = '$until'" "default_transaction_read_only = 'on'"
    echo "recovery_target_action = 'promote'"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
chmod 700 "$data"
chown --reference="$base" "$data/recovery.signal" 2>/dev/null || true
