#!/usr/bin/env bash
# examples/minimal outside of our build: with the installed package it is built (no warning allowed) and answers; with the
# sources as a part of its build it is configured and nothing misses in its graph. minimal_test.sh CMAKE BUILD SOURCE C++
set -euo pipefail
cmake=$1 build=$2 source=$3 cxx=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
common=(-S "$source/examples/minimal" -G Ninja -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Debug)
fail() { echo "FAILED: $*" >&2; exit 1; }

"$cmake" --install "$build" --prefix "$folder/prefix" >"$folder/log" || { cat "$folder/log"; exit 1; }
[ -x "$folder/prefix/bin/dgemma" ] || fail "the program is not installed"
"$cmake" "${common[@]}" -B "$folder/installed" -DCMAKE_PREFIX_PATH="$folder/prefix" \
  -DCMAKE_REQUIRE_FIND_PACKAGE_dgemma=ON -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror" >"$folder/log" ||
  { cat "$folder/log"; exit 1; }
"$cmake" --build "$folder/installed"
answer=$("$folder/installed/minimal" "$source/models/pocket" "What is a canvas?")
case $answer in *canvas*) ;; *) fail "expected an answer about the canvas, got: $answer" ;; esac
status=0
"$folder/installed/minimal" "$folder/none" Hello 2>"$folder/log" || status=$?
[ "$status" = 1 ] || fail "a missing model: expected status 1, got $status: $(cat "$folder/log")"

"$cmake" "${common[@]}" -B "$folder/sources" -DCMAKE_DISABLE_FIND_PACKAGE_dgemma=ON >"$folder/log" 2>&1 ||
  { cat "$folder/log"; exit 1; }
plan=$("$cmake" --build "$folder/sources" -- -n)
[[ $plan == *session.cc.o*libdgemma.a*"Linking CXX executable minimal"* ]] || fail "the library is not built: $plan"
[[ $plan != *GTest* && $plan != *src/cli* ]] || fail "the program or its tests are built too"
