"""What holds after every run, whatever failed in it: each function is an invariant, and raises Broken if it does not.

facts      each_order_is_settled_once, settled_facts_never_change, settled_as_some_client_was_told,
           a_report_is_settled_whole
totals     totals_are_what_was_settled
ledger     each_settlement_has_its_ledger_row, every_notification_is_delivered
answers    acknowledged_answers_are_true, errors_change_nothing, a_repeat_succeeds, faults_have_a_cause
lists      walks_have_no_repeats_and_no_holes, totals_of_lists_are_exact
apps       nothing_crosses_between_apps, credentials_decide
history    the_history_can_be_explained
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from settlement.apps import CACHE_SECONDS, App
from settlement.buckets import moment_of
from settlement.totals import Totals, buckets_of
from tests.simulated.aws import Commit
from tests.simulated.simulation import Process

from .checker import CLUB_CONTENT, GAME_CONTENT, check, club_facts, game_order_id, result_of
from .history import Call, Walk
from .run import CLUBS, INDEX_LAG_MS, MERCHANTS, SKEW_MS, FaultyRun

UNAUTHENTICATED: Final = {1002, 10004}
_NOTIFIED: Final = {"club-a", "merchant-a"}
"""The apps with a notify_url."""


type Invariant = Callable[[FaultyRun], None]
type _Told = Iterator[tuple[str, Callable[[Mapping[str, Any]], object]]]
"""What a call was told: of which row, and whether that is so."""


class Broken(AssertionError):
    """An invariant does not hold."""


def ensure(holds: object, *what: object) -> None:
    if not holds:
        raise Broken(" ".join(map(str, what)))


# --------------------------------------------------------------------------------------------------------------- facts


def each_order_is_settled_once(run: FaultyRun) -> None:
    settled = Counter(commit.key for commit in _order_commits(run) if "settle_time" in (commit.after or {}))
    ensure(set(settled.values()) <= {1}, "settled more than once:", settled)


def settled_facts_never_change(run: FaultyRun) -> None:
    """And of an order that is not settled nothing changes but that it is."""
    for commit in _order_commits(run):
        before, after = commit.before or {}, commit.after or {}
        ensure("settle_time" not in before, "a settled order was written again:", before, after)
        ensure(before.items() <= after.items(), "an order's content changed:", before, after)


def settled_as_some_client_was_told(run: FaultyRun) -> None:
    """Or asked for, and was told nothing; and no one was told that other terms succeeded."""
    for app_id in CLUBS:
        for bill_no, row in run.settled(app_id).items():
            asked = [call for call in _calls(run, "set_club_jf_settle", app_id) if call.request["bill_no"] == bill_no]
            facts = (row["settle_hundredths"], row["amt_ratio"])
            succeeded = {club_facts(row["amt"], call.request) for call in asked if call.code == 0}
            unknown = {club_facts(row["amt"], call.request) for call in asked if not call.answered}
            ensure(succeeded <= {facts}, app_id, bill_no, facts, "and told:", succeeded)
            ensure(facts in succeeded | unknown, app_id, bill_no, facts, "nobody asked for:", asked)
            ensure(row["settle_hundredths"] == row["amt"] * row["amt_ratio"] or row["amt_ratio"] == 100, row)
    for app_id in MERCHANTS:
        for row in run.settled(app_id, "game").values():
            results = [
                result_of(call.request, result)
                for call in _calls(run, "settle_users", app_id)
                for result in call.request["results"]
                if result["out_order_id"] == row["out_order_id"] and (call.code == 0 or not call.answered)
            ]
            ensure(_stored_result(row) in results, app_id, row, "nobody reported:", results)


def a_report_is_settled_whole(run: FaultyRun) -> None:
    for app_id in MERCHANTS:
        by_report: dict[str, list[dict[str, Any]]] = {}
        for row in run.settled(app_id, "game").values():
            by_report.setdefault(row["result"]["notify_id"], []).append(row)
        reports = [
            {result["out_order_id"]: result_of(call.request, result) for result in call.request["results"]}
            for call in _calls(run, "settle_users", app_id)
        ]
        for rows in by_report.values():
            stored = {row["out_order_id"]: _stored_result(row) for row in rows}
            ensure(stored in reports, app_id, "settled, and no report of its own:", stored)
            ensure(len({row["settle_time"] for row in rows}) == 1, "a report at two times:", rows)


# -------------------------------------------------------------------------------------------------------------- totals


def totals_are_what_was_settled(run: FaultyRun) -> None:
    """Each settlement counted once in each of its buckets, and nothing else in any."""
    table = Totals(run.paper, "TotalsTable", 1)  # type: ignore[arg-type]
    for app_id in CLUBS:
        expected: Counter[Any] = Counter()
        for row in run.settled(app_id).values():
            for source in (None, row["source"]):
                for bucket in buckets_of(moment_of(row["settle_time"]), source):
                    expected[row["openid"], bucket, "hundredths"] += row["settle_hundredths"]
                    expected[row["openid"], bucket, "count"] += 1
        stored: Counter[Any] = Counter()
        for openid, bucket, total in table.every_sum(app_id):
            stored[openid, bucket, "hundredths"] += total.hundredths
            stored[openid, bucket, "count"] += total.count
        ensure(stored == expected, app_id, "stored:", dict(stored), "settled:", dict(expected))


# -------------------------------------------------------------------------------------------------------------- ledger


def each_settlement_has_its_ledger_row(run: FaultyRun) -> None:
    """One, which says just what was settled; of an app without a notify_url none."""
    told: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in run.rows().values():
        body = run.body_of(row)
        ensure(body["app_id"] == row["app_id"] and body["notify_id"] == row["notify_id"], row)
        data = body["data"]
        for one in data.get("results", [data]):
            key = (row["app_id"], one.get("out_order_id") or one["billno"])
            ensure(key not in told, key, "is in two ledger rows")
            told[key] = {**data, **one, "notify_time": row["notify_time"]}
    settled: set[tuple[str, str]] = set()
    for app_id in _NOTIFIED:
        for bill_no, row in run.settled(app_id).items():
            entry = told.get((app_id, bill_no))
            ensure(entry is not None, app_id, bill_no, "has no ledger row")
            ensure(entry and _is_entry_of(entry, row) and entry["openid"] == row["openid"], entry, "is not", row)
            settled.add((app_id, bill_no))
        for row in run.settled(app_id, "game").values():
            result = told.get((app_id, row["out_order_id"]))
            ensure(result is not None, app_id, row["out_order_id"], "has no ledger row")
            ensure(result and result_of(result, result) == _stored_result(row), result, "is not", row)
            ensure(result and result["notify_time"] == row["settle_time"], result, "is not of", row)
            settled.add((app_id, row["out_order_id"]))
    ensure(told.keys() == settled, "told, and not settled:", told.keys() - settled)


def every_notification_is_delivered(run: FaultyRun) -> None:
    """Once the faults have stopped: acknowledged, the same bytes each time, and by no detour over the dead letters."""
    rows = run.rows()
    statuses = {notify_id: row["status"] for notify_id, row in rows.items() if row["status"] != "delivered"}
    ensure(not statuses, "not delivered:", statuses)
    acknowledged = {request.notify_id for request in run.requests if request.acknowledged}
    ensure(acknowledged == rows.keys(), "not acknowledged:", rows.keys() ^ acknowledged)
    for request in run.requests:
        ensure(request.body == rows[request.notify_id]["body"].encode(), "other bytes:", request)
        ensure(request.app_id == rows[request.notify_id]["app_id"], "another app's:", request)
    ensure(run.dead_letters == [], run.dead_letters)
    seen = Counter(request.notify_id for request in run.requests)
    for notify_id, row in rows.items():
        recorded = len(row["attempts"])
        ensure(seen[notify_id] <= recorded, notify_id, "sent", seen[notify_id], "times, recorded", recorded)


# ------------------------------------------------------------------------------------------------------------- answers


def acknowledged_answers_are_true(run: FaultyRun) -> None:
    """What a client was told of an order is so at the end."""
    rows = {row["billno"]: row for row in run.table("SettlementTable")}
    for call in run.history:
        if call.code == 0:
            told = _TOLD[call.name]
            for key, true in told(call):
                row = rows.get(key)
                ensure(row is not None, key, "is not there:", call)
                ensure(row and true(row), "not so:", call, row)


def _told_created(call: Call) -> _Told:
    request = call.request
    yield (
        _club_row(call, request["bill_no"]),
        lambda row: all((row.get(name) or None) == (request.get(name) or None) for name in CLUB_CONTENT),
    )


def _told_settled(call: Call) -> _Told:
    yield (
        _club_row(call, call.request["bill_no"]),
        lambda row: (
            "settle_time" in row
            and (
                row["settle_hundredths"],
                row["amt_ratio"],
            )
            == club_facts(row["amt"], call.request)
        ),
    )


def _told_listed(call: Call) -> _Told:
    for entry in call.data["settle_list"]:
        yield (
            _club_row(call, entry["billno"]),
            lambda row, entry=entry: (  # type: ignore[misc]
                "settle_time" in row and _is_entry_of(entry, row) and row["openid"] == call.request["openid"]
            ),
        )


def _told_order(call: Call) -> _Told:
    said = call.data if call.name == "query_order" else call.request
    yield _game_row(call, call.request), lambda row: all(row[name] == said[name] for name in GAME_CONTENT)


def _told_result(call: Call) -> _Told:
    report, results = call.request, call.request.get("results", [])
    if call.name == "query_user_settle":
        report, results = call.data, [call.data]
    for result in results:
        yield (
            _game_row(call, result),
            lambda row, result=result: (  # type: ignore[misc]
                "settle_time" in row and _stored_result(row) == result_of(report, result)
            ),
        )


_TOLD: Final = {
    "create_club_order": _told_created,
    "set_club_jf_settle": _told_settled,
    "get_club_jf_settle_list": _told_listed,
    "create_order": _told_order,
    "query_order": _told_order,
    "settle_users": _told_result,
    "query_user_settle": _told_result,
}


def _club_row(call: Call, bill_no: str) -> str:
    return f"club#{call.app_id}#{bill_no}"


def _game_row(call: Call, order: Mapping[str, Any]) -> str:
    return f"game#{call.app_id}#{game_order_id(call.app_id, order['out_order_id'])}"


def errors_change_nothing(run: FaultyRun) -> None:
    """Where the answer is a fault of ours, its write may be there only where what was lost is the reply."""
    excuses = ("reply_lost", "late", "in_progress", "killed")
    for call, commits in _writes_of_calls(run):
        if call.code == 0 or not commits:
            continue
        ensure(not call.answered, "answered with an error, and changed:", call, commits)
        met = call.process.met if call.process else []
        ensure(any(excuse in each for each in met for excuse in excuses), "wrote, and failed:", call, commits)


def a_repeat_succeeds(run: FaultyRun) -> None:
    """What was committed while its reply was lost is success when it is asked for again."""
    for call, commits in _writes_of_calls(run):
        if not commits or call.answered:
            continue
        for repeat in run.history:
            same = (repeat.name, repeat.app_id, repeat.request) == (call.name, call.app_id, call.request)
            if same and repeat.answered and repeat.invoked_ms > commits[0].time_ms:
                ensure(repeat.code in {0, *UNAUTHENTICATED}, "was committed, and repeated:", call, repeat)


def faults_have_a_cause(run: FaultyRun) -> None:
    """No 5xx but where a call to AWS failed, or the neighbours left no room; and no other surprise."""
    for call in run.history:
        ensure(call.code is None or call.status in _STATUSES.get(call.code, {200}), "another status:", call)
        if not call.answered and call.process and not call.process.met:
            late = (call.completed_ms or 0) - call.invoked_ms
            ensure(late >= _CONTENDED_MS, "failed without a cause:", call)


_STATUSES: Final = {1002: {401}, 10004: {401}, 1500: {500, 503}, 10001: {500, 503}}
_CONTENDED_MS: Final = 10_000

# --------------------------------------------------------------------------------------------------------------- lists


def walks_have_no_repeats_and_no_holes(run: FaultyRun) -> None:
    """Newest first, each entry once, and all that was settled before the walk and the index's lag."""
    settled_ms = _settled_ms(run)
    for walk in run.walks:
        entries = walk.entries
        names = [entry["billno"] for entry in entries]
        ensure(len(set(names)) == len(names), "repeated:", names, walk)
        times = [entry["settle_time"] for entry in entries]
        ensure(times == sorted(times, reverse=True), "out of order:", times, walk)
        matching = _matching(run, walk)
        ensure(set(names) <= matching.keys(), "listed, and not of this query:", set(names) - matching.keys(), walk)
        for page in walk.pages:
            last = page is walk.pages[-1] and walk.complete
            ensure(page.data["is_end"] is last and bool(page.data["page_context"]) is not last, page)
            ensure(page.data["settle_list"] or last, "an empty page that is not the last:", page)
        if walk.complete:
            before_ms = walk.pages[0].invoked_ms - INDEX_LAG_MS
            missed = {name for name in matching if settled_ms[walk.app_id, name] < before_ms} - set(names)
            ensure(not missed, "missing:", missed, walk)


