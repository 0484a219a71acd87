"""What an order is settled for, and which fault comes first."""

from copy import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from settlement.errors import BadRequest, OrderAlreadySettled, OrderExists, OrderNotFound, SettlepointError
from settlement.orders import (
    Account,
    ClubOrder,
    ClubTerms,
    GameOrder,
    GameResult,
    SettledClubOrder,
    SettledGameOrder,
    game_order_id,
)
from settlement.settling import (
    ReadAgain,
    Repeated,
    Settle,
    SettleGame,
    check_same_club_order,
    check_same_game_order,
    club_terms,
    decide_club_settlement,
    decide_game_report,
)

MAX_AMT = 10**12
amounts = st.integers(-MAX_AMT, MAX_AMT).filter(bool)

ORDER = ClubOrder("b-1", "o-1", 1000, 5, 7, "prize", Account(1, "u-1", 3))
GAME_ORDER = GameOrder("out-1", "mg-1", "room-1", "gift", "u-1", "u-2", 10, "group-1", '{"a":1,"b":[1.50]}')
RESULT = GameResult("match-1", "u-1", 0, 5, 95, None, 1_795_000_000)


def settled_club(order: ClubOrder = ORDER, hundredths: int = 100_000, ratio: int = 100) -> SettledClubOrder:
    return SettledClubOrder(order, ClubTerms(hundredths, ratio), 1_795_000_000_000)


def settled_game(result: GameResult = RESULT, notify_id: str = "n-1", position: int = 0) -> SettledGameOrder:
    return SettledGameOrder(GAME_ORDER, result, notify_id, position, 1_795_000_000_000)


# ---------------------------------------------------------------------------------------------------------- amounts


@given(amounts, st.integers(0, 100) | st.none())
@example(-MAX_AMT, 99)
@example(1, 1)
@example(-1, 33)
def test_every_ratio_settles_exactly_the_rational_number_of_points(amt: int, ratio: int | None) -> None:
    terms = club_terms(amt, None, ratio)
    asked = Fraction(amt) * Fraction(ratio or 100, 100)
    assert Fraction(terms.settle_hundredths, 100) == asked
    assert terms.amt_ratio == (ratio or 100)
    assert abs(terms.settle_hundredths) <= abs(amt) * 100


def test_all_ratios_of_all_small_amounts_of_both_signs_are_exact() -> None:
    for amt in [*range(-30, 0), *range(1, 31)]:
        for ratio in range(101):
            terms = club_terms(amt, 0, ratio)
            assert Fraction(terms.settle_hundredths, 100) == Fraction(amt * (ratio or 100), 100)


@given(amounts, st.integers(-MAX_AMT - 2, MAX_AMT + 2).filter(bool), st.integers(0, 100) | st.none())
@example(1000, 999, None)
@example(1000, 1000, None)
@example(1000, 1001, None)
@example(-1000, -999, 50)
@example(-1000, 1, None)
@example(1, -1, None)
def test_an_amount_of_the_orders_sign_and_smaller_settles_itself_whatever_the_ratio(
    amt: int, settle_amt: int, ratio: int | None
) -> None:
    if settle_amt * amt > 0 and abs(settle_amt) < abs(amt):
        assert club_terms(amt, settle_amt, ratio) == ClubTerms(settle_amt * 100, 100)
    else:
        with pytest.raises(BadRequest, match=r"\Asettle_amt: "):
            club_terms(amt, settle_amt, ratio)


@given(amounts)
def test_nothing_given_zero_given_and_a_ratio_of_a_hundred_are_the_same_terms(amt: int) -> None:
    whole = ClubTerms(amt * 100, 100)
    assert all(club_terms(amt, settle, ratio) == whole for settle in (None, 0) for ratio in (None, 0, 100))


