#!/usr/bin/env bash
# Send a notification to a receiver of your own, signed as Settlepoint signs it, with openssl and curl.
#
#   SETTLEPOINT_SECRET=... ./notify.sh URL < body
#
# For trying things out: the secret is an argument of openssl, which other users of the machine can see while it runs.
set -euo pipefail

notify() { # url body
  local id timestamp signature
  id=$(sed -E 's/^\{"notify_id":"([0-9a-f]{64})".*/\1/' <<< "$2") timestamp=$(date +%s)
  signature=$(printf %s "$id.$timestamp.$2" | openssl dgst -sha256 -hmac "$SETTLEPOINT_SECRET" -binary | base64)
  curl --silent --show-error --max-time 5 "$1" --data-binary "$2" \
    -H 'Content-Type: application/json;charset=utf-8' \
    -H "webhook-id: $id" -H "webhook-timestamp: $timestamp" -H "webhook-signature: v1,$signature"
}

notify "$1" "$(cat)"
