#!/usr/bin/env bash
# On the GPU machine: bash PACK/prove.sh PHASE…  (phases: setup build prove stock)
# PACK is the folder that `python -m gpu.pack` wrote. Everything is made under $WORK; logs, documents
# and reports go to $OUT. Nothing is fetched: the machine's python3 has torch, its CUDA has nvcc.
set -uo pipefail
PACK=$(dirname "$(readlink -f "$0")")
WORK=${WORK:-/tmp/gpu-proof}; OUT=${OUT:-$WORK/out}; mkdir -p "$WORK" "$OUT"
export VLLM_USE_FLASHINFER_SAMPLER=0 VLLM_FORGE_HOME=$WORK/home HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 PYTHONUNBUFFERED=1 NO_COLOR=1
FORGE=$WORK/forge/bin/vllm-forge
PYTHON=$(command -v python3)
TARGETS=$(cat "$PACK/targets")
mapfile -t WITHOUT < "$PACK/without"
WISHES=(--vllm "$WORK/tree" --device cuda --project "cutlass=$WORK/cutlass" --torch-from "$PYTHON"
        --find-links "$PACK/wheels" --offline --strategy full --targets "$TARGETS")
for name in "${WITHOUT[@]}"; do WISHES+=(--without "$name"); done
[ -s "$PACK/wishes" ] && { mapfile -t MORE < "$PACK/wishes"; WISHES+=("${MORE[@]}"); }

say() { echo "== $* ($(date +%T), ${SECONDS}s)"; }

setup() {
  say setup
  mkdir -p "$WORK/tree" "$WORK/cutlass"
  tar xf "$PACK/tree.tar.xz" -C "$WORK/tree" & tar xf "$PACK/cutlass.tar.xz" -C "$WORK/cutlass" &
  uv venv -q --no-project --python "$PYTHON" "$WORK/forge" &&
    uv pip install -q --python "$WORK/forge" --offline --no-index --no-deps --find-links "$PACK/wheels" \
      -r "$PACK/forge.txt" || return 1
  wait
  "$PYTHON" -m pip list --format freeze > "$OUT/pip-list.txt" 2>/dev/null
  "$FORGE" doctor --json > "$OUT/doctor.json"; "$FORGE" doctor | tail -25
}

build() {
  say build
  timeout "${LIMIT:-470}" "$FORGE" build "${WISHES[@]}" --json > "$OUT/build.json" 2> "$OUT/build.log"
  local code=$?
  tail -20 "$OUT/build.log"; say "build ended with $code"
  keep forge
  return $code
}

resume() {  # instead of build: what an earlier call on such a machine compiled
  say resume
  "$WORK/forge/bin/python" "$PACK/resume.py" "$PACK/build.json" "$PACK/extension.so.xz" "$PACK/wheels" \
    "${MORE_TREE:-}"
}

keep() {  # what was compiled and what it cost, for a look afterwards
  for one in "$WORK"/home/builds/*/; do
    cp "$one/.ninja_log" "$OUT/$1.ninja_log" 2>/dev/null
    cp "$one"/*generation.log "$OUT/" 2>/dev/null
  done
  cp "$WORK"/home/receipts/*/schedule.json "$OUT/$1-schedule.json" 2>/dev/null
  find "$WORK/home" -name 'costs*.json' -exec cp {} "$OUT/$1-costs.json" \; 2>/dev/null
  true
}

stock() {  # the same configured folder, copied, its objects dropped, without the launcher
  say stock
  "$PYTHON" "$PACK/stock.py" "$WORK" "$OUT" "${LIMIT_STOCK:-480}" "$PACK/targets"
}

recon() {  # what the engine imports that is missing here
  say recon
  local env; env=$(ls -d "$WORK"/home/envs/*/ | head -1)
  PYTHONPATH=$WORK/tree "$PYTHON" "$PACK/recon.py" "$env" "$PACK/wheels"
}

prove() {
  say prove
  "$FORGE" verify --json > "$OUT/verify.json" 2> "$OUT/verify.log"; echo "verify: exit $?"
  "$PYTHON" "$PACK/summarise.py" verify "$OUT/verify.json"
  local env; env=$(ls -d "$WORK"/home/envs/*/ | head -1)
  "$env/bin/python" "$PACK/measure.py" "$FORGE" "$PACK/checkpoints" "$WORK" "$OUT"
}

for phase in "$@"; do "$phase" || { say "$phase failed"; exit 1; }; done
say done
