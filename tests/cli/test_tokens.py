"""`settlectl token mint`."""

import time

import pytest

from settlectl.apps import create_app, set_status
from settlectl.deployment import Deployment
from settlectl.failures import BadInput
from settlectl.tokens import seconds_of
from settlement.clock import now_ms
from settlement.tokens import authenticate_club, authenticate_operator

from .conftest import Run
from .test_apps import new_id
from .test_help import commands_named_in


def test_the_token_is_one_that_the_api_takes_with_these_scopes(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    create_app(deployment, app_id, ["club"])
    ran = run(
        "token", "mint", "--app-id", app_id, "--scope", "orders:write", "--scope", "settlements:read",
        "--scope", "orders:write", "--ttl", "2h", "--json",
    )  # fmt: skip
    assert ran.exit_status == 0
    assert ran.json.keys() == {"token", "expires_at"}
    assert 7190 < ran.json["expires_at"] - time.time() <= 7200
    caller = authenticate_club(ran.json["token"], deployment.apps, deployment.keyring, now_ms())
    assert caller.app.app_id == app_id
    assert caller.scopes == {"orders:write", "settlements:read"}


def test_without_json_stdout_is_the_token_alone_for_thirty_days(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    create_app(deployment, app_id, ["club"])
    ran = run("token", "mint", "--app-id", app_id, "--scope", "settlements:read")
    later_ms = now_ms() + 29 * 86_400_000
    caller = authenticate_club(ran.stdout.strip(), deployment.apps, deployment.keyring, later_ms)
    assert caller.app.app_id == app_id
    assert commands_named_in(ran.stderr) == [["app", "disable"]]


def test_a_token_that_the_api_would_refuse_comes_with_a_warning(run: Run, deployment: Deployment) -> None:
    app_id = new_id()
    create_app(deployment, app_id, ["merchant"])
    set_status(deployment, app_id, "disabled")
    ran = run("token", "mint", "--app-id", app_id, "--scope", "orders:write", "--json")
    assert ran.exit_status == 0
    assert "role club" in ran.stderr
    assert "disabled" in ran.stderr
    assert ran.json["token"]


@pytest.mark.parametrize("ttl", ["", "0s", "91d", "7776001s", "1w", "1.5h", "-1d", "1 d", "01d", "٣d"])
def test_a_lifetime_is_a_whole_number_of_a_unit_up_to_ninety_days(run: Run, deployment: Deployment, ttl: str) -> None:
    app_id = new_id()
    create_app(deployment, app_id, ["club"])
    ran = run("token", "mint", "--app-id", app_id, "--scope", "orders:write", "--ttl", ttl)
    assert (ran.exit_status, ran.stdout) == (2, "")


@pytest.mark.parametrize(("ttl", "seconds"), [("1s", 1), ("15m", 900), ("12h", 43_200), ("90d", 7_776_000)])
def test_units(ttl: str, seconds: int) -> None:
    assert seconds_of(ttl) == seconds


def test_unknown_scopes_and_apps_are_told_apart(run: Run) -> None:
    assert run("token", "mint", "--app-id", "nobody", "--scope", "ops").exit_status == 2
    ran = run("token", "mint", "--app-id", "nobody", "--scope", "orders:write")
    assert (ran.exit_status, ran.stderr) == (1, "error: there is no app nobody\n")


def test_bad_units_raise_before_anything_is_asked() -> None:
    with pytest.raises(BadInput):
        seconds_of("forever")


# ----------------------------------------------------------------------------------------------------- operators


def test_an_operators_token_opens_the_console_for_twelve_hours_and_reads(run: Run, deployment: Deployment) -> None:
    ran = run("token", "mint", "--operator", "ada", "--json")
    assert ran.exit_status == 0
    assert ran.json.keys() == {"token", "expires_at"}
    assert 43_190 < ran.json["expires_at"] - time.time() <= 43_200
    operator = authenticate_operator(ran.json["token"], deployment.keyring, now_ms())
    assert (operator.name, operator.scopes) == ("ada", frozenset({"ops"}))
    assert operator.expires_at_seconds == ran.json["expires_at"]


def test_with_write_it_writes_too(run: Run, deployment: Deployment) -> None:
    ran = run("token", "mint", "--operator", "ada", "--write", "--ttl", "90d")
    operator = authenticate_operator(ran.stdout.strip(), deployment.keyring, now_ms())
    assert operator.scopes == {"ops", "ops:write"}
    assert "every operator's token" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--operator", "ada", "--app-id", "club-a"),
        ("--operator", "ada", "--scope", "orders:write"),
        ("--operator", ""),
        ("--operator", "a b"),
        ("--operator", "ada", "--ttl", "91d"),
        ("--operator", "ada", "--ttl", ""),
        ("--app-id", "club-a"),
        ("--app-id", "club-a", "--scope", "orders:write", "--write"),
        ("--app-id", "club-a", "--scope", "ops"),
    ],
)
def test_whose_token_it_is_is_said_once_and_rightly(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run("token", "mint", *arguments)
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert ran.stderr
