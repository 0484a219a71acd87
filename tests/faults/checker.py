"""Whether a history can be explained: some order of its calls, one at a time, in which each gets its answer.

Wing and Gong's search with Lowe's memory: a call may come next when no other call ended before it began. A call whose
caller never learnt what became of it may have happened at any moment from its beginning on, or never. Each order of an
app is an object of its own; a game report is one step of each of its orders, and that they happen together is the
invariants' business.

The models are written from the contract, not from the code: they share nothing with `settlement.settling`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import inf
from typing import Any, Final, NamedTuple

from .history import FAULTS, Call, Walk

type State = tuple[Any, ...] | None
"""None: no such order. (content,): created. (content, facts): settled."""

DONE: Final = 0
CLUB_CONTENT: Final = ("openid", "amt", "source", "jf_gid", "detail", "account")
GAME_CONTENT: Final = ("mg_id", "room_id", "cmd", "from_uid", "to_uid", "value")


class Step(NamedTuple):
    """What one call does to one order."""

    name: str
    asked: Any
    code: int | None
    """None: nobody knows."""
    told: Any
    invoked: float
    completed: float
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Unexplained:
    """No order of these steps gives their answers."""

    order: tuple[str, str]
    steps: Sequence[Step]

    def __str__(self) -> str:
        lines = [str(step.call or step) for step in self.steps]
        return "\n    ".join([f"no order of these calls of {self.order} gives these answers:", *lines])


def check(history: Iterable[Call], walks: Iterable[Walk] = ()) -> list[Unexplained]:
    """The orders whose calls cannot be explained."""
    by_order: dict[tuple[str, str], list[Step]] = {}
    for order, step in _steps(history, walks):
        by_order.setdefault(order, []).append(step)
    return [Unexplained(order, steps) for order, steps in by_order.items() if not explained(steps)]


def explained(steps: Sequence[Step]) -> bool:
    steps = _without_repeats(steps)
    known = sum(1 << number for number, step in enumerate(steps) if step.completed < inf)
    tried: set[tuple[int, State]] = set()
    waiting: list[tuple[int, State]] = [(0, None)]
    while waiting:
        done, state = waiting.pop()
        if done & known == known:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        left = [(number, step) for number, step in enumerate(steps) if not done >> number & 1]
        first_end = min(step.completed for _, step in left)
        for number, step in left:
            if step.invoked <= first_end:
                after = outcomes(state, step)
                # What changes nothing and was told to nobody need not have happened.
                waiting += [(done | 1 << number, each) for each in after if step.code is not None or each != state]
    return False


def _without_repeats(steps: Sequence[Step]) -> list[Step]:
    """Of calls that ask the same and were told nothing, the first: done once, the others change nothing.

    With a dozen of them the search would look at each of their subsets.
    """
    kept: list[Step] = []
    for step in sorted(steps, key=lambda step: step.invoked):
        repeated = step.code is None and any(
            (other.name, other.asked, other.code) == (step.name, step.asked, None) for other in kept
        )
        if not repeated:
            kept.append(step)
    return kept


def outcomes(state: State, step: Step) -> list[State]:
    """The states that a step may leave behind, given its answer; none where it cannot have got it.

    Of one that nobody was told of: what it leaves behind when it is done.
    """
    if step.code is None:
        return _MODELS[step.name](state, step._replace(code=DONE))
    return _MODELS[step.name](state, step)


# -------------------------------------------------------------------------------------------------------- the models


def _created(state: State, step: Step) -> list[State]:
    if step.code == DONE:
        return [(step.asked,)] if state is None else [state] if state[0] == step.asked else []
    return [state] if state is not None and state[0] != step.asked and step.code in (1005, 70501) else []


def club_facts(amt: int, request: Mapping[str, Any]) -> tuple[int, int] | None:
    """Hundredths and ratio of a request's terms; None where an order of `amt` cannot have them."""
    part, ratio = request.get("settle_amt") or 0, request.get("amt_ratio") or 100
    if part:
        return (part * 100, 100) if part * amt > 0 and abs(part) < abs(amt) else None
    return amt * ratio, ratio


def _club_settled(state: State, step: Step) -> list[State]:
    if state is None or state[0][0] != step.asked["openid"]:
        return [state] if step.code == 1003 else []
    facts = club_facts(state[0][1], step.asked)
    if facts is None:
        return [state] if step.code == 1001 else []
    if len(state) == 1:
        return [(state[0], facts)] if step.code == DONE else []
    return [state] if step.code == (DONE if state[1] == facts else 1004) else []


