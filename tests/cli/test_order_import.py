"""`settlectl order import`."""

import json
import threading
import time
from collections import Counter
from copy import replace
from pathlib import Path

import pytest

from settlectl.apps import create_app, set_status
from settlectl.deployment import Deployment
from settlectl.failures import CommandFailed, Interrupted
from settlectl.order_import import (
    TOKEN_RESERVE_SECONDS,
    Bearer,
    Listener,
    Tally,
    import_orders,
    rejected_path,
    state_path,
)
from settlement.clock import now_ms
from settlement.tokens import authenticate_club

from .api import CONFLICT, OK, THROTTLED, Api, Received, Reply
from .conftest import Run
from .test_apps import new_id

HEADER = "bill_no,openid,amt,source,jf_gid,detail\n"
NO_WAIT = (0.0, 0.0, 0.0)


@pytest.fixture
def club(deployment: Deployment) -> str:
    return create_app(deployment, new_id(), ["club"]).app.app_id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "".join(f"b{i},u,5,1,7,x\n" for i in range(100)), encoding="utf-8")
    return path


def bills(api: Api) -> list[str]:
    return [received.json["bill_no"] for received in api.received]


def test_every_row_is_sent_once_with_a_token_that_may(
    run: Run, api: Api, deployment: Deployment, club: str, file: Path
) -> None:
    ran = run("order", "import", str(file), "--app-id", club, "--json")
    assert ran.exit_status == 0
    assert ran.json == {
        "rows": 100,
        "accepted": 100,
        "conflicts": 0,
        "refused": 0,
        "invalid": 0,
        "rejected_file": None,
        "finished": True,
    }
    assert sorted(bills(api)) == sorted(f"b{i}" for i in range(100))
    sent = api.received[0]
    assert sent.path == "/live/upbot/api/CreateClubJfOrder"
    caller = authenticate_club(sent.headers["authorization"], deployment.apps, deployment.keyring, now_ms())
    assert caller.scopes == {"orders:write"}
    assert [path.name for path in file.parent.iterdir()] == ["orders.csv"]


def test_conflicts_are_listed_with_their_lines_and_kept(run: Run, api: Api, club: str, file: Path) -> None:
    api.answer = lambda received: CONFLICT if received.json["bill_no"] in ("b3", "b7") else OK
    ran = run("order", "import", str(file), "--app-id", club, "--json")
    assert ran.exit_status == 1
    assert (ran.json["accepted"], ran.json["conflicts"]) == (98, 2)
    assert "line 5: conflict: amt: differs" in ran.stderr
    rejected = [json.loads(line) for line in Path(ran.json["rejected_file"]).read_text().splitlines()]
    assert [(row["line"], row["ret"], row["order"]["bill_no"]) for row in rejected] == [
        (5, 1005, "b3"),
        (9, 1005, "b7"),
    ]
    assert rejected[0]["text"] == "b3,u,5,1,7,x"
    assert not state_path(file).exists()


def test_one_faulty_row_and_nothing_is_sent(run: Run, api: Api, club: str, file: Path) -> None:
    with file.open("a") as more:
        more.write("b200,u,5.0,1,7,x\nb201,u,5,1,7,x\n")
    ran = run("order", "import", str(file), "--app-id", club, "--json")
    assert ran.exit_status == 1
    assert "line 102: amt: '5.0' is not a plain integer" in ran.stderr
    assert (ran.json["invalid"], ran.json["accepted"], ran.json["finished"]) == (1, 0, False)
    assert api.received == []

    ran = run("order", "import", str(file), "--app-id", club, "--json", "--keep-going")
    assert ran.exit_status == 1
    assert (ran.json["invalid"], ran.json["accepted"], ran.json["finished"]) == (1, 101, True)
    assert "b200" not in bills(api)
    (rejected,) = map(json.loads, rejected_path(file).read_text().splitlines())
    assert (rejected["kind"], rejected["line"], rejected["order"]) == ("invalid", 102, None)
    assert rejected["text"] == "b200,u,5.0,1,7,x"


def test_a_file_with_many_faults_is_refused_with_every_one_of_them(run: Run, api: Api, club: str, file: Path) -> None:
    with file.open("a") as more:
        more.writelines(f"c{i},u,5.0,1,7,x\n" for i in range(30))
    ran = run("order", "import", str(file), "--app-id", club)
    assert ran.exit_status == 1
    assert [line for line in ran.stderr.splitlines() if line.startswith("warning: ")] == [
        f"warning: line {line}: amt: '5.0' is not a plain integer" for line in range(102, 132)
    ]
    assert api.received == []
    assert not rejected_path(file).exists()


