"""Settlepoint's own code: every module is a noun that answers one question.

Rules that know nothing of AWS, HTTP, the clock or the environment:
    sources, points, settling, signing, cursor, buckets, notifications, strictjson, errors

What is stored, each table known by one module only:
    store (SettlementTable), totals (TotalsTable), ledger (NotificationTable), apps (AppTable), keyring (master secret);
    audit (whether the totals are what the settlements add up to)

The edges:
    door, endpoint (Lambda, HTTP), fields, club_messages, game_messages (requests and answers), tokens, sudauth, callers
    (who calls), queue (SQS), courier, delivery, sender (HTTPS out), clients (AWS), settings, clock, collector

What operators ask for, in settlectl and in the console alike:
    redelivery, draining (telling again); and the console's own: static_files (its page), console_endpoint (HTTP),
    console_messages, console_answers, console_errors, console_views (looks), console_actions (changes), seals
"""

from settlement import collector

collector.pause()  # until a door serves
