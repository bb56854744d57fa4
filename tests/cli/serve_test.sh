#!/usr/bin/env bash
# `dgemma serve` as a process: exit statuses, the address, health, signals. What it answers: tests/server.
#
#     serve_test.sh PROGRAM SOURCE_FOLDER [MODEL]
#
# Without MODEL: what is refused before it listens. With MODEL (the pocket model): the rest. Exit status 77 (skipped) where
# MODEL is named and does not exist.
set -u
program=$1
data=$2/tests/data
model=${3-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset DGEMMA_MODEL
failures=0

fail() {
  failures=$((failures + 1))
  printf 'FAILED: %s\n' "$*"
}
# refused STATUS WORDS ARGUMENTS...: ends at once with this status and these words.
refused() {
  local expected=$1 words=$2
  shift 2
  "$program" serve "$@" >"$work/out" 2>"$work/err" </dev/null
  local status=$?
  [ $status = "$expected" ] || fail "serve $*: expected status $expected, got $status"
  grep -qF -- "$words" "$work/err" || fail "serve $*: expected '$words' in: $(cat "$work/err")"
}
# start ARGUMENTS...: runs a service on a free port; its process is in $pid and its port in $port.
start() {
  "$program" serve -m "$model" --port 0 "$@" >"$work/out" 2>"$work/err" </dev/null &
  pid=$!
  until port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$work/out") && [ -n "$port" ]; do
    kill -0 $pid 2>/dev/null || { fail "serve $*: ended: $(cat "$work/err")"; return 1; }
    sleep 0.05
  done
}
# get PATH: the response's bytes.
get() {
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3
  cat <&3
  exec 3>&-
}
# ended STATUS: waits for the service's end.
ended() {
  wait $pid
  local status=$?
  [ $status = "$1" ] || fail "expected status $1 at the end, got $status: $(cat "$work/err")"
}

without_model() {
  refused 3 "$work/none" -m "$work/none"
  mkdir "$work/broken"
  ln -s "$(realpath "$data/golden/tiny-a/model.safetensors")" "$work/broken/model.safetensors"
  printf '{' >"$work/broken/config.json"
  refused 3 "cannot be used: $work/broken/config.json: expected" -m "$work/broken"
  refused 2 'expected a model with a tokenizer' -m "$data/golden/tiny-a"
  refused 2 'expected a model, got none'
}

with_model() {
  refused 2 'expected a loopback address' -m "$model" --host 0.0.0.0
  refused 2 'expected 1 to 1024 tokens, got 1025' -m "$model" --port 0 -c 1025
  refused 2 '--context: expected more than a canvas of 64 tokens, got 64' -m "$model" --port 0 -c 64
  refused 2 '--t-min: expected at most t_max, 0.1, got 0.4' -m "$model" --port 0 --t-max 0.1
  refused 2 "--cors-origin: expected * or an origin such as https://host:port, got 'example.org'" -m "$model" --cors-origin example.org
  refused 2 "--cors-origin: expected * or" -m "$model" --cors-origin $'http://a\nX: y'
  refused 2 'trace-dir' -m "$model" --trace-dir "$work/none"
  refused 1 'No such file' -m "$model" --api-key-file "$work/none"
  printf 'a key \n' >"$work/key"
  refused 2 'expected visible ASCII' -m "$model" --api-key-file "$work/key"
  start || return
  until get /health | grep -q '"status":"ready"'; do sleep 0.05; done
  get / | grep -q '<html' || fail 'no page'
  refused 1 'cannot listen' -m "$model" --port "$port"
  kill -TERM $pid
  ended 0
}

if [ -z "$model" ]; then
  without_model
elif [ -e "$model" ]; then
  with_model
else
  echo "no model at $model: skipped"
  exit 77
fi
[ $failures -eq 0 ] && echo "fine"
[ $failures -eq 0 ]
