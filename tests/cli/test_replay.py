"""`settlectl notifications replay`."""

from collections.abc import Callable
from copy import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from settlectl.deployment import Deployment
from settlectl.main import app
from settlement.breaker import Breaker
from settlement.ledger import Ledger, Message
from settlepoint_local.in_process import World

from .api import Api
from .conftest import Run
from .ledgers import (
    HOUR_MS,
    MINUTE_MS,
    NOW_MS,
    REFUSED,
    bodies,
    command_in,
    dead,
    delivered,
    notify_id,
    retrying,
    row_of,
    statuses,
    under_way,
    work_off,
)

REPLAY = ("notifications", "replay", "--app-id", "club-a")
RELEASE = {"release": "club-a", "pace": 1}


def test_a_dry_run_counts_and_writes_nothing(world: World, run: Run, deployment: Deployment) -> None:
    for number in range(3):
        dead(deployment.ledger, number)
    dead(deployment.ledger, 3, REFUSED)
    delivered(deployment.ledger, 4)
    before = world.digest()
    ran = run(*REPLAY, "--since", "2h", "--dry-run", "--json")
    assert ran.json == {
        "app_id": "club-a",
        "since_ms": NOW_MS - 2 * HOUR_MS,
        "until_ms": NOW_MS,
        "matched": 4,
        "counts": {"dead": 4},
        "error_classes": {"http_5xx": 3, "http_4xx": 1},
        "held": 0,
        "under_way": 0,
        "changed": 0,
        "finished": False,
    }
    text = run(*REPLAY, "--since", "2h", "--dry-run")
    assert "by class   3 http_5xx, 1 http_4xx\n" in text.stdout
    assert "Nothing was changed" in text.stderr
    assert world.digest() == before
    assert world.messages() == []


def test_by_default_the_dead_are_replayed_and_nothing_else(world: World, run: Run, deployment: Deployment) -> None:
    dead(deployment.ledger, 1)
    dead(deployment.ledger, 2, REFUSED)
    dead(deployment.ledger, 3, settled_ms=NOW_MS - 3 * HOUR_MS)  # before --since
    dead(deployment.ledger, 4, app_id="merchant-a")
    delivered(deployment.ledger, 5)
    retrying(deployment.ledger, 6)
    ran = run(*REPLAY, "--since", "2h", "--json")
    assert (ran.exit_status, ran.json["held"], ran.json["finished"]) == (0, 2, True)
    assert statuses(world) == {
        notify_id(1): "held",
        notify_id(2): "held",
        notify_id(3): "dead",
        notify_id(4): "dead",
        notify_id(5): "delivered",
        notify_id(6): "retrying",
    }
    row = row_of(world, notify_id(1))
    assert (row["due_shard"], row["attempt_count"], row["schedule_from"]) == ("held#club-a", 1, 1)
    assert bodies(world) == [RELEASE, RELEASE]
    assert deployment.ledger.breaker("club-a").held_at_ms == NOW_MS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--status", "delivered"], [3]),
        (["--status", "delivered", "--status", "dead"], [1, 2, 3]),
        (["--status", "retrying"], [4]),
        (["--error-class", "http_4xx"], [2]),
        (["--until", "90m"], []),
    ],
)
def test_what_is_asked_for_is_replayed(
    world: World, run: Run, deployment: Deployment, options: list[str], expected: list[int]
) -> None:
    dead(deployment.ledger, 1)
    dead(deployment.ledger, 2, REFUSED)
    delivered(deployment.ledger, 3)
    retrying(deployment.ledger, 4)
    run(*REPLAY, "--since", "2h", *options, "--json")
    held = [key for key, status in statuses(world).items() if status == "held"]
    assert held == [notify_id(number) for number in expected]


def test_it_asks_first(world: World, deployment: Deployment, run: Run) -> None:
    dead(deployment.ledger, 1)
    before = world.digest()
    ran = run(*REPLAY, "--since", "2h", stdin="n\n")
    assert ran.exit_status == 1
    assert "Tell club-a 1 again? [y/N]" in ran.stderr
    assert "nothing was changed" in ran.stderr
    assert run(*REPLAY, "--since", "2h", stdin="").exit_status == 1  # nobody there to be asked
    assert world.digest() == before
    assert run(*REPLAY, "--since", "2h", stdin="y\n").exit_status == 0
    assert statuses(world) == {notify_id(1): "held"}


