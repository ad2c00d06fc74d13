#!/bin/sh
# A standby: a copy of the running primary that follows it. As the user of PostgreSQL, where the standby shall run.
#
#   standby.sh DATA NAME     DATA must not exist; NAME is what the primary calls it, in letters, digits and _
#
# PRIMARY_URL: the primary, as a role with REPLICATION. PG_BIN: where PostgreSQL's programs are, when not on the PATH.
set -eu
: "${PRIMARY_URL:?set it to the address of the primary, as a role with REPLICATION}"
bin=${PG_BIN:+$PG_BIN/} data=$1 name=$2
"${bin}pg_basebackup" --dbname="$PRIMARY_URL?application_name=$name" --pgdata="$data" --checkpoint=fast \
    --wal-method=stream --create-slot --slot="$name" --write-recovery-conf
{
    # The primary's own settings came along. Promoted with them it would wait for a standby that is not there.
    echo "synchronous_standby_names = ''"
    echo "default_transaction_read_only = 'off'"
    # Nor may it keep what restore.sh may have left in there: with a moment to stop at it would not follow.
    printf '%s\n' "hot_standby = 'on'" "recovery_target_time = ''" "restore_command = ''"
} >>"$data/postgresql.auto.conf"
