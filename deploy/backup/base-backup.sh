#!/bin/sh
# A base backup, verified: the beginning of every restore. Once a day, and before each migration.
#
#   base-backup.sh BACKUPS     BACKUPS/base-<UTC time>/ ; its name is printed
#
# BACKUP_DATABASE_URL: a role with REPLICATION. PG_BIN: where PostgreSQL's programs are, when not on the PATH.
set -eu
: "${BACKUP_DATABASE_URL:?set it to the address of a role with REPLICATION}"
bin=${PG_BIN:+$PG_BIN/}
base=$1/base-$(date -u +%Y%m%dT%H%M%SZ)
"${bin}pg_basebackup" --dbname="$BACKUP_DATABASE_URL" --pgdata="$base" --checkpoint=fast --wal-method=stream >&2
"${bin}pg_verifybackup" --quiet "$base" >&2
echo "$base"
