"""`settlectl app rotate-secret`, `activate-secret`, `retire-secret`."""

import copy

import pytest

from settlectl.apps import create_app
from settlectl.deployment import Deployment
from settlectl.failures import BadInput, CommandFailed, NoSuchApp
from settlectl.rotation import activate_secret, retire_secret, rotate_secret
from settlement.apps import AppContended, AppRegistry, SecretVersion
from settlement.signing import directory_signature, webhook_library_secret

from .conftest import Run
from .test_apps import new_id
from .test_help import commands_named_in

NOW_MS = 1_795_305_600_123  # 2026-11-22 00:00:00 UTC, and a bit
HOUR_MS = 3_600_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The operator's, in ms."""
    time = [NOW_MS]
    for module in ("apps", "rotation"):
        monkeypatch.setattr(f"settlectl.{module}.now_ms", lambda: time[0])
    return time


@pytest.fixture
def app_id(deployment: Deployment, clock: list[int]) -> str:  # noqa: ARG001  # it stands still from here on
    made = create_app(deployment, new_id(), ["merchant"])
    return made.app.app_id


def one_version(version: int) -> list[dict[str, object]]:
    return [{"version": version, "state": "signs", "retires_at_ms": None}]


def test_the_three_steps_as_json(run: Run, deployment: Deployment, app_id: str, clock: list[int]) -> None:
    made = run("app", "rotate-secret", "--app-id", app_id, "--json")
    secret = deployment.keyring.app_secret(app_id, 2, 1)
    assert made.exit_status == 0
    assert made.json == {
        "app_id": app_id,
        "secret": secret,
        "secret_version": 2,
        "webhook_secret": webhook_library_secret(secret),
        "directory_url": f"{deployment.base_url}/asc/{directory_signature(secret, app_id)}",
        "signing_version": 1,
    }
    shown = run("app", "show", "--app-id", app_id, "--json").json
    assert (shown["signing_version"], shown["secret_versions"]) == (
        1,
        [
            {"version": 1, "state": "signs", "retires_at_ms": None},
            {"version": 2, "state": "accepted", "retires_at_ms": None},
        ],
    )

    activated = run("app", "activate-secret", "--app-id", app_id, "--json")
    overlapping = {
        "app_id": app_id,
        "secret_versions": [
            {"version": 1, "state": "accepted", "retires_at_ms": NOW_MS + 24 * HOUR_MS},
            {"version": 2, "state": "signs", "retires_at_ms": None},
        ],
        "signing_version": 2,
    }
    assert (activated.exit_status, activated.json) == (0, overlapping)
    clock[0] += HOUR_MS
    assert run("app", "activate-secret", "--app-id", app_id, "--json").json == overlapping

    retired = run("app", "retire-secret", "--app-id", app_id, "--json")
    left = {"app_id": app_id, "secret_versions": one_version(2), "signing_version": 2}
    assert (retired.exit_status, retired.json) == (0, left)
    assert deployment.app(app_id).secret_versions == (SecretVersion(2, 1),)
    for ran in (made, activated, retired):
        assert "30 s" in ran.stderr
        assert secret not in ran.stderr
    for ran in (activated, retired):
        assert secret not in ran.stdout


def test_the_three_steps_for_people(run: Run, deployment: Deployment, app_id: str, clock: list[int]) -> None:
    def shown() -> str:
        [line] = [
            line
            for line in run("app", "show", "--app-id", app_id).stdout.splitlines()
            if line.startswith("secret versions")
        ]
        return " ".join(line.split()[2:])

    assert shown() == "1 signs"
    made = run("app", "rotate-secret", "--app-id", app_id)
    secret = deployment.keyring.app_secret(app_id, 2, 1)
    lines = [line.split() for line in made.stdout.splitlines()]
    assert ["secret", secret] in lines
    assert ["webhook", "secret", webhook_library_secret(secret)] in lines
    assert ["signs", "with", "version", "1"] in lines
    assert "cannot be shown again" in made.stderr
    assert commands_named_in(made.stderr) == [["app", "activate-secret"]]
    assert shown() == "2 accepted, 1 signs"
    activated = run("app", "activate-secret", "--app-id", app_id)
    assert "Tokens" not in activated.stderr  # it has none: it is a merchant
    assert shown() == "2 signs, 1 accepted until 2026-11-23 00:00:00 UTC"
    assert shown() in activated.stdout
    clock[0] += 24 * HOUR_MS
    assert shown() == "2 signs, 1 ended at 2026-11-23 00:00:00 UTC"


def test_a_clubs_operator_is_told_of_its_tokens(run: Run, deployment: Deployment) -> None:
    club = create_app(deployment, new_id(), ["club"]).app.app_id
    run("app", "rotate-secret", "--app-id", club)
    assert "Tokens that the old secret signed" in run("app", "activate-secret", "--app-id", club, "--json").stderr


def test_the_secret_is_shown_once(run: Run, deployment: Deployment, app_id: str) -> None:
    run("app", "rotate-secret", "--app-id", app_id)
    secrets = [deployment.keyring.app_secret(app_id, version, 1) for version in (1, 2)]
    for command in ("rotate-secret", "show", "activate-secret", "activate-secret", "retire-secret", "list"):
        for as_json in ([], ["--json"]):
            ran = run("app", command, *([] if command == "list" else ["--app-id", app_id]), *as_json)
            assert not [secret for secret in secrets if secret in ran.stdout + ran.stderr]


