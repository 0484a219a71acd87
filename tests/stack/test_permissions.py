"""Least privilege: each function may do exactly what it does.

Nothing too much: the verbs that the template allows are the verbs that the functions were seen to use, in this process.
Nothing too little: each verb that is taken away from a deployed role makes the function fail; giving it back mends it.
What SAM itself grants - logs, traces, reading the stream and the queue, the stream's dead-letter queue - is not judged.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any
from unittest.mock import patch

import pytest

from settlement import bookkeeper, clients
from settlement.bookkeeper import VERIFIED_AFTER_MS
from settlement.breaker import Breaker
from settlement.callers import OPERATOR_SCOPES
from settlement.ledger import SWEEP_GRACE_MS, Attempt, Ledger, Notification
from settlement.queue import MAX_RECEIVES
from settlement.sender import Sender
from settlement.signing import directory_signature
from settlement.statements import Day
from settlement.tokens import mint_operator
from settlepoint_local import in_process
from settlepoint_local.lambda_events import sqs_event, stream_event
from settlepoint_local.situations import SITUATIONS
from settlepoint_local.template import functions, permissions

from .receiver import Receiver
from .system import FunctionFailed, System, until
from .wire import Answer, send

type Grant = tuple[str, str]
"""A verb, such as dynamodb:GetItem, and the resource's logical name, with /index/... where it is one."""


def allowed(folder: str) -> set[Grant]:
    return {
        (action, resource)
        for permission in permissions(folder)
        for action in permission.actions
        for resource in permission.resources
    }


# ---------------------------------------------------------------------------------------------- nothing too much


def used(service: str, operation: str, params: dict[str, Any]) -> Iterator[Grant]:
    """The permissions that a call needs, as AWS asks for them."""
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            for item in params["TransactItems"]:
                [(kind, write)] = item.items()
                yield f"dynamodb:{kind}Item", write["TableName"]  # Put, Update, Delete, ConditionCheck
        case "dynamodb", "BatchGetItem":
            for table in params["RequestItems"]:
                yield "dynamodb:BatchGetItem", table
        case "dynamodb", _:
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield f"dynamodb:{operation}", params["TableName"] + index
        case "s3", "ListObjectsV2":
            yield "s3:ListBucket", "StatementBucket"
        case "s3", _:
            action = {"HeadObject": "GetObject"}.get(operation, operation)
            yield f"s3:{action}", f"StatementBucket/{params['Key']}"
        case "sqs", _:
            yield f"sqs:{operation.removesuffix('Batch')}", params["QueueUrl"].rsplit("/", 1)[1]
        case _:
            assert params["SecretId"] == in_process.MASTER_SECRET_ID
            yield f"{service}:{operation}", "MasterSecret"


def no_such_name(_: str, __: int) -> list[str]:
    return []


def hold_one(ledger: Ledger, app_id: str, now_ms: int) -> None:
    """One notification of an app whose receiver is trusted."""
    notify_id = hashlib.sha256(app_id.encode()).hexdigest()
    assert ledger.add_held(Notification(notify_id, app_id, "x", now_ms, "{}"), now_ms)
    trusted = Breaker(app_id, trusted=True)
    assert ledger.change_breaker(trusted, trusted.holding(now_ms, now_ms))


@pytest.fixture(scope="module")
def used_grants(aws: None) -> dict[str, set[Grant]]:  # noqa: ARG001  # what is watched
    """What each function was seen to need, over every event of events/."""
    seen: dict[str, set[Grant]] = {folder: set() for folder in ("before it", *functions())}
    calling = ""

    def record(model: Any, params: dict[str, Any], **_: Any) -> None:
        seen[calling].update(used(model.service_model.service_name, model.name, params))

    services: list[Any] = [clients.dynamodb(), clients.sqs(), clients.s3(), clients.secrets_manager()]
    for client in services:
        client.meta.events.register("provide-client-params.*.*", record)
    for situation in SITUATIONS.values():
        with in_process.world() as world:
            for earlier in situation.after:
                calling = SITUATIONS[earlier].folder
                world.happen(earlier)
            if situation.key == "deliver_notification/release":
                calling = "before it"
                hold_one(Ledger(clients.dynamodb(), "NotificationTable"), "club-a", world.now_ms)
            calling = situation.folder
            if calling == "deliver_notification":  # the first attempt fails, so that a second is planned
                door: Any = world.function(calling)
                sender = Sender(allow_local=False, resolve=no_such_name)
                door.courier = replace(door.courier, send=sender.send)
            if calling == "requeue_notifications":
                world.now_ms += 2 * SWEEP_GRACE_MS
            with suppress(TypeError, KeyError):  # what the poisoned stream batch raises
                world.invoke(situation.folder, situation.event(world.scene))
            if calling == "write_statements":  # a day later it looks at what it made
                world.now_ms += VERIFIED_AFTER_MS
                with patch.object(bookkeeper, "CAUGHT_UP_DAYS", 2):
                    world.invoke(situation.folder, situation.event(world.scene))
    return seen


