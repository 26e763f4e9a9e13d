#!/bin/sh
# pkgconfig.sh PREFIX HOST_C OUT CC FLAGS...: builds a host against what is
# installed in PREFIX, as its pkg-config file says, and runs it.
set -eu
prefix=$1 source=$2 out=$3
shift 3
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name dewar.pc)")
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags --libs dewar)
libdir=$(pkg-config --variable=libdir dewar)
echo "$flags"
# shellcheck disable=SC2086
"$@" "$source" -o "$out" $flags -Wl,-rpath,"$libdir"
"$out"
