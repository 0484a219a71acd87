"""Least privilege: each function may do exactly what it does.

Nothing too much: the verbs that the template allows are the verbs that the functions were seen to use, in this process.
Nothing too little: each verb that is taken away from a deployed role makes the function fail; giving it back mends it.
What SAM itself grants - logs, traces, reading the stream and the queue, the stream's dead-letter queue - is not judged.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from settlement import clients
from settlement.breaker import Breaker
from settlement.ledger import SWEEP_GRACE_MS, Ledger, Notification
from settlement.queue import MAX_RECEIVES
from settlement.sender import Sender
from settlement.signing import directory_signature
from settlepoint_local import in_process
from settlepoint_local.lambda_events import sqs_event, stream_event
from settlepoint_local.situations import SITUATIONS
from settlepoint_local.template import functions, permissions

from .receiver import Receiver
from .system import FunctionFailed, System
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

    services = [clients.dynamodb(), clients.sqs(), clients.secrets_manager()]
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
    return seen


@pytest.mark.parametrize("folder", functions())
def test_a_function_uses_each_verb_that_it_is_allowed_and_no_other(
    used_grants: dict[str, set[Grant]], folder: str
) -> None:
    assert used_grants[folder] == allowed(folder)


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


WORK: dict[str, Callable[[System, Receiver], bool]] = {
    "create_club_order": creates_a_club_order_twice,
    "set_club_jf_settle": settles_a_club_order,
    "get_club_jf_settle_list": lists_with_and_without_a_source,
    "create_order": creates_an_order_twice,
    "query_order": queries_an_order,
    "query_user_settle": queries_a_settlement,
    "settle_users": reports,
    "get_api_directory": tells_the_directory,
    "queue_notifications": queues_a_new_notification,
    "deliver_notification": delivers_releases_and_buries,
    "requeue_notifications": sweeps_what_is_due,
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
