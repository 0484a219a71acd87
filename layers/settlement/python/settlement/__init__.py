"""Settlepoint's own code: every module is a noun that answers one question.

Rules that know nothing of AWS, HTTP, the clock or the environment:
    sources, points, settling, signing, cursor, buckets, notifications, strictjson, errors

What is stored, each table known by one module only:
    store (SettlementTable), totals (TotalsTable), ledger (NotificationTable), apps (AppTable), keyring (master secret);
    audit (whether the totals are what the settlements add up to)

The edges:
    door, endpoint (Lambda, HTTP), fields, club_messages, game_messages (requests and answers), tokens, sudauth, callers
    (who calls), queue (SQS), courier, delivery, sender (HTTPS out), clients (AWS), settings, clock
"""

import gc

# A start makes a hundred thousand objects that stay: looking for garbage among them is a tenth of it. Garbage is found
# all the same, later.
gc.set_threshold(50_000, 20, 20)