def totals_of_lists_are_exact(run: FaultyRun) -> None:
    """On the first page alone: all that was settled before it, and of what was settled meanwhile some or none."""
    settled_ms = _settled_ms(run)
    for walk in run.walks:
        for page in walk.pages[1:]:
            ensure("total_amt" not in page.data, page)
        for page in walk.pages[:1]:
            open_ends = not (walk.query.get("start_time_unix_sec") or walk.query.get("end_time_unix_sec"))
            before_ms = page.invoked_ms - (0 if open_ends else INDEX_LAG_MS)
            possible = {0}
            for name, row in _matching(run, walk).items():
                at_ms, hundredths = settled_ms[walk.app_id, name], row["settle_hundredths"]
                if at_ms < before_ms:
                    possible = {total + hundredths for total in possible}
                elif at_ms <= (page.completed_ms or 0):
                    possible |= {total + hundredths for total in possible}
            ensure(page.data["total_amt"] * 100 in possible, "total:", page, "and not one of", possible)


# ---------------------------------------------------------------------------------------------------------------- apps


def nothing_crosses_between_apps(run: FaultyRun) -> None:
    """A call writes rows of the app whose order it is about, and no other's."""
    for call, commits in _writes_of_calls(run):
        for commit in commits:
            match commit.table:
                case "SettlementTable":
                    owner = commit.key[0].split("#")[1]
                case "TotalsTable":
                    owner = commit.key[0].split("#")[0]
                case "NotificationTable":
                    owner = (commit.after or {})["app_id"]["S"]
                case table:
                    raise Broken(f"{call} wrote {table}")
            ensure(owner == call.app_id, "another app's row:", call, commit)


