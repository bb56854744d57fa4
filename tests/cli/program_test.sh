#!/usr/bin/env bash
# The built program from outside: exit statuses, messages, JSON, streams. What docs/CLI.md promises to scripts.
#
#     program_test.sh PROGRAM SOURCE_FOLDER [MODEL]
#
# Without MODEL: tiny models of tests/data, which have no tokenizer. With MODEL (the pocket model): the chat format,
# tokenize, render, chat, interrupts. Exit status 77 (skipped) where MODEL is named and does not exist.
set -u
program=$1
data=$2/tests/data
model=${3-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset DGEMMA_MODEL NO_COLOR
export XDG_STATE_HOME=$work
failures=0
checks=0

# run STATUS ARGUMENTS...: runs the program; its streams are in $out and $err.
run() {
  local expected=$1
  shift
  "$program" "$@" >"$work/out" 2>"$work/err" </dev/null
  status "$expected" $? "$*"
}
status() {
  out=$(cat "$work/out"; printf x); out=${out%x}
  err=$(cat "$work/err")
  checks=$((checks + 1))
  [ "$1" = "$2" ] && return
  failures=$((failures + 1))
  printf 'FAILED: dgemma %s: expected status %s, got %s\n%s\n%s\n' "$3" "$1" "$2" "$out" "$err"
}
# has TEXT WHAT: TEXT contains WHAT.
has() {
  checks=$((checks + 1))
  [[ $1 == *"$2"* ]] && return
  failures=$((failures + 1))
  printf 'FAILED: expected "%s" in: %s\n' "$2" "$1"
}
is() {
  checks=$((checks + 1))
  [ "$1" = "$2" ] && return
  failures=$((failures + 1))
  printf 'FAILED: expected "%s", got: "%s"\n' "$2" "$1"
}
# field JSON NAME: a number of one JSON line.
field() { sed -n "s/.*\"$2\":\([0-9.e+-]*\).*/\1/p" <<<"$1"; }

without_tokenizer() {
  local tiny=$data/golden/tiny-a
  run 0 --version; has "$out" 'dgemma '
  run 0 --help; has "$out" 'generate'
  run 2; has "$err" 'dgemma: wrong usage: command: expected one of generate'
  run 2 generate -p x; has "$err" 'expected a model, got none'
  run 2 generate -m "$tiny" -p x --threads 0; has "$err" "expected a whole number from 1 to 1024, got '0'"
  run 2 generate -m "$tiny" -p x --kernels abacus; has "$err" 'abacus'; has "$err" 'scalar'
  run 3 generate -m "$work/none" --prompt-ids 2,5; has "$err" "$work/none"
  run 2 generate -m "$tiny" -p x; has "$err" 'the model has no tokenizer: give token ids instead of text'
  run 2 generate -m "$tiny" --raw -p x; has "$err" 'tokenizer'
  run 2 generate -m "$tiny" --prompt-ids 2,999999999; has "$err" '999999999'
  run 2 generate -m "$tiny" --prompt-ids 2,5 --canvas-ids 1,2; is "$out" ''
  run 2 generate -m "$tiny" --prompt-ids 2,5 -c 1; is "$out" ''
  run 1 generate -m "$tiny" -f "$work/none.txt"; has "$err" 'none.txt'
  run 1 generate -m "$tiny" --prompt-ids 2,5 --trace "$work/no/trace.jsonl"; has "$err" 'trace.jsonl'
  run 0 info --json; has "$out" '"kernels":["scalar"'; has "$out" '"features":["'
  run 0 inspect -m "$tiny" --json; has "$out" '"problems":[]'
  has "$out" '"config":{"layers":3,"layer_kinds":["sliding","sliding","full"],'; has "$out" '"kv_heads":[2,2,1]'; has "$out" '"t_min":null'
  run 3 inspect -m "$work/none"

  run 0 generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32 --json --trace "$work/trace.jsonl"
  has "$out" '"finish_reason":"length"'; has "$out" '"seed":7,'; is "$(field "$out" completion_tokens)" 20
  is "$(field "$out" prompt_tokens)" 3; is "$err" ''
  has "$(head -n 1 "$work/trace.jsonl")" '"type":"start"'; has "$(tail -n 1 "$work/trace.jsonl")" '"type":"end"'
  local tokens=${out#*\"tokens\":[}
  tokens=${tokens%%]*}
  run 0 generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32 --threads 1
  is "$out" "$tokens"$'\n'; has "$err" 'steps per canvas'; has "$err" 'seed 7'
  run 0 generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 4 --t-min 0
  run 0 generate -m "$tiny.gguf" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32; is "$out" "$tokens"$'\n'
  DGEMMA_MODEL=$tiny run 0 generate --prompt-ids 2,5,9 --seed 7 -n 1

  traces "$tiny" "$tokens"
  [ -n "${DGEMMA_SANITIZE-}" ] || limits "$tiny" "$tokens"

  # A setting that nobody here knows is said.
  local file
  mkdir "$work/set"
  for file in config.json model.safetensors; do ln -s "$(realpath "$tiny/$file")" "$work/set/$file"; done
  printf '{"top_p": 0.9}' >"$work/set/generation_config.json"
  run 0 generate -m "$work/set" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32
  is "$out" "$tokens"$'\n'; has "$err" "note: $work/set/generation_config.json: 'top_p': not known here, without effect"

  # The trace's place is full: the answer is printed all the same. Then: the answer's place is full.
  run 1 generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32 --trace /dev/full
  is "$out" "$tokens"$'\n'; has "$err" '/dev/full'
  "$program" generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 20 >/dev/full 2>"$work/err"; status 1 $? 'generate > /dev/full'
  has "$err" 'No space left'
  "$program" info >&- 2>"$work/err"; status 1 $? 'info >&-'
  has "$err" 'standard output'
  # The reader goes away: silence.
  { "$program" inspect -m "$tiny" 2>"$work/err"; echo $? >"$work/rc"; } | true
  status 0 "$(cat "$work/rc")" 'inspect | true'
  is "$err" ''
}

# traces MODEL TOKENS: where a trace goes, and that a file has one whole or not at all.
traces() {
  local tiny=$1 tokens=$2 pid
  local answer=(generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32)
  run 0 "${answer[@]}" --trace /dev/stdout; has "$out" '{"type":"start"'; has "${out: -20}" '}}'; is "$(grep -vc '^{' "$work/out")" 0
  run 2 "${answer[@]}" --trace /dev/stdout --json; has "$err" 'Both would go to standard output'
  run 0 "${answer[@]}" --trace /dev/stderr; is "$out" "$tokens"$'\n'; has "$err" '{"type":"end"'; has "$err" 'seed 7'
  run 0 "${answer[@]}" --trace /dev/null; is "$out" "$tokens"$'\n'
  mkfifo "$work/pipe"
  head -n 1 "$work/pipe" >"$work/piped" &
  run 0 "${answer[@]}" --trace "$work/pipe"; is "$out" "$tokens"$'\n'
  wait $!
  has "$(cat "$work/piped")" '{"type":"start"'
  { "$program" "${answer[@]}" --trace - 2>"$work/err"; echo $? >"$work/rc"; } | true
  status 0 "$(cat "$work/rc")" 'generate --trace - | true'
  # A reader who goes early ends the answer, which would take very long.
  { timeout 60 "$program" "${answer[@]:0:5}" --seed 7 -n 1000 --eos-ids none --confidence-threshold 0 --max-denoising-steps 10000 \
    --trace - 2>"$work/err"; echo $? >"$work/rc"; } | head -n 2 >"$work/null"
  status 0 "$(cat "$work/rc")" 'generate --trace - | head'

  # No room for it: what was there stays, and nothing else is left.
  printf 'old' >"$work/kept"
  (ulimit -f 1; trap '' XFSZ; exec "$program" "${answer[@]}" --trace "$work/kept") >"$work/out" 2>"$work/err"
  status 1 $? 'generate --trace with a full disk'
  is "$out" "$tokens"$'\n'; has "$err" 'kept: the trace is incomplete'; is "$(cat "$work"/kept*)" 'old'
  # Killed in the act.
  "$program" generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 --eos-ids none --confidence-threshold 0 --max-denoising-steps 4000 \
    --trace "$work/kept" >"$work/out" 2>"$work/err" &
  pid=$!
  until [ -s "$work"/kept.partial-* ] || ! kill -0 $pid 2>"$work/null"; do sleep 0.02; done
  kill -KILL $pid
  wait $pid 2>"$work/null"
  status 137 $? 'killed generate'
  is "$(cat "$work/kept")" 'old'
}

# limits MODEL TOKENS: what the system refuses ends with a message or with fewer threads, never with a signal.
limits() {
  local tiny=$1 tokens=$2 threads
  local answer=(generate -m "$tiny" --prompt-ids 2,5,9 --seed 7 -n 20 --compute f32)
  (ulimit -v 60000; head -c 60000000 /dev/zero | tr '\0' a | "$program" tokenize --tokenizer "$data/text/gemma4_small.json") \
    >"$work/out" 2>"$work/err"
  status 4 $? 'tokenize with little memory'
  has "$err" 'dgemma: not enough memory: '
  local other_user=(setpriv --reuid=65533 --clear-groups) numbers='1 3 5'
  # Root's own folders are closed to that user: nothing to run there.
  if [ "$(id -u)" = 0 ] && ! "${other_user[@]}" "$program" inspect -m "$tiny" >"$work/out" 2>"$work/err"; then numbers=''; fi
  for threads in $numbers; do
    few_threads $threads info
    has "$out" 'kernels'
    few_threads $threads "${answer[@]}" -t 16
    is "$out" "$tokens"$'\n'
  done
  # A model that does not fit into the address space.
  mkdir "$work/large"
  ln -s "$(realpath "$tiny/config.json")" "$work/large/config.json"
  truncate -s 1G "$work/large/model.safetensors"
  (ulimit -v 400000; exec "$program" inspect -m "$work/large") >"$work/out" 2>"$work/err"
  status 4 $? 'inspect with little address space'
  has "$err" 'model.safetensors: expected address space for 1.00 GiB'
}
# few_threads NUMBER ARGUMENTS...: as run 0, as a user who may have so many processes and threads. Root may have any.
few_threads() {
  local number=$1
  shift
  local limited=(bash -c 'ulimit -u '"$number"'; exec "$@"' limited "$program" "$@")
  if [ "$(id -u)" = 0 ]; then limited=("${other_user[@]}" "${limited[@]}"); fi
  "${limited[@]}" >"$work/out" 2>"$work/err" </dev/null
  status 0 $? "$* with $number threads"
}

bench_and_compare() {
  local tiny=$data/golden/tiny-a name
  run 0 bench -m "$tiny" -c 20 --repeat 2 --kernels scalar --json
  for name in weight_bytes read_bytes_per_s load_s step_s peak_rss_bytes; do
    [ -n "$(field "$out" $name)" ] || has "$out" "\"$name\": a number"
  done
  for name in '"machine":{"cpu":' '"cores":' '"kernels":"scalar"' '"compute":"int8"}' '"peak":{"int8_ops_per_s":' '"bf16_ops_per_s":' \
    '"prefill":[{"tokens":20,' '"steps":[{"context":20,"seconds":' '"parts":{"attention":' '"projections":' '"dense":' '"experts":' \
    '"vocabulary":' '"rest":' '"autoregressive":{' '"tokens_per_s":' '"break_even_steps":' '"rounds":2'; do
    has "$out" "$name"
  done
  is "$err" ''
  run 0 bench -m "$tiny" -c 20 --repeat 2 --compute f32 --json; has "$out" '"compute":"f32"}'
  run 0 bench -m "$tiny" -c 20 --repeat 2 --compute bf16 --json; has "$out" '"compute":"bf16"'
  [ -n "$(field "$out" bf16_ops_per_s)" ] || has "$out" '"bf16_ops_per_s": a number'
  run 0 bench -m "$tiny" -c 20 --repeat 2 --routing even --json; has "$out" '"routing":"even"'; has "$out" '"experts_touched":{"experts":4,"mean":4.0,'
  run 0 bench -m "$tiny" -c 8 --repeat 2 --kernels all; has "$out" 'kernels scalar'; has "$out" 'break even'
  run 2 bench -m "$tiny" --kernels scalar,abacus; has "$err" 'abacus'; is "$out" ''
  run 2 bench -m "$tiny" -c 1009; has "$err" 'expected 1 to 1008 tokens'
  run 2 bench -m "$tiny" --prompt-ids 2,512; has "$err" 'got 512'
  run 3 bench -m "$work/none"

  run 0 compare "$tiny" "$tiny.gguf" --prompt-ids 2,5,9 --max-denoising-steps 3 --json
  has "$out" '"compute":"int8"'
  has "$out" '"kl":{"mean":0.0,'; has "$out" '"argmax_agreement":1.0'; has "$out" '"rows":'; has "$out" '"worst":['
  run 0 compare -m "$tiny" --random 1 --max-denoising-steps 2; has "$out" 'compute f32'; has "$out" 'compute int8'
  run 2 compare -m "$tiny" --kernels scalar --compute int8,auto; has "$err" 'compute int8 twice. Give another --compute'
  run 0 compare -m "$tiny" --compute f32,bf16 --random 1 --max-denoising-steps 2; has "$out" 'compute bf16'
  run 2 compare "$tiny" "$data/golden/tiny-b"; has "$err" 'same vocabulary'
  run 2 compare "$tiny" -p x; has "$err" 'tokenizer'
  run 2 compare "$tiny" --prompt-ids 2,512; has "$err" 'got 512'
  run 3 compare "$tiny" "$work/none"
}

tokenizer_alone() {
  local tokenizer=$data/text/gemma4_small.json
  run 0 tokenize --tokenizer "$tokenizer" 'Hello <bos>'; has "$out" '['; has "$out" ',2]'
  local ids=$out
  run 0 tokenize --tokenizer "$tokenizer" --decode "$ids"; is "$out" 'Hello <bos>'
  run 0 tokenize --tokenizer "$tokenizer" --plain 'Hello <bos>'; has "$out" '['; [[ $out != "$ids" ]] || has "$out" 'other ids'
  run 0 tokenize --tokenizer "$tokenizer" ''; is "$out" $'[]\n'
  run 2 tokenize --tokenizer "$tokenizer" --decode '[1, x]'; has "$err" 'expected an array of token ids'
  run 2 tokenize --tokenizer "$tokenizer" --decode 99999999; has "$err" '99999999'
  run 3 tokenize --tokenizer "$work/none.json" x
  printf '{' >"$work/broken.json"
  run 3 tokenize --tokenizer "$work/broken.json" x; has "$err" 'broken.json'
  printf '"Hello <bos>"\n"caf\xff"\n""\n' >"$work/lines"
  "$program" tokenize --tokenizer "$tokenizer" --jsonl <"$work/lines" >"$work/out" 2>"$work/err"; status 0 $? 'tokenize --jsonl'
  is "$(head -n 1 <<<"$out")"$'\n' "$ids"; is "$(tail -n 1 "$work/out")" '[]'
  "$program" tokenize --tokenizer "$tokenizer" --jsonl --decode <"$work/out" >"$work/out2" 2>"$work/err"
  is "$(cat "$work/out2")" $'"Hello <bos>"\n"caf\xef\xbf\xbd"\n""'
  printf '"a"\n7\n"b"\n' | "$program" tokenize --tokenizer "$tokenizer" --jsonl >"$work/out" 2>"$work/err"
  status 2 $? 'tokenize --jsonl with a number'
  has "$err" 'line 2: expected a JSON string'
}

render_alone() {
  printf '{"messages": [{"role": "user", "content": "Hi <bos>"}]}\n' >"$work/request.json"
  run 0 render --template gemma4 "$work/request.json"
  is "$out" $'<bos><|turn>user\nHi <bos><turn|>\n<|turn>model\n<|channel>thought\n<channel|>'
  run 0 render --template gemma4 --jsonl "$work/request.json"
  is "$out" '"<bos><|turn>user\nHi <bos><turn|>\n<|turn>model\n<|channel>thought\n<channel|>"'$'\n'
  run 2 render --template chatml "$work/request.json"; has "$err" "expected gemma4, got 'chatml'"
  printf '{"messages": 3}\n' >>"$work/request.json"
  run 2 render --template gemma4 --jsonl "$work/request.json"; has "$err" 'line 2'; has "$err" 'messages'
  run 1 render --template gemma4 "$work/none.json"
  printf '{"messages": [], "messages": [{"role": "user", "content": "Hi"}]}' >"$work/twice.json"
  run 2 render --template gemma4 "$work/twice.json"; has "$err" "expected each key once in an object, got 'messages' twice"
  local file
  mkdir "$work/no_template"
  for file in config.json model.safetensors; do ln -s "$(realpath "$data/golden/tiny-a/$file")" "$work/no_template/$file"; done
  printf '{' >"$work/no_template/tokenizer_config.json"
  run 3 render -m "$work/no_template" "$work/request.json"; has "$err" 'no_template/tokenizer_config.json: expected JSON'
  run 2 render -m "$data/golden/tiny-a" "$work/request.json"; has "$err" 'expected a model with the Gemma 4 chat template, got none'
  run 3 render -m "$work/none" "$work/request.json"
}

# A model with another chat template, or with none: what becomes of text.
other_chat_formats() {
  local other=$work/other file
  mkdir "$other"
  for file in config.json generation_config.json model.safetensors tokenizer.json; do ln -s "$(realpath "$model/$file")" "$other/$file"; done
  run 0 generate -m "$other" -p 'Who are you?' --seed 7; is "$out" "$text"
  has "$err" 'note: the model has no chat template, the Gemma 4 chat format is applied'
  printf '[INST] {{ messages[0].content }} [/INST]' >"$other/chat_template.jinja"
  run 2 generate -m "$other" -p 'Who are you?'; has "$err" 'chat_template.jinja: expected the Gemma 4 chat format'
  run 2 chat -m "$other"; has "$err" ': chat_template.jinja: expected the Gemma 4 chat format'
  run 2 compare "$other" "$model" -p 'Who are you?'; has "$err" 'chat_template.jinja: expected the Gemma 4 chat format'
  run 0 generate -m "$other" --raw -p $'<|turn>user\nWho are you?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>' --seed 7
  is "$out" "$text"
  run 0 generate -m "$other" --prompt-ids 2,5,9 --seed 7 -n 5
  run 0 quantize -m "$other" -o "$work/other.gguf"
  run 2 generate -m "$work/other.gguf" -p x; has "$err" 'other.gguf: tokenizer.chat_template: expected the Gemma 4 chat format'
  rm "$other/chat_template.jinja"
  printf '{"chat_template": [{"name": "tools", "template": ""}, {"name": "default", "template": "[INST]"}]}' >"$other/tokenizer_config.json"
  run 2 generate -m "$other" -p x; has "$err" 'tokenizer_config.json (chat_template): expected the Gemma 4 chat format'
  printf '{"chat_template": 7}' >"$other/tokenizer_config.json"
  run 3 generate -m "$other" -p x; has "$err" 'tokenizer_config.json: chat_template: expected a text, or a list'
}

with_model() {
  export DGEMMA_MODEL=$model
  run 0 generate -p 'Who are you?' --seed 7 --json
  has "$out" '"finish_reason":"stop"'; has "$out" '"text":"'; has "$out" '"load_s":'; has "$out" '"tokens_per_forward":'
  local json=$out
  run 0 generate -p 'Who are you?' --seed 7
  is "$(field "$json" completion_tokens) tokens"x "$(sed 's/ tokens.*/ tokens/' <<<"$err")"x
  printf 'Who are you?\n' >"$work/question"
  local text=$out
  run 0 generate -f "$work/question" --seed 7 --threads 1; is "$out" "$text"
  "$program" generate -f - --seed 7 <"$work/question" >"$work/out" 2>"$work/err"; status 0 $? 'generate -f -'
  is "$out" "$text"
  # The rendered prompt taken as it is gives the same answer.
  printf '{"messages": [{"role": "user", "content": "Who are you?"}]}' >"$work/request.json"
  run 0 render "$work/request.json"
  printf %s "$out" >"$work/prompt"
  run 0 generate --raw -f "$work/prompt" --seed 7; is "$out" "$text"
  run 2 generate -p x -c 4; is "$out" ''
  run 2 generate -p x --t-min 2 --t-max nan
  run 0 generate -p $'invalid \xff UTF-8' --seed 1 -n 4

  printf '"Who are you?"\n{"messages": [{"role": "user", "content": "Hi"}]}\n' >"$work/prompts.jsonl"
  run 0 compare --kernels scalar,auto -f "$work/prompts.jsonl" --jsonl --json
  has "$out" '"prompts":2'; has "$out" '"text_a":'
  printf '7\n' >"$work/prompts.jsonl"
  run 2 compare -f "$work/prompts.jsonl" --jsonl; has "$err" 'line 1: expected a JSON string or a chat request'

  other_chat_formats

  # A chat from a script: each line a turn, commands on the way, the first failure ends it.
  printf 'Who are you?\n/save %s\n/reset\nWho are you?\n' "$work/chat.json" >"$work/script"
  "$program" chat --seed 7 <"$work/script" >"$work/out" 2>"$work/err"; status 0 $? 'chat < script'
  is "$out" "$text$text"
  has "$(cat "$work/chat.json")" '"content": "Who are you?"'
  printf '/save %s\n' "$work/chat.json" | "$program" chat >"$work/out" 2>"$work/err"; status 2 $? '/save of nothing'
  has "$err" '/save: expected something said before'; has "$(cat "$work/chat.json")" '"content": "Who are you?"'
  printf '/load %s\n' "$work/none" | "$program" chat >"$work/out" 2>"$work/err"; status 1 $? 'chat with a wrong /load'
  printf '/seed x\n' | "$program" chat >"$work/out" 2>"$work/err"; status 2 $? 'chat with a wrong /seed'
  has "$err" '/seed: expected a whole number'

  # An interrupt: status 130, what was final is printed. No end token and many canvases, so that it is caught in the act.
  (trap - INT; exec "$program" generate -p 'Who are you?' --eos-ids none --json --seed 7 --confidence-threshold 0 \
    --max-denoising-steps 400 --trace "$work/begun") >"$work/out" 2>"$work/err" &
  local pid=$!
  until [ -s "$work"/begun.partial-* ] || ! kill -0 $pid 2>"$work/null"; do sleep 0.02; done
  kill -INT $pid
  wait $pid
  status 130 $? 'interrupted generate'
  has "$out" '"finish_reason":"cancelled"'
  has "$(tail -n 1 "$work/begun")" '"finish_reason":"cancelled"'
}

if [ -z "$model" ]; then
  without_tokenizer
  bench_and_compare
  tokenizer_alone
  render_alone
elif [ ! -e "$model" ]; then
  echo "no model at $model"
  exit 77
else
  with_model
fi
echo "$checks checks, $failures failed"
[ $failures = 0 ]
