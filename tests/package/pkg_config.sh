#!/bin/sh
# SPDX-License-Identifier: MIT
# pkg_config.sh LIBDIR WORK [FLAG...] -- build and run the consumers with nothing but pkg-config and a compiler.
# Needs CC, CXX, and SHARED (ON: the shared form was installed).
set -eu
libdir=$1
work=$2
shift 2
here=$(dirname "$0")
export PKG_CONFIG_PATH="$libdir/pkgconfig"
static=--static
rpath=
if [ "${SHARED:-OFF}" = ON ]; then
  static=
  rpath=-Wl,-rpath,$(pkg-config --variable=libdir varve)
fi
warnings="-Wall -Wextra -Wpedantic -Werror"
rm -rf "$work"
mkdir -p "$work"
# The unquoted words are lists of flags.
${CC:-cc} -std=c11 -D_DEFAULT_SOURCE $warnings "$@" $(pkg-config --cflags varve) "$here/consumer.c" \
  -o "$work/c" $(pkg-config $static --libs varve) $rpath
"$work/c"
${CXX:-c++} -std=c++17 $warnings "$@" $(pkg-config --cflags varve) "$here/consumer.cpp" \
  -o "$work/cpp" $(pkg-config $static --libs varve) $rpath
"$work/cpp"