def _listed(state: State, step: Step) -> list[State]:
    """An entry of a list: what it shows is settled, at this time and at no other."""
    content, facts, settle_time = step.told
    if state is None or len(state) == 1 or state[:2] != (content, facts):
        return []
    return [(content, facts, settle_time)] if state[2:] in ((), (settle_time,)) else []


def _reported(state: State, step: Step) -> list[State]:
    rooms, result = step.asked
    known = state is not None and state[0][:2] == rooms
    match step.code, state:
        case 70503, _:
            return [] if known else [state]
        case 70505, (_, _):
            return [state] if known else []
        case 0, (content,) if known:
            return [(content, result)]
        case 0, (_, facts) if known and facts == result:
            return [state]
    return []


def _queried(state: State, step: Step) -> list[State]:
    match step.code, state:
        case 70503, None:
            return [state]
        case 0, (content, *facts) if step.told == (content, bool(facts)):
            return [state]
    return []


def _result_queried(state: State, step: Step) -> list[State]:
    match step.code, state:
        case (70503, None) | (70504, (_,)):
            return [state]
        case 0, (content, facts) if step.told == (content[:2], facts):
            return [state]
    return []


_MODELS: Final = {
    "create_club_order": _created,
    "set_club_jf_settle": _club_settled,
    "listed": _listed,
    "create_order": _created,
    "settle_users": _reported,
    "query_order": _queried,
    "query_user_settle": _result_queried,
}

# ----------------------------------------------------------------------------------------- a history's calls as steps


def _steps(history: Iterable[Call], walks: Iterable[Walk]) -> Iterator[tuple[tuple[str, str], Step]]:
    for call in history:
        if call.name in _MODELS and (call.code in FAULTS or call.code is None or call.code in _OF_STATE):
            yield from _steps_of(call)
    for walk in walks:
        for page in walk.pages:
            for entry in page.data["settle_list"]:
                content = (walk.query["openid"], *(_frozen(entry.get(name)) for name in CLUB_CONTENT[1:]))
                told = (content, (entry["settle_amt"] * 100, entry["amt_ratio"]), entry["settle_time"])
                # An index may be late: the entry was settled at some time before.
                step = Step("listed", None, DONE, told, page.invoked, page.completed or inf, page)
                yield (walk.app_id, entry["billno"]), step


_OF_STATE: Final = {DONE, 1001, 1003, 1004, 1005, 70501, 70503, 70504, 70505}
"""The other answers say nothing of an order."""


def _steps_of(call: Call) -> Iterator[tuple[tuple[str, str], Step]]:
    request, data = call.request, call.data
    code, completed = (call.code, float(call.completed or 0)) if call.answered else (None, inf)

    def step(order: str, asked: Any, told: Any = None) -> tuple[tuple[str, str], Step]:
        return (call.app_id, order), Step(call.name, asked, code, told, call.invoked, completed, call)

    match call.name:
        case "create_club_order":
            yield step(request["bill_no"], tuple(_frozen(request.get(name)) for name in CLUB_CONTENT))
        case "set_club_jf_settle":
            yield step(request["bill_no"], request)
        case "create_order":
            yield step(request["out_order_id"], tuple(request[name] for name in GAME_CONTENT))
        case "settle_users":
            rooms = (request["mg_id"], request["room_id"])
            for result in request["results"]:
                order_id = game_order_id(call.app_id, result["out_order_id"])
                if code in (None, DONE) or order_id in call.detail:
                    yield step(result["out_order_id"], (rooms, result_of(request, result)))
        case "query_order" if code is not None:
            told = (tuple(data[name] for name in GAME_CONTENT), data["status"] == "EXECUTE_SUCCESS") if data else None
            yield step(request["out_order_id"], None, told)
        case "query_user_settle" if code is not None:
            told = ((data["mg_id"], data["room_id"]), result_of(data, data)) if data else None
            yield step(request["out_order_id"], None, told)


def result_of(report: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[Any, ...]:
    """All that is reported of one order."""
    figures = tuple(result.get(name) for name in ("uid", "is_ai", "score", "remain_score", "commission_score"))
    return (report["match_id"], str(report["settle_at"]), *figures)


def game_order_id(app_id: str, out_order_id: str) -> str:
    return sha256(f"{app_id}\n{out_order_id}".encode()).hexdigest()[:32]


def _frozen(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value