def credentials_decide(run: FaultyRun) -> None:
    """A change of an app is in force after 30 s: whoever is right all that time is let in, who is wrong is not."""
    for call in run.history:
        if not call.answered or call.signed_by is None:
            continue
        app_id, version = call.signed_by
        from_ms, to_ms = call.invoked_ms - int(CACHE_SECONDS * 1000) - 1, call.completed_ms or 0
        states = run.app_states[app_id]
        seen = [
            app
            for (since_ms, app), (until_ms, _) in zip(states, [*states[1:], (to_ms + 1, None)], strict=True)
            if since_ms <= to_ms and until_ms >= from_ms
        ]
        good = {
            app.status == "enabled" and version in _in_use(app, moment_ms)
            for app in seen
            for moment_ms in (call.invoked_ms - SKEW_MS, to_ms + SKEW_MS)
        }
        refused = call.code in UNAUTHENTICATED
        ensure(not refused or False in good, "refused, and its secret is in use:", call, seen)
        ensure(refused or True in good, "let in, and its secret is not in use:", call, seen)


def _in_use(app: App, moment_ms: int) -> set[int]:
    versions = app.secret_versions
    return {each.version for each in versions if each.retires_at_ms is None or moment_ms < each.retires_at_ms}


# ------------------------------------------------------------------------------------------------------------- history


