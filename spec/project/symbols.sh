#!/bin/sh
# symbols.sh NM LIBRARY PATTERN WANTED: every exported symbol of LIBRARY matches
# PATTERN, and WANTED is one of them.
all=$("$1" -D --defined-only "$2") || exit 1
exported=$(printf '%s\n' "$all" | awk '{ print $NF }' | sort -u)
others=$(printf '%s\n' "$exported" | grep -Ev "$3")
if [ -n "$others" ]; then
  echo "$2 exports what it should keep to itself:" >&2
  printf '%s\n' "$others" >&2
  exit 1
fi
if ! printf '%s\n' "$exported" | grep -qx "$4"; then
  echo "$2 doesn't export $4" >&2
  exit 1
fi
printf '%s\n' "$exported" | wc -l