@pytest.mark.parametrize("folder", functions())
def test_a_function_uses_each_verb_that_it_is_allowed_and_no_other(
    used_grants: dict[str, set[Grant]], folder: str
) -> None:
    assert {as_granted(grant, folder) for grant in used_grants[folder]} == allowed(folder)


def as_granted(grant: Grant, folder: str) -> Grant:
    """The pattern that allows the use of a file, such as StatementBucket/club/*; anything else as it is."""
    action, resource = grant
    patterns = [pattern for allowed_action, pattern in allowed(folder) if allowed_action == action]
    return action, next((pattern for pattern in patterns if fnmatchcase(resource, pattern)), resource)


# -------------------------------------------------------------------------------------------- nothing too little


def succeeded(answer: Answer) -> bool:
    """Whether a call of an API did; what is our fault must be the envelope of our fault and nothing more."""
    if answer.status == 200:
        assert answer.json.get("ret", answer.json.get("ret_code", 0)) == 0, answer.body.decode()
        return True
    club, game = '{"ret":1500,"msg":"系统繁忙，请稍后再试"}', '{"ret_code":10001,"ret_msg":"服务异常"}'
    assert answer.status == 500
    assert answer.body.decode() in (club, game)
    assert answer.content_type == "application/json"
    return False


def all_succeeded(*answers: Answer) -> bool:
    return min(map(succeeded, answers))  # looks at each of them


def creates_a_club_order_twice(system: System, _: Receiver) -> bool:
    club, order = system.club(), system.club_order()
    return all_succeeded(club.create(order), club.create(order))


def settles_a_club_order(system: System, receiver: Receiver) -> bool:
    app = system.app("club", notify_url=receiver.url)
    order = system.club_order()
    system.stored_club_order(app, order)
    return succeeded(system.club_of(app).settle(order))


def lists_with_and_without_a_source(system: System, _: Receiver) -> bool:
    club, openid = system.club(), system.confidential("openid")
    return all_succeeded(club.page(openid), club.page(openid, source=5))


def creates_an_order_twice(system: System, _: Receiver) -> bool:
    merchant, order = system.merchant(), system.game_order()
    return all_succeeded(merchant.create(order), merchant.create(order))


def queries_an_order(system: System, _: Receiver) -> bool:
    app, order = system.app("merchant"), system.game_order()
    system.stored_game_order(app, order)
    return succeeded(system.sud_party(app).query(out_order_id=order["out_order_id"]))


def queries_a_settlement(system: System, _: Receiver) -> bool:
    app, order = system.app("merchant"), system.game_order()
    system.stored_game_order(app, order, settled=True)
    return succeeded(system.sud_party(app).query_settle(out_order_id=order["out_order_id"]))


def reports(system: System, receiver: Receiver) -> bool:
    app, order = system.app("merchant", notify_url=receiver.url), system.game_order()
    system.stored_game_order(app, order)
    merchant = system.sud_party(app)
    return succeeded(system.game_server(merchant, "mg-1").report(system.report(merchant, order["out_order_id"])))


def tells_the_directory(system: System, _: Receiver) -> bool:
    merchant = system.merchant()
    path = f"/asc/{directory_signature(merchant.secret, merchant.app_id)}"
    return succeeded(send(system.base_url + path, None, {}, "GET"))


def queues_a_new_notification(system: System, _: Receiver) -> bool:
    texts = {"notify_id": "0" * 64, "notify_event": "x", "app_id": "x", "status": "pending"}
    row: dict[str, Any] = {name: {"S": text} for name, text in texts.items()} | {"attempt_count": {"N": "0"}}
    event = stream_event([("INSERT", {"notify_id": row["notify_id"]}, row)], system.now_ms())
    try:
        system.invoke("QueueNotificationsFunction", event)
    except FunctionFailed:
        return False
    return True


def delivers_at_the_second_attempt(system: System, receiver: Receiver) -> bool:
    """The queue brings the second one 3 s after the first, a minute before the sweep would."""
    receiver.answers = [(500, b"")]
    app = system.app("club", notify_url=receiver.url)
    system.settled_order(app, system.now_ms())
    body = json.dumps({"notify_id": system.ledger(app.app_id)[0]["notify_id"], "attempt": 1})
    if system.invoke("DeliverNotificationFunction", sqs_event([body], system.now_ms()))["batchItemFailures"]:
        return False
    try:
        system.wait_for_status(app.app_id, "delivered", 8.0)
    except AssertionError:
        return False
    return True


