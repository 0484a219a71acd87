#!/usr/bin/env bash
# Sign and send any call to the game API with openssl and curl.
#
#   ./sign.sh vector
#   ./sign.sh query OUT_ORDER_ID
#
# `query` reads SETTLEPOINT_BASE_URL, SETTLEPOINT_APP_ID and SETTLEPOINT_SECRET. For trying things out: the secret is an
# argument of openssl, which other users of the machine can see while it runs.
set -euo pipefail

sign() { # timestamp nonce body
  printf '%s\n%s\n%s\n%s\n' "$SETTLEPOINT_APP_ID" "$1" "$2" "$3" |
    openssl dgst -sha1 -hmac "$SETTLEPOINT_SECRET" -r | cut -d ' ' -f 1
}

sud() { # path body
  local timestamp nonce parts
  timestamp=$(date +%s) nonce=$(openssl rand -hex 16)
  parts="app_id=\"$SETTLEPOINT_APP_ID\",timestamp=\"$timestamp\",nonce=\"$nonce\""
  curl --silent --show-error "$SETTLEPOINT_BASE_URL$1" --data-binary "$2" \
    -H "Authorization: Sud-Auth $parts,signature=\"$(sign "$timestamp" "$nonce" "$2")\"" \
    -H 'Content-Type: application/json'
}

case "$#:${1-}" in
  1:vector)
    SETTLEPOINT_APP_ID=1461564080052506636 SETTLEPOINT_SECRET=test-app-secret
    sign 1688464949817 keVJLJTItd1VBtGT \
      '{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}'
    ;;
  2:query) sud /v1/app/server/query_user_settle "{\"out_order_id\":\"$2\"}" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
