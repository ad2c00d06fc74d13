#!/bin/sh
# PostgreSQL's archive_command: keep one finished segment of the write-ahead log, whole, under its name, once.
#
#   archive_command = '/opt/fleet/deploy/backup/archive-wal.sh %p %f /var/backups/fleet/wal'
#
# A segment that is there with other content is never overwritten: PostgreSQL then tries again, and says so in its log.
set -eu
segment=$1 name=$2 folder=$3
if [ -e "$folder/$name" ]; then
    cmp -s "$segment" "$folder/$name"
    exit
fi
cp "$segment" "$folder/$name.part"
sync "$folder/$name.part"
mv "$folder/$name.part" "$folder/$name"