def test_with_yes_it_does_not_ask(world: World, run: Run, deployment: Deployment) -> None:
    dead(deployment.ledger, 1)
    ran = run(*REPLAY, "--since", "2h", "--yes")
    assert (ran.exit_status, ran.stdout.splitlines()[-1].split()) == (0, ["goes", "out", "1"])
    assert statuses(world) == {notify_id(1): "held"}


def test_nothing_found_asks_nothing_and_writes_nothing(world: World, run: Run, deployment: Deployment) -> None:
    delivered(deployment.ledger, 1)
    before = world.digest()
    ran = run(*REPLAY, "--since", "2h")
    assert (ran.exit_status, ran.stdout, ran.stderr) == (0, "", "There is none of these.\n")
    assert world.digest() == before


def test_of_a_disabled_app_it_waits(world: World, run: Run, deployment: Deployment) -> None:
    dead(deployment.ledger, 1)
    world.change_app("club-a", status="disabled")
    ran = run(*REPLAY, "--since", "2h", "--yes")
    assert ran.exit_status == 0
    assert "app club-a is disabled: what is replayed is held until it is enabled" in ran.stderr
    work_off(world)
    assert statuses(world) == {notify_id(1): "held"}


def test_attempts_under_way_are_left_alone_and_counted(world: World, run: Run, deployment: Deployment) -> None:
    key = under_way(deployment.ledger, 1)
    retrying(deployment.ledger, 2)
    before = row_of(world, key)
    ran = run(*REPLAY, "--since", "2h", "--status", "retrying", "--json")
    assert (ran.json["held"], ran.json["under_way"], ran.json["changed"]) == (1, 1, 0)
    assert row_of(world, key) == before
    text = run(*REPLAY, "--since", "2h", "--status", "retrying", "--yes").stdout
    assert "under way  1 (left alone)\n" in text