@pytest.mark.parametrize(
    ("before", "command", "says"),
    [
        ([], ["retire-secret"], "only version 1 of its secret is in use: rotate first"),
        ([], ["retire-secret", "--now"], "only version 1 of its secret is in use: rotate first"),
        ([], ["activate-secret"], "only version 1 of its secret is in use: rotate first"),
        (
            [],
            ["rotate-secret", "--again"],
            "only version 1 of its secret is in use, and the newest signs: there is none to replace",
        ),
        (
            ["rotate-secret"],
            ["rotate-secret"],
            "versions 1 and 2 of its secret are in use: first activate the newest, then retire the older",
        ),
        (["rotate-secret"], ["retire-secret"], "version 2 does not sign yet: activate it first"),
        (
            ["rotate-secret", "activate-secret"],
            ["rotate-secret"],
            "versions 1 and 2 of its secret are in use: first retire the older",
        ),
    ],
)
def test_a_refused_step_is_one_line_and_changes_nothing(
    run: Run, deployment: Deployment, app_id: str, before: list[str], command: list[str], says: str
) -> None:
    for done in before:
        assert run("app", done, "--app-id", app_id).exit_status == 0
    stored = deployment.app(app_id)
    ran = run("app", *command, "--app-id", app_id, "--json")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert ran.stderr == f"error: app {app_id}: {says}; nothing was changed\n"
    assert deployment.app(app_id) == stored


def test_an_emergency_leaves_the_newest_alone_whatever_the_step(run: Run, deployment: Deployment, app_id: str) -> None:
    for version, steps in ((2, ["rotate-secret"]), (3, ["rotate-secret", "activate-secret"])):
        for step in steps:
            run("app", step, "--app-id", app_id)
        ran = run("app", "retire-secret", "--now", "--app-id", app_id, "--json")
        assert (ran.exit_status, ran.json["secret_versions"]) == (0, one_version(version))
        assert ran.json["signing_version"] == deployment.app(app_id).signing_version == version


def test_a_new_secret_that_was_lost_is_replaced_and_the_old_one_signs_on(
    run: Run, deployment: Deployment, app_id: str
) -> None:
    run("app", "rotate-secret", "--app-id", app_id)
    ran = run("app", "rotate-secret", "--again", "--app-id", app_id, "--json")
    assert (ran.json["secret_version"], ran.json["signing_version"]) == (3, 1)
    assert ran.json["secret"] == deployment.keyring.app_secret(app_id, 3, 1)
    assert deployment.app(app_id).secret_versions == (SecretVersion(1, 1), SecretVersion(3, 1))


@pytest.mark.parametrize(("overlap", "hours"), [("1h", 1), ("3600s", 1), ("30d", 720)])
def test_an_overlap_is_counted_from_now_each_time_it_is_given(
    run: Run, app_id: str, clock: list[int], overlap: str, hours: int
) -> None:
    run("app", "rotate-secret", "--app-id", app_id)
    for _ in range(2):
        clock[0] += 5
        ran = run("app", "activate-secret", "--app-id", app_id, "--overlap", overlap, "--json")
        assert ran.json["secret_versions"][0]["retires_at_ms"] == clock[0] + hours * HOUR_MS


@pytest.mark.parametrize("overlap", ["", "0s", "31d", "2592001s", "1w", "1.5h", "-1d", "forever"])
def test_an_overlap_that_cannot_be_right_is_wrong_usage(
    run: Run, deployment: Deployment, app_id: str, overlap: str
) -> None:
    run("app", "rotate-secret", "--app-id", app_id)
    stored = deployment.app(app_id)
    ran = run("app", "activate-secret", "--app-id", app_id, "--overlap", overlap, "--json")
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert "--overlap" in ran.stderr
    assert deployment.app(app_id) == stored


@pytest.mark.parametrize("command", ["rotate-secret", "activate-secret", "retire-secret"])
def test_an_unknown_app_is_a_failure_and_a_malformed_id_wrong_usage(
    run: Run, deployment: Deployment, command: str
) -> None:
    ran = run("app", command, "--app-id", "nobody")
    assert (ran.exit_status, ran.stdout, ran.stderr) == (1, "", "error: there is no app nobody\n")
    assert deployment.apps.read("nobody") is None
    assert run("app", command, "--app-id", "no body").exit_status == 2


def test_a_row_that_others_keep_changing_is_a_failure_of_one_line(
    run: Run, app_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contended(*_: object) -> None:
        raise AppContended(app_id)

    monkeypatch.setattr(AppRegistry, "change_secrets", contended)
    ran = run("app", "rotate-secret", "--app-id", app_id)
    assert (ran.exit_status, ran.stderr.count("\n")) == (1, 1)
    assert "try again" in ran.stderr


def test_a_new_secret_is_of_the_masters_newest_generation(deployment: Deployment, app_id: str) -> None:
    client = deployment.session.client("secretsmanager")
    [first] = [client.get_secret_value(SecretId=deployment.master_secret_id)["SecretString"]]
    client.put_secret_value(SecretId=deployment.master_secret_id, SecretString=first[:-1] + ', "2": "second"}')
    try:
        later = copy.replace(deployment)  # with a keyring that has read nothing
        made = rotate_secret(later, app_id)
        assert made.app.secret_versions == (SecretVersion(1, 1), SecretVersion(2, 2))
        assert made.secret == later.keyring.app_secret(app_id, 2, 2)
    finally:
        client.put_secret_value(SecretId=deployment.master_secret_id, SecretString=first)


def test_from_python_a_refusal_raises(deployment: Deployment, app_id: str) -> None:
    with pytest.raises(NoSuchApp):
        rotate_secret(deployment, "nobody")
    with pytest.raises(BadInput):
        activate_secret(deployment, app_id, 0)
    with pytest.raises(CommandFailed, match="rotate first"):
        retire_secret(deployment, app_id)