def releases_one(system: System, receiver: Receiver) -> bool:
    app = system.app("club", notify_url=receiver.url)
    hold_one(Ledger(system.dynamodb, system.stack.tables["NotificationTable"]), app.app_id, system.now_ms())
    body = json.dumps({"release": app.app_id, "pace": 1})
    if system.invoke("DeliverNotificationFunction", sqs_event([body], system.now_ms()))["batchItemFailures"]:
        return False
    try:
        system.wait_for_status(app.app_id, "delivered", 8.0)
    except AssertionError:
        return False
    return True


def buries_a_poisoned_message(system: System) -> bool:
    event = sqs_event(["{"], system.now_ms(), receives=MAX_RECEIVES)
    if system.invoke("DeliverNotificationFunction", event)["batchItemFailures"]:
        return False
    [buried] = system.take_dead_letters()
    return bool(buried["Body"] == "{") and buried["MessageAttributes"]["cause"]["StringValue"].startswith(
        "JSONDecodeError in "
    )


def delivers_releases_and_buries(system: System, receiver: Receiver) -> bool:
    delivered = releases_one(system, receiver) and delivers_at_the_second_attempt(system, receiver)
    return delivered and buries_a_poisoned_message(system)


def sweeps_what_is_due(system: System, receiver: Receiver) -> bool:
    system.settled_order(system.app("club", notify_url=receiver.url), system.now_ms() - 2 * SWEEP_GRACE_MS)
    try:
        system.invoke("RequeueNotificationsFunction", {})
    except FunctionFailed:
        return False
    return True


def tells_where_a_clubs_statement_is(system: System, _: Receiver) -> bool:
    club = system.club()
    system.stack.deployment().bookkeeper.make(club.app_id, "club", OLD_DAY)
    answer = club.call("GetClubJfStatement", {"day": str(OLD_DAY)})
    return succeeded(answer) and is_downloaded(answer)


def tells_where_a_merchants_statement_is(system: System, _: Receiver) -> bool:
    merchant = system.merchant()
    system.stack.deployment().bookkeeper.make(merchant.app_id, "game", OLD_DAY)
    answer = merchant.call("/v1/app/server/get_statement", {"day": str(OLD_DAY)})
    return succeeded(answer) and is_downloaded(answer)


def is_downloaded(answer: Answer) -> bool:
    """By its link, which has no more rights than the function that signed it."""
    downloaded = send(answer.data["url"], None, {}, "GET")
    return downloaded.status == 200 and hashlib.sha256(downloaded.body).hexdigest() == answer.data["sha256"]


def makes_and_verifies_statements(system: System, _: Receiver) -> bool:
    """Of an app that is two days old and of which one day is there: the other is made, that one is looked at."""
    app = replace(system.app("club"), app_id=system.unique("old-club"))
    app = replace(app, created_at_ms=app.created_at_ms - 2 * VERIFIED_AFTER_MS)
    system.registry.create(app, system.keyring)
    deployment = system.stack.deployment()
    old = Day.of(app.created_at_ms, deployment.statement_utc_offset_minutes)
    deployment.bookkeeper.make(app.app_id, "club", old)
    try:
        system.invoke("WriteStatementsFunction", {})
    except FunctionFailed:
        return False
    shelves = deployment.archive.shelves("club", app.app_id, old.date, old.date + timedelta(days=9))
    return len(shelves) > 1 and shelves[old.date].verified


OLD_DAY = Day(date(2020, 2, 29), 480)