def the_history_can_be_explained(run: FaultyRun) -> None:
    unexplained = check(run.history, run.walks)
    ensure(not unexplained, *unexplained)


INVARIANTS: Final[tuple[Invariant, ...]] = (
    the_history_can_be_explained,
    each_order_is_settled_once,
    settled_facts_never_change,
    settled_as_some_client_was_told,
    a_report_is_settled_whole,
    totals_are_what_was_settled,
    each_settlement_has_its_ledger_row,
    every_notification_is_delivered,
    acknowledged_answers_are_true,
    errors_change_nothing,
    a_repeat_succeeds,
    faults_have_a_cause,
    walks_have_no_repeats_and_no_holes,
    totals_of_lists_are_exact,
    nothing_crosses_between_apps,
    credentials_decide,
)


def broken(run: FaultyRun) -> dict[Invariant, Broken]:
    """The invariants that do not hold."""
    found: dict[Invariant, Broken] = {}
    for invariant in INVARIANTS:
        try:
            invariant(run)
        except Broken as fault:
            fault.add_note(f"invariant: {invariant.__name__}")
            found[invariant] = fault
    return found


def ensure_all(run: FaultyRun) -> None:
    if faults := list(broken(run).values()):
        raise ExceptionGroup("broken invariants", faults)


# --------------------------------------------------------------------------------------------------- what they lean on


