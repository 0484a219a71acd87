"""Settlepoint's own code: every module is a noun that answers one question.

Rules that know nothing of AWS, HTTP, the clock or the environment:
    sources, points, settling, signing, cursor, buckets, notifications, strictjson, errors

What is stored, each table known by one module only:
    store (SettlementTable), totals (TotalsTable), ledger (NotificationTable), apps (AppTable), keyring (the master secret)

The edges:
    club_messages, game_messages (requests and answers), tokens, endpoint (Lambda and HTTP), delivery, receivers (HTTPS out),
    settings, clients
"""
