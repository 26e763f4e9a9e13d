#!/bin/sh
# not-needed.sh LIBRARY NAME: LIBRARY isn't linked against a library NAME*.
needed=$(readelf -d "$1" | grep NEEDED) || exit 1
printf '%s\n' "$needed"
if printf '%s\n' "$needed" | grep -q "\[$2"; then
  echo "$1 is linked against $2" >&2
  exit 1
fi