def _calls(run: FaultyRun, name: str, app_id: str) -> Iterable[Call]:
    return (call for call in run.history if call.name == name and call.app_id == app_id)


def _order_commits(run: FaultyRun) -> Iterator[Commit]:
    return (commit for commit in run.journal if commit.table == "SettlementTable")


def _writes_of_calls(run: FaultyRun) -> list[tuple[Call, list[Commit]]]:
    by_process: dict[int, list[Commit]] = {}
    for commit in run.journal:
        if isinstance(commit.process, Process):
            by_process.setdefault(id(commit.process), []).append(commit)
    return [(call, by_process.get(id(call.process), [])) for call in run.history]


def _settled_ms(run: FaultyRun) -> dict[tuple[str, str], int]:
    """When each club order's settlement was committed, which no host's clock says."""
    times = {}
    for commit in _order_commits(run):
        kind, app_id, bill_no = commit.key[0].split("#", 2)
        if kind == "club" and "settle_time" in (commit.after or {}):
            times[app_id, bill_no] = commit.time_ms
    return times


def _matching(run: FaultyRun, walk: Walk) -> dict[str, dict[str, Any]]:
    """The settled orders of a query."""
    query = walk.query
    source = query.get("source")
    start_ms = (query.get("start_time_unix_sec") or 0) * 1000
    end_ms = ((query.get("end_time_unix_sec") or 10**11) + 1) * 1000
    return {
        bill_no: row
        for bill_no, row in run.settled(walk.app_id).items()
        if row["openid"] == query["openid"]
        and source in (None, -1, row["source"])
        and start_ms <= row["settle_time"] < end_ms
    }


def _is_entry_of(entry: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Exact: as numbers, never as floats."""
    return (
        entry["settle_amt"] * 100 == row["settle_hundredths"]
        and all(entry[name] == row[name] for name in ("amt", "amt_ratio", "settle_time", "source", "jf_gid"))
        and entry["detail"] == row.get("detail", "")
        and entry.get("account") == row.get("account")
    )


def _stored_result(row: Mapping[str, Any]) -> tuple[Any, ...]:
    result = row["result"]
    return result_of(result, {"uid": "", **result})