def test_throttled_and_failed_calls_are_tried_again(api: Api, deployment: Deployment, club: str, file: Path) -> None:
    tries: Counter[str] = Counter()
    troubles: list[Reply] = [THROTTLED, (500, b""), (504, b"<html>"), OK]

    def answer(received: Received) -> Reply:
        with api.lock:
            tries[received.json["bill_no"]] += 1
            return troubles[tries[received.json["bill_no"]] - 1]

    api.answer = answer
    tally = import_orders(deployment, club, file, 100, retry_seconds=NO_WAIT)
    assert tally == Tally(100, accepted=100)
    assert set(tries.values()) == {4}


def test_what_stays_down_stops_it_and_the_next_run_goes_on_from_there(
    api: Api, deployment: Deployment, club: str, file: Path
) -> None:
    api.answer = lambda r: (503, b"") if r.json["bill_no"] == "b50" else CONFLICT if r.json["bill_no"] == "b2" else OK
    with pytest.raises(CommandFailed, match=r"stopped at line 52: HTTP 503\. 50 of 100 rows are done"):
        import_orders(deployment, club, file, 100, concurrency=2, retry_seconds=NO_WAIT)
    assert json.loads(state_path(file).read_text())["done_through_line"] == 51
    # A crash may leave rows behind the last saved state.
    with rejected_path(file).open("a") as rejected:
        rejected.write('{"line": 52}\n')

    api.received.clear()
    api.answer = lambda _: OK
    resumed: list[int] = []
    tally = import_orders(deployment, club, file, 100, listener=Listener(resumed=resumed.append))
    assert tally == Tally(100, accepted=99, conflicts=1)
    assert resumed == [51]
    assert sorted(bills(api)) == sorted(f"b{i}" for i in range(50, 100))
    assert [json.loads(line)["line"] for line in rejected_path(file).read_text().splitlines()] == [4]


@pytest.mark.parametrize("change", ["file", "app", "deployment"])
def test_a_state_of_another_file_app_or_deployment_is_not_gone_on_from(
    api: Api, deployment: Deployment, club: str, file: Path, change: str
) -> None:
    api.answer = lambda received: (503, b"") if received.json["bill_no"] == "b50" else OK
    with pytest.raises(CommandFailed):
        import_orders(deployment, club, file, 100, retry_seconds=NO_WAIT)
    api.answer = lambda _: OK
    api.received.clear()
    app_id, rows = club, 100
    match change:
        case "file":
            with file.open("a") as more:
                more.write("b100,u,5,1,7,x\n")
            rows = 101
        case "app":
            app_id = create_app(deployment, new_id(), ["club"]).app.app_id
        case _:
            state = json.loads(state_path(file).read_text())
            state_path(file).write_text(json.dumps(state | {"base_url": "elsewhere"}))
    assert import_orders(deployment, app_id, file, rows).accepted == rows
    assert len(api.received) == rows


def test_ctrl_c_leaves_a_state_to_go_on_from(api: Api, deployment: Deployment, club: str, file: Path) -> None:
    def interrupt(tally: Tally) -> None:
        if tally.done == 30:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="30 of 100 rows are done"):
        import_orders(deployment, club, file, 100, concurrency=3, listener=Listener(progressed=interrupt))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("import")]
    api.received.clear()
    assert import_orders(deployment, club, file, 100) == Tally(100, accepted=100)
    assert sorted(bills(api)) == sorted(f"b{i}" for i in range(30, 100))


def test_a_refused_token_stops_it_at_once(api: Api, deployment: Deployment, club: str, file: Path) -> None:
    api.answer = lambda _: (401, b'{"ret":1002,"msg":"x"}')
    with pytest.raises(CommandFailed, match="HTTP 401, ret 1002"):
        import_orders(deployment, club, file, 100, concurrency=1)
    assert len(api.received) < 10


def test_an_app_that_may_not_create_orders_sends_nothing(
    run: Run, api: Api, deployment: Deployment, file: Path
) -> None:
    merchant = create_app(deployment, new_id(), ["merchant"]).app.app_id
    disabled = create_app(deployment, new_id(), ["club"]).app.app_id
    set_status(deployment, disabled, "disabled")
    for app_id, why in ((merchant, "role club"), (disabled, "disabled"), ("nobody", "no app nobody")):
        ran = run("order", "import", str(file), "--app-id", app_id)
        assert ran.exit_status == 1
        assert why in ran.stderr
    assert api.received == []


def test_the_token_is_renewed_before_it_ends(deployment: Deployment, club: str) -> None:
    bearer = Bearer(deployment, club)
    bearer.header()
    fresh = bearer._token
    bearer._token = replace(fresh, expires_at=int(time.time()) + TOKEN_RESERVE_SECONDS - 1)
    bearer.header()
    assert bearer._token.expires_at >= fresh.expires_at


def test_a_missing_file_is_wrong_usage(run: Run, club: str, tmp_path: Path) -> None:
    assert run("order", "import", str(tmp_path / "none.csv"), "--app-id", club).exit_status == 2