def asks(system: System, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """What the console answers an operator; None where it is our fault, of which nothing more is told."""
    token = mint_operator("ada", system.keyring, list(OPERATOR_SCOPES), system.now_ms() // 1000, 600)
    system.known_secrets.append(token)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    answer = send(f"{system.base_url}/console/api/{path}", json.dumps(body).encode(), headers)
    if answer.status == 200:
        return answer.json
    fault = {"error": {"code": "fault", "message": "Something of ours failed; repeating it is safe."}}
    assert (answer.status, answer.json) == (500, fault), answer.body.decode()
    return None


def operates(system: System, receiver: Receiver) -> bool:
    """Looks at everything once; tells one dead notification again; rotates a secret from its first step to its last."""
    app = {"app_id": system.app("club", notify_url=receiver.url).app_id}
    ledger = Ledger(system.dynamodb, system.stack.tables["NotificationTable"])
    notify_id, now_ms = hashlib.sha256(app["app_id"].encode()).hexdigest(), system.now_ms()
    assert ledger.add_held(Notification(notify_id, app["app_id"], "x", now_ms, "{}"), now_ms)
    claim = ledger.claim(notify_id, 1, now_ms)
    assert claim is not None
    assert ledger.record_dead(claim, Attempt(now_ms, 1, 500, None, "http 500", "http_5xx"), now_ms)
    account = {**app, "openid": system.confidential("openid")}
    looks: list[tuple[str, dict[str, Any]]] = [
        ("apps/list", {}),
        ("apps/show", app),
        ("search", {"id": "x"}),
        ("settlements/list", account),
        ("settlements/list", {**account, "source": 5}),
        ("health", {}),
    ]
    if None in (asks(system, path, body) for path, body in looks):
        return False
    chosen = {**app, "since_ms": now_ms, "until_ms": now_ms + 1, "statuses": ["dead"]}
    count = until(lambda: _counted(asks(system, "notifications/count", chosen)), "the index has it")
    if not count:
        return False
    replay = asks(system, "notifications/replay", {**chosen, "expected": 1, "ticket": count["ticket"]})
    if replay is None or not replay["queued"]:
        return False
    steps = ("apps/rotate-secret", "apps/activate-secret", "apps/retire-secret")
    return None not in (asks(system, step, app) for step in steps)


def _counted(count: dict[str, Any] | None) -> dict[str, Any] | None:
    """A count of one; {} where there was none to be had, None where there is nothing to count yet."""
    if count is None:
        return {}
    return count if count["matched"] == 1 else None


WORK: dict[str, Callable[[System, Receiver], bool]] = {
    "create_club_order": creates_a_club_order_twice,
    "set_club_jf_settle": settles_a_club_order,
    "get_club_jf_settle_list": lists_with_and_without_a_source,
    "create_order": creates_an_order_twice,
    "query_order": queries_an_order,
    "query_user_settle": queries_a_settlement,
    "settle_users": reports,
    "get_club_jf_statement": tells_where_a_clubs_statement_is,
    "get_statement": tells_where_a_merchants_statement_is,
    "write_statements": makes_and_verifies_statements,
    "get_api_directory": tells_the_directory,
    "queue_notifications": queues_a_new_notification,
    "deliver_notification": delivers_releases_and_buries,
    "requeue_notifications": sweeps_what_is_due,
    "console": operates,
}
"""What needs every verb of a function; whether it succeeded. Each app is a new one: known apps are not read again."""


@contextmanager
def taken_away(system: System, folder: str, grant: Grant) -> Iterator[None]:
    """The function's role without one verb on one resource: its policies are replaced by what is left of them."""
    role = system.resources[f"{functions()[folder]}Role"]
    names = system.iam.list_role_policies(RoleName=role)["PolicyNames"]
    inline = {name: system.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}
    shared = [
        policy["PolicyArn"]
        for policy in system.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        if policy["PolicyArn"] == system.resources["AuthenticateCallers"]
    ]
    left = [
        {"Effect": "Allow", "Action": action, "Resource": system.arn(resource)}
        for action, resource in allowed(folder) - {grant}
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": left})
    for name in inline:
        system.iam.delete_role_policy(RoleName=role, PolicyName=name)
    for arn in shared:
        system.iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    if left:
        system.iam.put_role_policy(RoleName=role, PolicyName="what-is-left", PolicyDocument=document)
    try:
        yield
    finally:
        for arn in shared:
            system.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        for name, policy in inline.items():
            system.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))
        if left:
            system.iam.delete_role_policy(RoleName=role, PolicyName="what-is-left")


@pytest.mark.stack
@pytest.mark.parametrize("folder", functions())
def test_a_function_that_lacks_one_of_its_verbs_fails_and_is_mended_by_it(
    system: System, receiver: Receiver, folder: str
) -> None:
    with system.paused("QueueNotificationsFunction"):  # so that nothing but the work itself moves notifications
        assert WORK[folder](system, receiver)
        for grant in sorted(allowed(folder)):
            with taken_away(system, folder, grant):
                if grant[0] == "secretsmanager:GetSecretValue":
                    system.recycle(functions()[folder])  # a warm process has read it before
                # Twice, for the sweep of this very moment may do the first one's work.
                assert not all(WORK[folder](system, receiver) for _ in range(2)), f"works without {grant}"
            assert WORK[folder](system, receiver), f"is not mended by {grant}"


@pytest.mark.stack
def test_an_answer_that_is_our_fault_tells_nothing_of_it(system: System) -> None:
    club, order = system.club(), system.club_order()
    merchant = system.merchant()
    with taken_away(system, "create_club_order", ("dynamodb:PutItem", "SettlementTable")):
        of_club = club.create(order)
    with taken_away(system, "query_order", ("dynamodb:GetItem", "SettlementTable")):
        of_merchant = merchant.query(out_order_id="x")
    assert (of_club.status, of_club.json) == (500, {"ret": 1500, "msg": "系统繁忙，请稍后再试"})
    assert (of_merchant.status, of_merchant.json) == (500, {"ret_code": 10001, "ret_msg": "服务异常"})
    assert system.rows(club.app_id) == {}
    assert club.create(order).code == 0  # the same call again
