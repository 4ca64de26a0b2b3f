#!/usr/bin/env bash
# On the GPU machine: bash PACK/prove.sh PHASE…  (phases: setup build recon prove stock)
# PACK is the folder that `python -m gpu.pack` wrote. Everything is made under $WORK; logs, documents
# and reports go to $OUT. Nothing is fetched: the machine's python3 has torch, its CUDA has nvcc.
set -uo pipefail
PACK=$(dirname "$(readlink -f "$0")")
WORK=${WORK:-/tmp/gpu-proof}; OUT=${OUT:-$WORK/out}; mkdir -p "$WORK" "$OUT"
export VLLM_FORGE_HOME=$WORK/home HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 PYTHONUNBUFFERED=1 NO_COLOR=1
FORGE=$WORK/forge/bin/vllm-forge
PYTHON=$(command -v python3)
TARGETS=$(cat "$PACK/targets") REUSE=$(cat "$PACK/reuse")
mapfile -t WITHOUT < "$PACK/without"
WISHES=(--device cuda --project "cutlass=$WORK/cutlass" --torch-from "$PYTHON"
        --find-links "$PACK/wheels" --offline --targets "$TARGETS,$REUSE" --reuse "$REUSE")
for name in "${WITHOUT[@]}"; do WISHES+=(--without "$name"); done
[ -s "$PACK/wishes" ] && { mapfile -t MORE < "$PACK/wishes"; WISHES+=("${MORE[@]}"); }

say() { echo "== $* ($(date +%T), ${SECONDS}s)"; }

setup() {
  say setup
  mkdir -p "$WORK/tree" "$WORK/cutlass" "$VLLM_FORGE_HOME"
  tar xf "$PACK/home.tar.xz" -C "$VLLM_FORGE_HOME" &
  tar xf "$PACK/tree.tar.xz" -C "$WORK/tree" & tar xf "$PACK/cutlass.tar.xz" -C "$WORK/cutlass" &
  uv venv -q --no-project --python "$PYTHON" "$WORK/forge" &&
    uv pip install -q --python "$WORK/forge" --offline --no-index --no-deps --find-links "$PACK/wheels" \
      -r "$PACK/forge.txt" || return 1
  wait
  "$PYTHON" -m pip list --format freeze > "$OUT/pip-list.txt" 2>/dev/null
  "$FORGE" doctor --json > "$OUT/doctor.json"; "$FORGE" doctor | tail -25
}

build() {  # one environment for each line of `builds`, specialized for its first checkpoint
  local name rest
  while read -r name rest; do
    say "build for $name"
    cp -r "$WORK/tree" "$WORK/tree-$name"
    timeout "${LIMIT:-470}" "$FORGE" build --vllm "$WORK/tree-$name" "${WISHES[@]}" --specialize "$PACK/checkpoints/$name" --json \
      > "$OUT/$name.build.json" 2> "$OUT/$name.build.log" < /dev/null
    local code=$?
    tail -12 "$OUT/$name.build.log"; say "build ended with $code"
    [ $code = 0 ] || return $code
    cp "$WORK/home/receipts/$(key_of "$name")/schedule.json" "$OUT/$name.schedule.json"
    cp "$WORK/home/builds/$(key_of "$name")/.ninja_log" "$OUT/$name.ninja_log"
    cp "$WORK/home/builds/$(key_of "$name")"/vllm-forge/*.txt "$OUT/"
  done < "$PACK/builds"
}

key_of() {
  "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["plan"]["key"])' "$OUT/$1.build.json"
}

stock() {  # the first build's folder, its objects dropped, without the scheduler
  say stock
  local name; read -r name _ < "$PACK/builds"
  "$PYTHON" "$PACK/stock.py" "$WORK/home/builds/$(key_of "$name")" "$OUT" "${LIMIT_STOCK:-480}" "$TARGETS"
}

recon() {  # what the engine imports that is missing here
  local name
  while read -r name _; do
    say "recon $name"
    "$PYTHON" "$PACK/recon.py" "$WORK/home/envs/$(key_of "$name")" "$PACK/wheels" < /dev/null
  done < "$PACK/builds"
}

prove() {
  local name env runs pairs=()
  while read -r name runs; do
    say "verify $name"
    env=$WORK/home/envs/$(key_of "$name")
    "$FORGE" verify --env "$env" --json > "$OUT/$name.verify.json" 2> "$OUT/$name.verify.log" < /dev/null
    echo "verify: exit $?"
    "$PYTHON" "$PACK/summarise.py" "$OUT/$name.verify.json"
    for one in $runs; do pairs+=("$PACK/checkpoints/$one=$env"); done
  done < "$PACK/builds"
  say measure
  "$env/bin/python" "$PACK/measure.py" "$FORGE" "$WORK" "$OUT" "${pairs[@]}"
}

for phase in "$@"; do "$phase" || { say "$phase failed"; exit 1; }; done
say done
