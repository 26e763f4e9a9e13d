#!/bin/sh
# Each header compiles alone: headers-alone.sh CC FLAGS...
status=0
count=0
for header in $(find runtime bindings include -name '*.h' | sort); do
  count=$((count + 1))
  "$@" -std=gnu11 -Wall -Wextra -Werror -Wno-unused-function \
    -fsyntax-only -I. -Iinclude -Iruntime -x c "$header" || {
    echo "$header doesn't compile alone: include what it uses" >&2
    status=1
  }
done
echo "$count headers"
[ "$count" -gt 0 ] && exit $status
