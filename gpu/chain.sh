#!/usr/bin/env bash
# Everything in one go, in a process session of its own, so that it outlives the call that starts it:
# `bash PACK/chain.sh SECONDS [PHASE…]` starts the phases where none runs, waits for them at most so
# long, and packs what there is into $OUT/out.tgz. Called again, it goes on waiting.
PACK=$(dirname "$(readlink -f "$0")"); LIMIT_WAIT=$1; shift
RESULTS=$OUT; export WORK=${WORK:-/tmp/gpu-proof} OUT=${WORK:-/tmp/gpu-proof}/out
mkdir -p "$OUT"
if [ $# -gt 0 ]; then
  rm -f "$WORK/ended"
  [ "$PACK" = "$WORK/pack" ] || { rm -rf "$WORK/pack"; cp -r "$PACK" "$WORK/pack"; }
  setsid bash -c 'bash "$WORK/pack/prove.sh" "$@" > "$WORK/chain.log" 2>&1; echo $? > "$WORK/ended"' \
    chain "$@" < /dev/null > /dev/null 2>&1 &
fi
until [ -e "$WORK/ended" ] || [ $SECONDS -ge "$LIMIT_WAIT" ]; do sleep 1; done
cat "$WORK/chain.log"
[ -e "$WORK/ended" ] && echo "ended: $(cat "$WORK/ended")" || { echo "still running"; uptime; tail -qn 2 "$OUT"/*.build.log; }
cp "$WORK/home"/logs/*/*.log "$OUT/" 2>/dev/null
tar czf "$RESULTS/out.tgz" -C "$OUT" .
