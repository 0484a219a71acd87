"""Where an order's points come from, and which sign its amount must have."""

from typing import Literal, NamedTuple

type Sign = Literal["±", "+", "-"]


class Source(NamedTuple):
    """One row of the table: its Chinese name and the sign that `amt` must have."""

    name: str
    sign: Sign


SOURCES: dict[int, Source] = {
    0: Source("其他", "±"),
    1: Source("充值", "+"),
    2: Source("道具购买", "+"),
    3: Source("三卡购买", "+"),
    4: Source("服务购买", "+"),
    5: Source("活动", "±"),
    6: Source("赛事", "±"),
    7: Source("捐赠", "±"),
    8: Source("兑换", "-"),
    9: Source("过期", "-"),
    10: Source("活跃", "+"),
    11: Source("回滚", "±"),
    12: Source("约战", "±"),
    13: Source("组队", "±"),
    14: Source("游戏家联盟", "±"),
    15: Source("悬赏广场", "±"),
    16: Source("活动工具", "±"),
}


def sign_allows(source: int, amt: int) -> bool:
    """Whether an order of `source` may move `amt` whole points; 0 moves nothing and is never allowed."""
    match SOURCES[source].sign:
        case "+":
            return amt > 0
        case "-":
            return amt < 0
        case "±":
            return amt != 0
