"""docs/notifications.md promises what the layer does: its examples, tables and numbers, compared with the code."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Final

import pytest

from settlectl.listening import REPLIES
from settlement import breaker
from settlement.apps import CACHE_SECONDS, App, SecretVersion
from settlement.delivery import (
    ATTEMPT_SECONDS,
    CONNECT_SECONDS,
    DOWN,
    ERROR_CLASSES,
    JITTER,
    MAX_ANSWER_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    RETRY_SECONDS,
    Delivered,
    ErrorClass,
    GivenUp,
    NoAnswer,
    Outcome,
    Response,
    Retry,
    judge,
    retry_wait_ms,
    signed_request,
)
from settlement.ledger import DEAD_KEPT_SECONDS, DELIVERED_KEPT_SECONDS, Notification
from settlement.notifications import CLUB_SETTLED, GAME_SETTLED, PING, club_notification, game_notification, ping
from settlement.orders import Account, ClubOrder, ClubTerms, GameOrder, GameResult, SettledClubOrder, SettledGameOrder
from settlement.rotation import OVERLAP_MS, activated, retired, rotated
from settlement.sender import UrlNotAllowed, check_url
from settlement.signing import sud_signature, webhook_library_secret, webhook_signature

from .guides import API_GUIDE, EXAMPLES, NOTIFICATIONS_GUIDE, ROOT, blocks_of, need, rows_of, section_of
from .receiving import Secrets, running

SETTLED: Final = (GAME_SETTLED, CLUB_SETTLED)
DAY: Final = 24 * 3600


def section(heading: str) -> str:
    return section_of(NOTIFICATIONS_GUIDE, heading)


def words(heading: str) -> str:
    """A section on one line, to look for a sentence wherever it is broken."""
    return " ".join(section(heading).split())


def example_of(event: str) -> str:
    [body] = [text.strip() for _, text in blocks_of(NOTIFICATIONS_GUIDE) if f'"notify_event":"{event}"' in text]
    return body


# --------------------------------------------------------------------------------------------------------- what is sent


def test_the_example_of_a_game_report_is_what_the_layer_makes_of_it() -> None:
    body = example_of(GAME_SETTLED)
    notification = json.loads(body)
    data, [result] = notification["data"], notification["data"]["results"]
    order = GameOrder(result["out_order_id"], data["mg_id"], data["room_id"], "gift", "u", "u", 1, None, None)
    outcome = GameResult(
        data["match_id"],
        result["uid"],
        result["is_ai"],
        result["score"],
        result["remain_score"],
        result["commission_score"],
        int(data["settle_at"]),
    )
    settled = SettledGameOrder(order, outcome, "n", 0, int(notification["notify_time"]))

    assert game_notification(notification["app_id"], {result["order_id"]: settled}).body == body


def test_the_example_of_a_club_order_is_what_the_layer_makes_of_it() -> None:
    body = example_of(CLUB_SETTLED)
    notification = json.loads(body)
    data = notification["data"]
    account = Account(data["account"]["type"], data["account"]["id"], data["account"]["gid"])
    order = ClubOrder(
        data["billno"], data["openid"], data["amt"], data["source"], data["jf_gid"], data["detail"], account
    )
    settled = SettledClubOrder(order, ClubTerms(33325, data["amt_ratio"]), int(notification["notify_time"]))

    assert club_notification(notification["app_id"], settled).body == body


def test_the_signatures_of_the_game_report_are_right() -> None:
    body, sent_at = example_of(GAME_SETTLED), "1795330800123"
    notification, secret = json.loads(body), "test-app-secret"
    by_sud = sud_signature(secret, notification["app_id"], sent_at, "keVJLJTItd1VBtGT", body.encode())
    by_webhook = webhook_signature(secret, notification["notify_id"], sent_at[:-3], body.encode())

    assert f"Sud-Signature: {by_sud}\n" in section("Verify")
    assert f"webhook-signature: {by_webhook}\n" in section("Verify")
    assert webhook_library_secret(secret).startswith("whsec_")


def test_the_table_of_events_has_all_of_them() -> None:
    sent = {row[0].strip("`"): row[2] for row in rows_of(section("What is sent")) if "." in row[0]}

    assert list(sent) == [*SETTLED, PING]
    assert all(f"`{event}`" in section_of(API_GUIDE, "Notifications") for event in SETTLED)
    data = json.dumps(json.loads(ping("m-1", "ab", 0).body)["data"], separators=(",", ":"))
    assert f"its `data` is `{data}`" in sent[PING]


@pytest.mark.parametrize(
    ("event", "heading"), [(GAME_SETTLED, "A game report"), (CLUB_SETTLED, "A settled club order")]
)
def test_the_field_tables_name_the_fields_of_the_example(event: str, heading: str) -> None:
    described = [name for row in rows_of(section(heading)) for name in re.findall(r"`(\w+)`", row[0])]
    data = json.loads(example_of(event))["data"]
    fields = [*data, *(data["results"][0] if "results" in data else [])]
    envelope = [
        name for row in rows_of(section("What is sent")) for name in re.findall(r"^`(\w+)`$", row[0]) if "_" in name
    ]

    assert sorted(described) == sorted(fields)
    assert envelope[:4] == list(json.loads(example_of(event)))[:4]


def test_the_table_of_headers_is_what_an_attempt_carries() -> None:
    app = App("m-1", "M", frozenset(), "enabled", None, frozenset(), frozenset(), (SecretVersion(1, 1),), 1, 0)
    notification = Notification("ab", "m-1", GAME_SETTLED, 0, "{}")
    sent = signed_request(notification, app, Secrets(), "https://receiver.example/", 0, "n").headers
    documented = {row[0].strip("`"): row[1] for row in rows_of(section("Headers"))}

    assert documented.keys() == sent.keys()
    for fixed in ("Content-Type", "User-Agent"):
        assert documented[fixed] == f"`{sent[fixed]}`"


# ------------------------------------------------------------------------------------------------- the acknowledgement

IN_WORDS: Final[dict[str, list[Response | NoAnswer]]] = {
    "200 with an empty body; 204, which has none": [Response(200, None, b"", True), Response(204, None, b"", True)],
    "200 with a byte order mark before the object, or not UTF-8": [
        Response(200, None, b'\xef\xbb\xbf{"ret_code":0}', True),
        Response(200, None, b'{"ret_code":0,"ret_msg":"\xff"}', True),
    ],
    "200 with a compressed body": [Response(200, None, b"\x1f\x8b\x08\x00\x00", True)],
    "200 with more than 16 KiB": [Response(200, None, b'{"ret_code":0}'.ljust(MAX_ANSWER_BYTES), False)],
    "no connection, no valid certificate, no whole answer within 5 s": [
        NoAnswer("connection refused"),
        NoAnswer("certificate not valid"),
        NoAnswer("timeout"),
    ],
}
OUTCOMES: Final[dict[str, type[Outcome]]] = {"delivered": Delivered, "failed": Retry, "ended": GivenUp}


def answers_of(cell: str) -> list[Response | NoAnswer]:
    literal: list[Response | NoAnswer] = [
        Response(int(status), None, body.encode(), True) for status, body in re.findall(r"(\d{3}) `([^`]*)`", cell)
    ]
    return literal or IN_WORDS[cell]


def test_every_row_of_the_acknowledgement_table_is_judged_as_it_says() -> None:
    rows = rows_of(section("Acknowledge"))
    judged = [
        (answer, type(judge(answer).outcome), OUTCOMES[re.split(r"[:,;]", verdict)[0]])
        for cell, verdict in rows
        for answer in answers_of(cell)
    ]

    assert {outcome for _, _, outcome in judged} == set(OUTCOMES.values())
    assert [(answer, found) for answer, found, promised in judged if found is not promised] == []
    assert set(IN_WORDS) <= {cell for cell, _ in rows}


def test_the_acknowledgement_that_is_asked_for_is_delivered() -> None:
    [asked_for] = [text for fence, text in blocks_of(NOTIFICATIONS_GUIDE) if fence == "json" and "ret_code" in text]

    assert judge(Response(200, None, asked_for.strip().encode(), True)).outcome == Delivered()


# -------------------------------------------------------------------------------------------------- limits and schedule


def spoken(seconds: int) -> str:
    parts = [(seconds // DAY, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def test_the_limits_are_the_senders() -> None:
    limits = dict(rows_of(section("Limits")))

    assert limits["to connect"] == f"{CONNECT_SECONDS:g} s"
    assert limits["the whole attempt, from the look-up of the name to the last byte of your answer"] == (
        f"{ATTEMPT_SECONDS:g} s"
    )
    assert limits["your answer's body"] == f"{MAX_ANSWER_BYTES // 1024} KiB"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://receiver.example/settled?a=b", True),
        ("https://receiver.example:8443/", True),
        ("https://xn--fiq228c.example/", True),
        ("https://receiver.example/".ljust(2048, "x"), True),
        ("https://receiver.example/".ljust(2049, "x"), False),
        ("http://receiver.example/", False),
        ("https://中文.example/", False),
        ("https://user:password@receiver.example/", False),
        ("https://receiver.example/#here", False),
    ],
)
def test_a_notify_url_is_what_the_limits_say(url: str, allowed: bool) -> None:
    if allowed:
        check_url(url, allow_local=False)
    else:
        with pytest.raises(UrlNotAllowed):
            check_url(url, allow_local=False)


def test_the_schedule_is_the_codes() -> None:
    waits = zip(RETRY_SECONDS, accumulate(RETRY_SECONDS), strict=True)
    schedule = [["1", "", ""]]
    schedule += [[str(number), spoken(wait), spoken(since)] for number, (wait, since) in enumerate(waits, 2)]
    promise = words("When an attempt fails")

    assert rows_of(section("When an attempt fails")) == schedule
    assert f"There are {len(schedule)} attempts in {sum(RETRY_SECONDS) // (DAY // 10) / 10} days." in promise
    assert f"stretched by 0 to {JITTER:.0%}".replace("%", " %") in promise
    assert f"up to {MAX_RETRY_AFTER_SECONDS // 3600} h" in promise
    assert f"kept for {DEAD_KEPT_SECONDS // DAY} days" in promise


@pytest.mark.parametrize("retry_after", ["120", "Sun, 22 Nov 2026 10:02:00 GMT"])
@pytest.mark.parametrize("status", [302, 404, 429, 503])
def test_retry_after_is_heard_in_seconds_and_as_a_date(status: int, retry_after: str) -> None:
    ten_o_clock_ms = 1_795_341_600_000
    outcome = judge(Response(status, retry_after, b"", True)).outcome

    assert isinstance(outcome, Retry)
    assert retry_wait_ms(1, outcome, 0.0, ten_o_clock_ms) == 120_000
    assert retry_wait_ms(4, outcome, 0.0, ten_o_clock_ms) == 300_000


# --------------------------------------------------------------------------------- the breaker, keeping, another secret


def test_the_breakers_numbers_are_the_codes() -> None:
    promise = words("When your receiver is down")

    assert f"After {breaker.FAILURES_TO_OPEN} attempts in a row" in promise
    assert f"nothing is sent for {spoken(breaker.FIRST_OPEN_MS // 1000)}." in promise
    assert f"the pause doubles, up to {spoken(breaker.LONGEST_OPEN_MS // 1000)}." in promise
    assert breaker.FIRST_PACE == 1
    assert f"1, 2, 4, 8 ... up to {breaker.LAST_PACE} a second" in promise


def test_what_counts_as_down_is_what_the_guide_says() -> None:
    spelt: dict[ErrorClass, str] = {
        "transport": "no connection, no TLS",
        "timeout": "no answer in time",
        "http_429": "429",
        "http_5xx": "5xx",
    }

    assert spelt.keys() == DOWN < set(ERROR_CLASSES)
    in_words = f"{spelt['transport']}, {spelt['timeout']}, {spelt['http_429']} or {spelt['http_5xx']}"
    assert f"found nobody ({in_words})" in words("When your receiver is down")


def test_what_is_kept_is_kept_as_long_as_it_says() -> None:
    promise = words("After an outage")

    assert f"(dead, kept {DEAD_KEPT_SECONDS // DAY} days)" in promise
    assert f"(delivered ones are kept {DELIVERED_KEPT_SECONDS // DAY} days)" in promise


def test_the_steps_of_a_rotation_are_signed_as_the_table_says() -> None:
    before = App("m-1", "M", frozenset(), "enabled", None, frozenset(), frozenset(), (SecretVersion(1, 1),), 1, 0)
    steps: list[Callable[[App], App]] = [
        lambda app: app,
        lambda app: rotated(app, 1, 0),
        lambda app: activated(app, 0),
        lambda app: retired(app, 0),
    ]
    notification, app, found = Notification("ab", "m-1", GAME_SETTLED, 0, "{}"), before, []
    for step in steps:
        app = step(app)
        headers = signed_request(notification, app, Secrets(), "https://receiver.example/", 0, "n").headers
        named = {
            name: (
                webhook_signature(Secrets().app_secret("m-1", version, 1), "ab", "0", b"{}"),
                sud_signature(Secrets().app_secret("m-1", version, 1), "m-1", "0", "n", b"{}"),
            )
            for version, name in ((1, "old"), (2, "new"))
        }
        webhook = " and ".join(
            name for each in headers["webhook-signature"].split() for name in named if named[name][0] == each
        )
        [sud] = [name for name in named if named[name][1] == headers["Sud-Signature"]]
        found.append([webhook, sud])

    assert [row[1:3] for row in rows_of(section("Another secret"))] == found
    assert f"{OVERLAP_MS // 3_600_000} h after step 2" in words("Another secret")
    assert f"Each step takes up to {CACHE_SECONDS:g} s" in words("Another secret")


# ------------------------------------------------------------------------------------------------------------- the page


@pytest.mark.parametrize("fence", ["python", "js", "java", "go", "php"])
def test_the_guide_shows_how_to_verify_in_every_language(fence: str) -> None:
    assert any(
        language == fence and "webhook-signature" in text.lower().replace("_", "-")
        for language, text in blocks_of(NOTIFICATIONS_GUIDE)
    )


def test_every_receiver_is_named_with_the_command_that_starts_it() -> None:
    named = {
        re.findall(r"\[([\w.]+)\]", row[0])[0]: row[1]
        for row in rows_of(NOTIFICATIONS_GUIDE.read_text())
        if "](examples/" in row[0]
    }

    assert named.keys() == {path.name for path in EXAMPLES.iterdir() if path.stem.lower() == "receive"}
    for name, command in named.items():
        usage = (EXAMPLES / name).read_text(encoding="utf-8").replace("PORT", "9000")
        assert command.strip("`") in usage


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh-CN.md", "docs/api.md", "docs/notifications.md", "docs/operations.md"]
)
def test_every_link_within_the_project_leads_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = [
        link
        for link in re.findall(r"\]\(([^)\s]+)\)", text)
        if not link.startswith("https://") and not leads_somewhere(ROOT / page, link)
    ]

    assert broken == []


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_answers_that_listen_can_give_are_those_it_has() -> None:
    [answers] = re.findall(r"With `--answer (.*?) it shows", words("Testing"))

    assert set(re.findall(r"\w+", answers)) - {"or"} == REPLIES.keys() - {"ok"}


def test_notify_sh_sends_what_a_receiver_believes(tmp_path: Path) -> None:
    need("bash", "openssl", "curl", "sed", "base64")
    body = example_of(CLUB_SETTLED).encode()
    (tmp_path / "receiver").mkdir()
    with running("receive.py", "webhook", "the-secret", tmp_path / "receiver") as receiver:
        for secret, answer in (
            ("the-secret", b'{"ret_code":0,"ret_msg":""}'),
            ("other", b'{"ret_code":1,"ret_msg":"not genuine"}'),
        ):
            result = subprocess.run(
                ["bash", "notify.sh", f"http://127.0.0.1:{receiver.port}/"],
                cwd=EXAMPLES,
                env={**os.environ, "SETTLEPOINT_SECRET": secret},
                input=body,
                capture_output=True,
                check=True,
                timeout=30,
            )
            assert result.stdout == answer
        assert len(receiver.handled()) == 1