def test_what_the_index_says_is_not_believed(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is behind: two of the dead were redelivered meanwhile. One died again, one was delivered."""
    for number in (1, 2):
        dead(deployment.ledger, number)
    behind = list(deployment.ledger.listed("club-a", 0, NOW_MS))
    for number, record in ((1, deployment.ledger.record_delivered), (2, deployment.ledger.record_dead)):
        assert deployment.ledger.redeliver(notify_id(number), "club-a", 1, NOW_MS, hold=False)
        claim = deployment.ledger.claim(notify_id(number), 2, NOW_MS)
        assert claim is not None
        assert record(claim, REFUSED, NOW_MS)
    monkeypatch.setattr(deployment.ledger, "listed", lambda *_: iter(behind))
    ran = run(*REPLAY, "--since", "2h", "--json")
    assert (ran.json["held"], ran.json["under_way"], ran.json["changed"]) == (1, 0, 1)
    assert statuses(world) == {notify_id(1): "delivered", notify_id(2): "held"}


def test_one_that_expired_meanwhile_is_counted(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(deployment.ledger, 1)
    listed = list(deployment.ledger.listed("club-a", 0, NOW_MS))
    gone = [replace(listed[0], notify_id=notify_id(2))]
    monkeypatch.setattr(deployment.ledger, "listed", lambda *_: iter(gone))
    assert run(*REPLAY, "--since", "2h", "--json").json["changed"] == 1
    assert statuses(world) == {notify_id(1): "dead"}


# ------------------------------------------------------------------------------------------------- the breaker


def test_a_receiver_that_counts_as_down_is_tried_at_once(world: World, run: Run, deployment: Deployment) -> None:
    seen = Breaker("club-a")
    down = replace(seen, failures=5, openings=4, open_until_ms=NOW_MS + 8 * MINUTE_MS, held_at_ms=NOW_MS - 5000)
    assert deployment.ledger.change_breaker(seen, replace(down, look_at_ms=NOW_MS + 8 * MINUTE_MS)) is not None
    dead(deployment.ledger, 1)
    run(*REPLAY, "--since", "2h", "--json")
    breaker = deployment.ledger.breaker("club-a")
    assert not breaker.blocks(world.now_ms)
    assert (breaker.failures, breaker.openings) == (5, 4)
    assert breaker.look_at_ms <= NOW_MS + MINUTE_MS  # though every message should be lost


def test_the_breaker_says_so_before_the_first_row_and_every_ten_seconds(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        dead(deployment.ledger, number)
    plan, ages_ms = deployment.ledger.redeliver, []

    def slowly(*arguments: Any, **named: Any) -> bool:
        ages_ms.append(world.now_ms - deployment.ledger.breaker("club-a").held_at_ms)
        world.now_ms += 2500
        return plan(*arguments, **named)

    monkeypatch.setattr("settlement.redelivery.AT_ONCE", 1)
    monkeypatch.setattr("settlement.redelivery.CHUNK", 3)
    monkeypatch.setattr(deployment.ledger, "redeliver", slowly)
    assert run(*REPLAY, "--since", "2h", "--json").json["held"] == 30
    assert ages_ms[0] == 0
    assert max(ages_ms) < 20_000
    assert world.now_ms - deployment.ledger.breaker("club-a").held_at_ms <= 10_000


def test_a_breaker_that_is_being_changed_is_read_again(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(deployment.ledger, 1)
    change = deployment.ledger.change_breaker
    raced: list[Breaker | None] = []

    def late_once(seen: Breaker, changed: Breaker) -> Breaker | None:
        if not raced:
            raced.append(change(seen, replace(seen, trusted=True)))
        return change(seen, changed)

    monkeypatch.setattr(deployment.ledger, "change_breaker", late_once)
    assert run(*REPLAY, "--since", "2h", "--json").exit_status == 0
    breaker = deployment.ledger.breaker("club-a")
    assert (breaker.trusted, breaker.held_at_ms) == (True, world.now_ms)


def test_a_breaker_that_never_stands_still_ends_it_before_the_first_row(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(deployment.ledger, 1)
    monkeypatch.setattr(deployment.ledger, "change_breaker", lambda *_: None)
    ran = run(*REPLAY, "--since", "2h", "--json")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert "its breaker's row changed at every try" in ran.stderr
    assert statuses(world) == {notify_id(1): "dead"}


def test_releases_that_the_queue_does_not_take_are_left_to_the_sweep(
    world: World, run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(deployment.ledger, 1)
    monkeypatch.setattr(deployment.queue, "_url", "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    ran = run(*REPLAY, "--since", "2h", "--json")
    assert (ran.exit_status, ran.json["held"]) == (0, 1)
    assert "the sweep" in ran.stderr
    assert deployment.ledger.breaker("club-a").look_at_ms == world.now_ms + MINUTE_MS


# ------------------------------------------------------------------------------------- stopped, and gone on with


def failing_at(ledger: Ledger, call: int, failure: BaseException) -> Callable[..., bool]:
    plan, calls = ledger.redeliver, []

    def fail(*arguments: Any, **named: Any) -> bool:
        calls.append(arguments)
        if len(calls) == call:
            raise failure
        return plan(*arguments, **named)

    return fail


@pytest.mark.parametrize(
    ("failure", "exit_status", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted: 8 of 20 are done"),
        (
            ClientError({"Error": {"Code": "InternalServerError", "Message": "x"}}, "UpdateItem"),
            1,
            "stopped: An error occurred (InternalServerError)",
        ),
    ],
)
def test_an_interrupted_replay_goes_on_with_the_command_that_it_prints(
    world: World,
    run: Run,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    exit_status: int,
    told: str,
) -> None:
    monkeypatch.setattr("settlement.redelivery.CHUNK", 4)
    for number in range(20):
        dead(deployment.ledger, number, settled_ms=NOW_MS - HOUR_MS + number // 7)  # several of one moment
    with monkeypatch.context() as meddled:
        meddled.setattr(deployment.ledger, "redeliver", failing_at(deployment.ledger, 9, failure))
        ran = run(*REPLAY, "--since", "2h", "--status", "dead", "--error-class", "http_5xx", "--yes")
    assert ran.exit_status == exit_status
    assert told in ran.stderr
    arguments = command_in(ran.stderr)
    assert arguments == [
        *REPLAY, "--since", "2026-11-21T22:00:00.000Z", "--until", "2026-11-22T00:00:00.000Z",
        "--status", "dead", "--error-class", "http_5xx", "--after", f"{NOW_MS - HOUR_MS + 1}/{notify_id(7)}", "--yes",
    ]  # fmt: skip
    assert bodies(world) == [RELEASE, RELEASE]  # what was held till then goes out
    rows = {number: row_of(world, notify_id(number)) for number in range(8)}
    world.now_ms += HOUR_MS
    ran = run(*arguments, "--json")
    assert ran.exit_status == 0
    assert 0 < ran.json["matched"] <= 12
    assert set(statuses(world).values()) == {"held"}
    assert {number: row_of(world, notify_id(number)) for number in range(8)} == rows  # done once


def test_what_stands_before_the_cursor_is_left_alone(world: World, run: Run, deployment: Deployment) -> None:
    """Also of the cursor's own moment, and though it died again since."""
    for number in (5, 2, 4, 1, 3):
        dead(deployment.ledger, number)
    ran = run(*REPLAY, "--since", "2h", "--after", f"{NOW_MS - HOUR_MS}/{notify_id(3)}", "--json")
    assert ran.json["held"] == 2
    assert [key for key, status in statuses(world).items() if status == "held"] == [notify_id(4), notify_id(5)]


def test_the_command_that_goes_on_names_the_stack(
    world: World,  # noqa: ARG001
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead(deployment.ledger, 1)
    monkeypatch.setattr("settlectl.deployment.on_aws", lambda *_: deployment)
    monkeypatch.setattr(deployment.ledger, "redeliver", failing_at(deployment.ledger, 1, KeyboardInterrupt()))
    where = ["--stack-name", "prod", "--region", "eu-central-1", "--profile", "a b"]
    result = CliRunner().invoke(app, [*REPLAY, "--since", "2h", *where, "--json"])
    assert (result.exit_code, result.stdout) == (130, "")
    arguments = command_in(result.stderr)
    assert arguments[-7:] == [*where, "--json"]
    assert "--after" not in arguments  # none is done


def test_repeating_the_whole_command_does_no_harm(world: World, run: Run, deployment: Deployment) -> None:
    for number in range(3):
        dead(deployment.ledger, number)
    run(*REPLAY, "--since", "2h", "--json")
    before = world.digest()
    assert run(*REPLAY, "--since", "2h", "--json").json["matched"] == 0
    assert world.digest() == before


# ------------------------------------------------------------------------------------------------ end to end


def test_what_died_in_an_outage_is_delivered_after_it(
    world: World, run: Run, deployment: Deployment, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real doors: settled, given up, replayed, released, delivered, each once and with the same bytes."""
    monkeypatch.setenv("ALLOW_LOCAL_RECEIVERS", "true")
    world.change_app("club-a", notify_url=api.base_url)
    world.happen("create_club_order/creates", "create_club_order/creates_negative")
    world.happen("set_club_jf_settle/settles_in_full", "set_club_jf_settle/settles_negative_in_part")
    api.answer = lambda _: (410, b"")
    for key in statuses(world):
        deployment.queue.send([Message(key, "club-a", 1)])
    work_off(world)
    assert set(statuses(world).values()) == {"dead"}
    sent = sorted(received.body for received in api.received)

    api.received.clear()
    api.answer = lambda _: (200, b'{"ret_code":0}')
    world.now_ms += HOUR_MS
    assert run(*REPLAY, "--since", "1d", "--json").json["held"] == 2
    work_off(world)
    assert set(statuses(world).values()) == {"delivered"}
    assert sorted(received.body for received in api.received) == sent
    assert run("notifications", "list", "--app-id", "club-a", "--json").json["counts"]["delivered"] == 2
