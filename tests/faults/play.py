"""A whole run: faults, then peace, in which everything must come right; then the invariants."""

from .clients import OPENIDS, ORDERS, Clients
from .invariants import ensure_all
from .run import CLUBS, MERCHANTS, FaultyRun

_LONGEST_SECONDS = 3600
_DELIVERED_WITHIN_SECONDS = 1800
_COME_IN_SECONDS = 110
"""Late calls and late indexes have come, caches are as old as they get, and overlaps of secrets have ended."""
_KNOWN_SECONDS = 31
"""Every cache has read an app again."""


class NeverEnds(AssertionError):
    """Clients that go on, or notifications that are not delivered."""


def play(seed: int) -> FaultyRun:
    """The run, its invariants checked. What fails has a note that says which seed it was."""
    try:
        with FaultyRun.seeded(seed) as run:
            played(run)
            ensure_all(run)
            return run
    except BaseException as fault:
        fault.add_note(f"seed {seed}; again: .venv/bin/python -m tests.faults {seed}")
        raise


def played(run: FaultyRun) -> None:
    clients = Clients(run)
    run.begin_faults()
    clients.start()
    until_done(run)
    run.end_faults()
    run.run(_COME_IN_SECONDS)  # a disabling may be among what is late: enabling is the last word
    run.time.after(0, run.enable_all)
    run.run(_KNOWN_SECONDS)
    run.living += 1
    run.time.after(0, lambda: ask_again(run, clients))
    until_done(run)
    ends_ms = run.time.now_ms + _DELIVERED_WITHIN_SECONDS * 1000
    while not run.all_delivered() and run.time.now_ms < ends_ms:
        run.run(30)


def until_done(run: FaultyRun) -> None:
    ends_ms = run.time.now_ms + _LONGEST_SECONDS * 1000
    while run.living:
        run.run(1)
        if run.time.now_ms > ends_ms:
            raise NeverEnds("clients go on for an hour")


def ask_again(run: FaultyRun, clients: Clients) -> None:
    """What was never answered, and what can be read."""
    unanswered = {
        (call.app_id, call.name, str(call.request)): call
        for call in run.history
        if not call.answered and call.name != "get_club_jf_settle_list"
    }
    for call in unanswered.values():
        clients.ask_until_answered("again", call.app_id, call.name, call.request)
    for app_id, name, request in (
        *((club, "get_club_jf_settle_list", {"openid": OPENIDS[0]}) for club in CLUBS),
        *((merchant, "query_order", {"out_order_id": ORDERS[0]}) for merchant in MERCHANTS),
    ):
        newest = max(version.version for version in run.app_states[app_id][-1][1].secret_versions)
        for version in range(1, newest):
            run.call("with an old secret", app_id, name, request, version)
    for app_id in CLUBS:
        for openid in OPENIDS:
            clients.walk("at the end", app_id, {"openid": openid})
        clients.walk("at the end", app_id, clients.some_query(run.random.choice(OPENIDS)))
    for app_id in MERCHANTS:
        for order in ORDERS:
            name = run.random.choice(["query_order", "query_user_settle"])
            clients.ask_until_answered("at the end", app_id, name, {"out_order_id": order})
    run.living -= 1