@given(amounts, st.integers(1, 99))
def test_a_partial_ratio_never_has_the_same_terms_as_an_amount(amt: int, ratio: int) -> None:
    part = club_terms(amt, None, ratio)
    assert part.amt_ratio == ratio
    assert part != club_terms(amt, None, 100)
    if part.settle_hundredths % 100 == 0:
        assert club_terms(amt, part.settle_hundredths // 100, None) != part


# ----------------------------------------------------------------------------------------- decisions on club orders

# What was found, what is asked (openid, settle_amt, amt_ratio), the answer: in the contract's order of checks.
CLUB_TABLE: list[tuple[str, ClubOrder | SettledClubOrder | None, tuple[str, int | None, int | None], object]] = [
    ("unknown order", None, ("o-1", None, None), OrderNotFound),
    ("unknown order and bad terms", None, ("o-1", -5, None), OrderNotFound),
    ("another openid", ORDER, ("o-2", None, None), OrderNotFound),
    ("another openid and bad terms", ORDER, ("o-2", -5, None), OrderNotFound),
    ("another openid of a settled order", settled_club(), ("o-2", None, None), OrderNotFound),
    ("another openid, bad terms, settled", settled_club(), ("o-2", 5000, 3), OrderNotFound),
    ("wrong sign", ORDER, ("o-1", -5, None), BadRequest),
    ("as much as the order", ORDER, ("o-1", 1000, None), BadRequest),
    ("more than the order", ORDER, ("o-1", 1001, None), BadRequest),
    ("bad terms of a settled order", settled_club(), ("o-1", 1000, None), BadRequest),
    ("bad terms with a good ratio", settled_club(), ("o-1", -1, 100), BadRequest),
    ("same terms", settled_club(), ("o-1", None, None), Repeated()),
    ("same terms, said otherwise", settled_club(), ("o-1", 0, 100), Repeated()),
    ("same part", settled_club(hundredths=50_000, ratio=50), ("o-1", None, 50), Repeated()),
    ("same amount, the ratio beside it ignored", settled_club(hundredths=50_000), ("o-1", 500, 7), Repeated()),
    ("other terms", settled_club(), ("o-1", None, 50), OrderAlreadySettled),
    ("other amount", settled_club(hundredths=50_000), ("o-1", 501, None), OrderAlreadySettled),
    ("the same sum as a ratio", settled_club(hundredths=50_000), ("o-1", None, 50), OrderAlreadySettled),
    ("the same sum as an amount", settled_club(hundredths=50_000, ratio=50), ("o-1", 500, None), OrderAlreadySettled),
    ("whole", ORDER, ("o-1", None, None), Settle(ORDER, ClubTerms(100_000, 100))),
    ("a part", ORDER, ("o-1", None, 33), Settle(ORDER, ClubTerms(33_000, 33))),
    ("an amount", ORDER, ("o-1", 1, 33), Settle(ORDER, ClubTerms(100, 100))),
]


@pytest.mark.parametrize(
    ("found", "asked", "answer"), [row[1:] for row in CLUB_TABLE], ids=[row[0] for row in CLUB_TABLE]
)
def test_a_club_order_is_judged_in_the_contracts_order_of_checks(
    found: ClubOrder | SettledClubOrder | None, asked: tuple[str, int | None, int | None], answer: object
) -> None:
    if isinstance(answer, type) and issubclass(answer, SettlepointError):
        with pytest.raises(answer) as raised:
            decide_club_settlement(found, *asked)
        assert type(raised.value) is answer
    else:
        assert decide_club_settlement(found, *asked) == answer


def test_a_foreign_and_an_unknown_order_are_told_in_the_same_words() -> None:
    details = set()
    for found in (None, ORDER, settled_club()):
        with pytest.raises(OrderNotFound) as raised:
            decide_club_settlement(found, "o-2", None, None)
        details.add(raised.value.detail)
    assert len(details) == 1


# ----------------------------------------------------------------------------------------- decisions on game reports

OTHER = replace(RESULT, score=6)
A, B, C = "a" * 32, "b" * 32, "c" * 32
Found = dict[str, GameOrder | SettledGameOrder]

GAME_TABLE: list[tuple[str, dict[str, GameResult], Found, object]] = [
    ("nothing known", {A: RESULT}, {}, (OrderNotFound, A)),
    ("one of two unknown", {A: RESULT, B: RESULT}, {A: GAME_ORDER}, (OrderNotFound, B)),
    ("the first unknown is named", {C: RESULT, A: RESULT, B: RESULT}, {A: GAME_ORDER}, (OrderNotFound, C)),
    ("another game", {A: RESULT}, {A: replace(GAME_ORDER, mg_id="mg-2")}, (OrderNotFound, A)),
    ("another room", {A: RESULT}, {A: replace(GAME_ORDER, room_id="r-2")}, (OrderNotFound, A)),
    (
        "another game of a settled order, with other figures",
        {A: OTHER},
        {A: replace(settled_game(), order=replace(GAME_ORDER, mg_id="mg-2"))},
        (OrderNotFound, A),
    ),
    (
        "unknown comes before settled, wherever it stands",
        {A: OTHER, B: RESULT},
        {A: settled_game()},
        (OrderNotFound, B),
    ),
    ("all alike", {A: RESULT, B: OTHER}, {A: settled_game(), B: settled_game(OTHER)}, Repeated()),
    (
        "all alike by another report",
        {A: RESULT, B: RESULT},
        {A: settled_game(notify_id="n-8"), B: settled_game(notify_id="n-9")},
        Repeated(),
    ),
    ("other figures", {A: OTHER}, {A: settled_game()}, (OrderAlreadySettled, A)),
    ("another match", {A: replace(RESULT, match_id="m-2")}, {A: settled_game()}, (OrderAlreadySettled, A)),
    ("another time", {A: replace(RESULT, settle_at_seconds=1)}, {A: settled_game()}, (OrderAlreadySettled, A)),
    (
        "a commission of 0 is not no commission",
        {A: replace(RESULT, commission_score=0)},
        {A: settled_game()},
        (OrderAlreadySettled, A),
    ),
    (
        "the second has other figures",
        {A: RESULT, B: OTHER},
        {A: settled_game(), B: settled_game()},
        (OrderAlreadySettled, B),
    ),
    (
        "the one with other figures is named before those that are alike",
        {A: RESULT, B: OTHER, C: RESULT},
        {A: settled_game(), B: settled_game(), C: GAME_ORDER},
        (OrderAlreadySettled, B),
    ),
    (
        "some settled by another report with the same figures",
        {C: RESULT, A: RESULT, B: RESULT},
        {A: settled_game(notify_id="n-9"), B: settled_game(notify_id="n-9"), C: GAME_ORDER},
        (OrderAlreadySettled, A),
    ),
    ("this very report, half read", {A: RESULT, B: RESULT}, {A: settled_game(), B: GAME_ORDER}, ReadAgain()),
    (
        "this report's orders with other figures are a conflict, half read or not",
        {A: OTHER, B: RESULT},
        {A: settled_game(), B: GAME_ORDER},
        (OrderAlreadySettled, A),
    ),
    (
        "none settled",
        {B: RESULT, A: RESULT},
        {A: GAME_ORDER, B: GAME_ORDER},
        SettleGame({B: GAME_ORDER, A: GAME_ORDER}),
    ),
]


@pytest.mark.parametrize(
    ("results", "found", "answer"), [row[1:] for row in GAME_TABLE], ids=[row[0] for row in GAME_TABLE]
)
def test_a_game_report_is_judged_in_the_contracts_order_of_checks(
    results: dict[str, GameResult], found: Found, answer: object
) -> None:
    if type(answer) is tuple:
        error, named = answer
        with pytest.raises(error) as raised:
            decide_game_report(results, found, "mg-1", "room-1", "n-1")
        assert named in raised.value.detail
    else:
        assert decide_game_report(results, found, "mg-1", "room-1", "n-1") == answer


def test_orders_are_settled_in_the_reports_sequence() -> None:
    results = dict.fromkeys([C, A, B], RESULT)
    decision = decide_game_report(results, dict.fromkeys([A, B, C], GAME_ORDER), "mg-1", "room-1", "n-1")
    assert isinstance(decision, SettleGame)
    assert list(decision.orders) == [C, A, B]


states = st.sampled_from(["unknown", "foreign", "created", "alike", "other", "other report"])


@given(st.lists(states, min_size=1, max_size=6))
def test_any_mixture_has_one_answer_by_rank_unknown_then_other_figures_then_partly_settled(mixture: list[str]) -> None:
    results, found = {}, Found()
    for position, state in enumerate(mixture):
        order_id = f"{position:032x}"
        results[order_id] = RESULT
        if state != "unknown":
            states_of: dict[str, GameOrder | SettledGameOrder] = {
                "foreign": replace(GAME_ORDER, room_id="elsewhere"),
                "created": GAME_ORDER,
                "alike": settled_game(),
                "other": settled_game(OTHER),
                "other report": settled_game(notify_id="n-2"),
            }
            found[order_id] = states_of[state]
    try:
        decision: object = decide_game_report(results, found, "mg-1", "room-1", "n-1")
    except SettlepointError as error:
        decision = type(error)
    kinds = set(mixture)
    if kinds & {"unknown", "foreign"}:
        assert decision is OrderNotFound
    elif "other" in kinds:
        assert decision is OrderAlreadySettled
    elif "created" not in kinds:
        assert decision == Repeated()
    elif kinds == {"created"}:
        assert isinstance(decision, SettleGame)
    elif "alike" in kinds:
        assert decision == ReadAgain()
    else:
        assert decision is OrderAlreadySettled


# --------------------------------------------------------------------------------------------------- repeated creates

CLUB_CHANGES: dict[str, Any] = {
    "openid": "o-2",
    "amt": 999,
    "source": 6,
    "jf_gid": 8,
    "detail": "",
    "account": None,
}
GAME_CHANGES: dict[str, Any] = {
    "mg_id": "mg-2",
    "room_id": "room-2",
    "cmd": "other",
    "from_uid": "u-9",
    "to_uid": "u-9",
    "value": 11,
    "out_group_id": None,
    "payload": '{"a":1,"b":[1.5]}',
}


@pytest.mark.parametrize("name", CLUB_CHANGES)
def test_a_repeated_club_order_that_differs_names_the_first_field(name: str) -> None:
    fields = list(CLUB_CHANGES)
    later = {field: CLUB_CHANGES[field] for field in fields[fields.index(name) :]}
    with pytest.raises(OrderExists, match=rf"\A{name}: "):
        check_same_club_order(ORDER, replace(ORDER, **later))


@pytest.mark.parametrize("account", [Account(2, "u-1", 3), Account(1, "u-2", 3), Account(1, "u-1", None)])
def test_a_club_orders_account_is_compared_whole(account: Account) -> None:
    with pytest.raises(OrderExists, match=r"\Aaccount: "):
        check_same_club_order(ORDER, replace(ORDER, account=account))


@pytest.mark.parametrize("name", GAME_CHANGES)
def test_a_repeated_game_order_that_differs_names_the_first_field(name: str) -> None:
    fields = list(GAME_CHANGES)
    later = {field: GAME_CHANGES[field] for field in fields[fields.index(name) :]}
    with pytest.raises(OrderExists, match=rf"\A{name}: "):
        check_same_game_order(GAME_ORDER, replace(GAME_ORDER, **later))


def test_the_same_order_again_is_the_same() -> None:
    check_same_club_order(ORDER, replace(ORDER))
    check_same_game_order(GAME_ORDER, replace(GAME_ORDER))
    check_same_game_order(replace(GAME_ORDER, payload=None), replace(GAME_ORDER, payload=None))


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ('{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}', True),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"a":"/"}', '{"a":"\\/"}', True),
        ('{"a":"\\u4e2d"}', '{"a":"中"}', True),
        ('{"a":1}', '{"a":1.0}', False),
        ('{"a":1}', '{"a":true}', False),
        ("{}", None, False),
    ],
)
def test_payloads_are_compared_by_content(before: str, now: str | None, *, same: bool) -> None:
    orders = replace(GAME_ORDER, payload=before), replace(GAME_ORDER, payload=now)
    if same:
        check_same_game_order(*orders)
    else:
        with pytest.raises(OrderExists, match=r"\Apayload: "):
            check_same_game_order(*orders)


# ---------------------------------------------------------------------------------------------------------- order ids


def test_order_ids_are_stable_because_merchants_keep_them() -> None:
    assert game_order_id("merchant-a", "out-1") == "f1918ebd7d78c136233e09885d83569c"


app_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)


@given(app_ids, st.text(min_size=1, max_size=64), app_ids, st.text(min_size=1, max_size=64))
def test_two_orders_never_share_an_id(app_a: str, out_a: str, app_b: str, out_b: str) -> None:
    ids = game_order_id(app_a, out_a), game_order_id(app_b, out_b)
    assert all(len(order_id) == 32 and set(order_id) <= set("0123456789abcdef") for order_id in ids)
    assert (ids[0] == ids[1]) == ((app_a, out_a) == (app_b, out_b))
