"""`settlectl notifications list|show|redeliver`."""

from copy import replace

import pytest

from settlectl.deployment import Deployment
from settlement.breaker import Breaker
from settlement.ledger import Notification
from settlement.notifications import CLUB_SETTLED
from settlepoint_local.in_process import World

from .api import Api
from .conftest import Run
from .ledgers import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    REFUSED,
    bodies,
    claimed,
    dead,
    delivered,
    notify_id,
    retrying,
    row_of,
    statuses,
    under_way,
    work_off,
)


def opened(deployment: Deployment, app_id: str = "club-a", until_ms: int = NOW_MS + HOUR_MS) -> None:
    open_ = replace(Breaker(app_id), failures=5, openings=3, open_until_ms=until_ms, held_at_ms=NOW_MS - 60_000)
    assert deployment.ledger.change_breaker(Breaker(app_id), open_) is not None


# ------------------------------------------------------------------------------------------------------------ list


def test_a_list_is_the_apps_newest_first_with_its_counts(world: World, run: Run, deployment: Deployment) -> None:
    ledger = deployment.ledger
    dead(ledger, 1, settled_ms=NOW_MS - 5 * HOUR_MS)
    delivered(ledger, 2, settled_ms=NOW_MS - 4 * HOUR_MS)
    retrying(ledger, 3, settled_ms=NOW_MS - 3 * HOUR_MS)
    dead(ledger, 4, settled_ms=NOW_MS - 3 * DAY_MS)  # before --since
    dead(ledger, 5, app_id="merchant-a")
    opened(deployment)
    before = world.digest()
    ran = run("notifications", "list", "--app-id", "club-a", "--json")
    assert ran.json == {
        "app_id": "club-a",
        "since_ms": NOW_MS - DAY_MS,
        "until_ms": NOW_MS,
        "notifications": [
            {
                "notify_id": notify_id(number),
                "notify_event": "upbot.club.jf.settle",
                "notify_time_ms": NOW_MS - hours * HOUR_MS,
                "status": status,
                "attempt_count": 1,
                "error_class": error_class,
            }
            for number, hours, status, error_class in (
                (3, 3, "retrying", "http_5xx"),
                (2, 4, "delivered", None),
                (1, 5, "dead", "http_5xx"),
            )
        ],
        "matched": 3,
        "counts": {"pending": 0, "retrying": 1, "held": 0, "delivered": 1, "dead": 1},
        "breaker": {"state": "open", "failures": 5, "open_until_ms": NOW_MS + HOUR_MS},
        "held": 0,
    }
    assert world.digest() == before


def test_a_list_for_people_keeps_ids_whole_and_ends_with_counts(
    world: World,  # noqa: ARG001  # it is now there
    run: Run,
    deployment: Deployment,
) -> None:
    dead(deployment.ledger, 1)
    dead(deployment.ledger, 2, REFUSED)
    ran = run("notifications", "list", "--app-id", "club-a")
    head, *rows = ran.stdout.splitlines()[:3]
    assert head.split() == ["SETTLED", "STATUS", "ATTEMPTS", "ERROR", "CLASS", "EVENT", "NOTIFY_ID"]
    assert [row.split()[-1] for row in rows] == [notify_id(2), notify_id(1)]
    facts = [line.split(maxsplit=1) for line in ran.stdout.splitlines()[3:]]
    assert facts == [
        ["shown", "2 of 2 since 2026-11-21T00:00:00.000Z"],
        ["by", "status  2 dead"],
        ["breaker", "on trial: one attempt at a time"],
        ["held", "0 of this app"],
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "dead"], [2, 1]),
        (["--status", "dead", "--status", "delivered"], [3, 2, 1]),
        (["--error-class", "http_4xx"], [2]),
        (["--error-class", "http_5xx", "--status", "dead"], [1]),
        (["--event", "sud.mg.merchant.user.settle"], []),
        (["--event", "upbot.club.jf.settle"], [4, 3, 2, 1]),
        (["--limit", "2"], [4, 3]),
        (["--since", "7h", "--until", "5h"], [2, 1]),
        (["--since", "2026-11-21T17:00:00.001Z", "--until", "2026-11-21T19:00:00Z"], [2]),
    ],
)
def test_a_list_takes_what_is_asked_for(
    world: World,  # noqa: ARG001
    run: Run,
    deployment: Deployment,
    options: list[str],
    expected: list[int],
) -> None:
    ledger = deployment.ledger
    dead(ledger, 1, settled_ms=NOW_MS - 7 * HOUR_MS)
    dead(ledger, 2, REFUSED, settled_ms=NOW_MS - 6 * HOUR_MS)
    delivered(ledger, 3, settled_ms=NOW_MS - 5 * HOUR_MS)
    retrying(ledger, 4, settled_ms=NOW_MS - 4 * HOUR_MS)
    ran = run("notifications", "list", "--app-id", "club-a", *options, "--json")
    assert [entry["notify_id"] for entry in ran.json["notifications"]] == [notify_id(number) for number in expected]
    assert ran.json["matched"] == (4 if "--limit" in options else len(expected))


def test_a_list_tells_what_is_held_and_why(world: World, run: Run, deployment: Deployment) -> None:
    assert deployment.ledger.hold(claimed(deployment.ledger, 1))
    ran = run("notifications", "list", "--app-id", "club-a")
    assert "held       1 of this app\n" in ran.stdout
    opened(deployment)
    ran = run("notifications", "list", "--app-id", "club-a")
    assert "held       1 of this app: its receiver is down: the breaker is open\n" in ran.stdout
    assert "breaker    open until 2026-11-22T01:00:00.000Z, after 5 failures in a row\n" in ran.stdout
    world.change_app("club-a", status="disabled")
    ran = run("notifications", "list", "--app-id", "club-a")
    assert "held       1 of this app: app club-a is disabled\n" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_status", "named"),
    [
        (["list", "--app-id", "nobody"], 1, "there is no app nobody"),
        (["list", "--app-id", "a b"], 2, "--app-id"),
        (["list", "--app-id", "club-a", "--since", "yesterday"], 2, "--since 'yesterday'"),
        (["list", "--app-id", "club-a", "--since", "1h", "--until", "2h"], 2, "--since must be before --until"),
        (["list", "--app-id", "club-a", "--status", "alive"], 2, "--status 'alive': must be one of pending"),
        (["list", "--app-id", "club-a", "--error-class", "5xx"], 2, "--error-class '5xx'"),
        (["list", "--app-id", "club-a", "--event", "x"], 2, "--event 'x'"),
        (["show", "7f3a"], 2, "'7f3a' is no notify_id"),
        (["show", "breaker#club-a"], 2, "is no notify_id"),
        (["show", "0" * 64], 1, "there is no notification 0000"),
        (["redeliver", "0" * 64], 1, "there is no notification 0000"),
        (["redeliver", "A" * 64], 2, "is no notify_id"),
        (["replay", "--app-id", "club-a", "--since", "1h", "--after", "x"], 2, "--after 'x'"),
        (["replay", "--app-id", "club-a", "--since", "2026-11-22"], 2, "--since '2026-11-22'"),
        (["replay", "--app-id", "club-a", "--since", "1h", "--status", "x"], 2, "--status 'x'"),
        (["replay", "--app-id", "club-b", "--since", "1h"], 1, "app club-b has no notify_url"),
        (["replay", "--app-id", "nobody", "--since", "1h"], 1, "there is no app nobody"),
        (["backfill", "--app-id", "club-b", "--since", "1h"], 1, "app club-b has no notify_url"),
        (["backfill", "--app-id", "club-a", "--since", "soon"], 2, "--since 'soon'"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    world: World, run: Run, deployment: Deployment, arguments: list[str], exit_status: int, named: str
) -> None:
    opened(deployment)
    before = world.digest()
    ran = run("notifications", *arguments, "--json")
    assert (ran.exit_status, ran.stdout) == (exit_status, "")
    assert named in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert world.digest() == before


# ------------------------------------------------------------------------------------------------------------ show


def test_show_tells_everything(world: World, run: Run, deployment: Deployment) -> None:  # noqa: ARG001
    key = under_way(deployment.ledger, 1)
    ran = run("notifications", "show", key, "--json")
    assert ran.json == {
        "notify_id": key,
        "app_id": "club-a",
        "notify_event": "upbot.club.jf.settle",
        "notify_time_ms": NOW_MS - HOUR_MS,
        "status": "retrying",
        "attempts": [
            {
                "started_at_ms": NOW_MS - HOUR_MS,
                "duration_ms": 34,
                "http_status": 503,
                "ret_code": None,
                "error": "http 503",
                "error_class": "http_5xx",
            }
        ],
        "next_attempt_at_ms": NOW_MS - 1000,
        "lease_until_ms": NOW_MS + 34_000,
        "waits_because": None,
        "body": f'{{"notify_id":"{key}","data":{{"detail":"\\u5468 1\\/2"}}}}',
        "payload": {"notify_id": key, "data": {"detail": "周 1/2"}},
    }
    text = run("notifications", "show", key).stdout
    lines = [line.split() for line in text.splitlines()]
    assert ["status", "retrying"] in lines
    assert ["next", "attempt", "2026-11-21T23:59:59.000Z"] in lines
    assert ["under", "way", "until", "2026-11-22T00:00:34.000Z", "at", "the", "latest"] in lines
    assert ["1", "2026-11-21T23:00:00.000Z", "34", "503", "-", "http_5xx", "http", "503"] in lines
    assert '"detail": "周 1/2"' in text


def test_show_tells_why_a_held_one_waits(world: World, run: Run, deployment: Deployment) -> None:
    assert deployment.ledger.hold(claimed(deployment.ledger, 1))
    assert run("notifications", "show", notify_id(1), "--json").json["waits_because"] is None  # its turn comes
    world.change_app("club-a", status="disabled")
    assert run("notifications", "show", notify_id(1), "--json").json["waits_because"] == "app club-a is disabled"
    assert "status        held: app club-a is disabled\n" in run("notifications", "show", notify_id(1)).stdout


def test_what_would_steer_a_terminal_is_escaped(world: World, run: Run, deployment: Deployment) -> None:  # noqa: ARG001
    body = '{"data":{"detail":"\\u001b[31m"}}'
    assert deployment.ledger.add_held(Notification(notify_id(1), "club-a", CLUB_SETTLED, NOW_MS, body), NOW_MS)
    shown = run("notifications", "show", notify_id(1)).stdout
    assert "\x1b" not in shown
    assert '"detail": "\\u001b[31m"' in shown


# ------------------------------------------------------------------------------------------------------- redeliver


@pytest.mark.parametrize("make", [dead, retrying])
def test_a_redelivery_replaces_the_planned_attempt(
    world: World, run: Run, deployment: Deployment, make: object
) -> None:
    key = make(deployment.ledger, 1)  # type: ignore[operator]
    ran = run("notifications", "redeliver", key, "--json")
    assert (ran.exit_status, ran.json) == (
        0,
        {"notify_id": key, "app_id": "club-a", "attempt": 2, "held_because": None},
    )
    row = row_of(world, key)
    assert (row["status"], row["attempt_count"], row["schedule_from"]) == ("retrying", 1, 1)
    assert row["next_attempt_at"] <= NOW_MS
    assert "expires_at" not in row
    assert bodies(world) == [{"notify_id": key, "attempt": 2}]


def test_a_redelivery_done_twice_is_one_attempt(
    world: World, run: Run, deployment: Deployment, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    world.change_app("club-a", notify_url=api.base_url)
    api.answer = lambda _: (200, b'{"ret_code":0}')
    key = dead(deployment.ledger, 1)
    for _ in range(2):
        assert run("notifications", "redeliver", key).exit_status == 0
    assert len(bodies(world)) == 2
    work_off(world)
    assert len(api.received) == 1
    assert (row_of(world, key)["status"], row_of(world, key)["attempt_count"]) == ("delivered", 2)


def test_a_delivered_one_is_redelivered_only_when_asked_again(world: World, run: Run, deployment: Deployment) -> None:
    key = delivered(deployment.ledger, 1)
    before = world.digest()
    ran = run("notifications", "redeliver", key)
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert "the receiver has acknowledged it; --again" in ran.stderr
    assert world.digest() == before
    assert run("notifications", "redeliver", key, "--again").exit_status == 0
    assert statuses(world) == {key: "retrying"}
    assert bodies(world) == [{"notify_id": key, "attempt": 2}]


def test_an_attempt_under_way_is_left_alone(world: World, run: Run, deployment: Deployment) -> None:
    key = under_way(deployment.ledger, 1)
    opened(deployment)
    before = world.digest()
    ran = run("notifications", "redeliver", key, "--json")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert "an attempt is under way; nothing was changed" in ran.stderr
    assert world.digest() == before
    assert world.messages() == []
    world.now_ms += 45_000  # the lease is over: whoever held it is gone
    assert run("notifications", "redeliver", key, "--json").json["attempt"] == 2


def test_an_attempt_made_this_moment_is_told_of(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = retrying(deployment.ledger, 1)
    plan = deployment.ledger.redeliver

    def after_another_attempt(*arguments: object, **named: object) -> bool:
        claim = deployment.ledger.claim(key, 2, NOW_MS + 2 * HOUR_MS)
        assert claim is not None
        assert deployment.ledger.record_dead(claim, REFUSED, NOW_MS)
        return plan(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(deployment.ledger, "redeliver", after_another_attempt)
    ran = run("notifications", "redeliver", key)
    assert ran.exit_status == 1
    assert "an attempt was made this moment; nothing was changed" in ran.stderr
    assert statuses(world) == {key: "dead"}
    assert world.messages() == []


def test_a_redelivery_tries_a_receiver_that_counts_as_down(world: World, run: Run, deployment: Deployment) -> None:
    opened(deployment)
    assert run("notifications", "redeliver", dead(deployment.ledger, 1)).exit_status == 0
    breaker = deployment.ledger.breaker("club-a")
    assert not breaker.blocks(world.now_ms)
    assert (breaker.failures, breaker.openings) == (5, 3)  # the next failure opens it again, for longer


def test_a_trial_under_way_stays_the_only_one(world: World, run: Run, deployment: Deployment) -> None:
    trial = replace(Breaker("club-a"), trial_until_ms=world.now_ms + 5000)
    assert deployment.ledger.change_breaker(Breaker("club-a"), trial) is not None
    assert run("notifications", "redeliver", dead(deployment.ledger, 1)).exit_status == 0
    assert deployment.ledger.breaker("club-a").blocks(world.now_ms)


def test_of_a_disabled_app_it_is_held_until_the_app_is_enabled(
    world: World, run: Run, deployment: Deployment, api: Api
) -> None:
    world.change_app("club-a", status="disabled", notify_url=api.base_url)
    key = dead(deployment.ledger, 1)
    ran = run("notifications", "redeliver", key, "--json")
    assert ran.json["held_because"] == "app club-a is disabled"
    assert "held, because app club-a is disabled" in run("notifications", "redeliver", key).stderr
    work_off(world)
    assert statuses(world) == {key: "held"}
    assert api.received == []


def test_a_message_that_the_queue_does_not_take_is_left_to_the_sweep(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = dead(deployment.ledger, 1)
    monkeypatch.setattr(deployment.queue, "_url", "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    ran = run("notifications", "redeliver", key, "--json")
    assert ran.json["attempt"] == 2
    assert "warning: The queue did not take the message (QueueDoesNotExist); the sweep" in ran.stderr
    assert statuses(world) == {key: "retrying"}


def test_an_app_without_a_url_is_told_nothing_again(world: World, run: Run, deployment: Deployment) -> None:
    key = dead(deployment.ledger, 1)
    world.change_app("club-a", notify_url=None)
    ran = run("notifications", "redeliver", key)
    assert ran.exit_status == 1
    assert "app club-a has no notify_url; set one: settlectl app update" in ran.stderr
    assert statuses(world) == {key: "dead"}
