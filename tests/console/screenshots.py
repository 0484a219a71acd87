"""Takes docs/images/console-*.png anew, from the furnished world: `python -m tests.console.screenshots`.

Chinese needs a font that has it, such as Debian's fonts-wqy-zenhei.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from settlement.notifications import club_notify_id
from settlepoint_local import in_process
from settlepoint_local.project import ROOT

from .furnishing import OPENID, furnish
from .looking import NARROW, WIDE, Look, browsing
from .serving import serving

IMAGES: Final = ROOT / "docs" / "images"
HEIGHT: Final = 780


class Picture(NamedTuple):
    name: str
    path: str
    query: Mapping[str, str] = MappingProxyType({})
    width: int = WIDE
    language: str = "en"
    scheme: str = "light"
    press: str | None = None
    """A button that is pressed first."""


RETRYING: Final = f"notifications/{club_notify_id('club-a', 'bill-1001')}"
DEAD: Final = {"app": "club-a", "status": "dead retrying", "range": "91d"}
PICTURES: Final = (
    Picture("overview", ""),
    Picture("search", "search", {"id": "bill-1001"}),
    Picture("settlements", "settlements", {"app": "club-a", "openid": OPENID}),
    Picture("settlements-zh", "settlements", {"app": "club-a", "openid": OPENID}, NARROW, "zh", "dark"),
    Picture("notification", RETRYING),
    Picture("notification-narrow", RETRYING, {}, NARROW),
    Picture("replay", "notifications", DEAD, NARROW, press="Redeliver all of these …"),
    Picture("app", "apps/merchant-a", {}, WIDE, "en", "dark"),
)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with in_process.aws(), in_process.world() as world, browsing() as browser:
        furnish(world)
        with serving(world) as gateway:
            for picture in PICTURES:
                width, language, scheme = picture.width, picture.language, picture.scheme
                look = Look(browser, gateway.url, gateway.token(), width=width, language=language, scheme=scheme)
                look.page.set_viewport_size({"width": picture.width, "height": HEIGHT})
                look.go(picture.path, **picture.query)
                if picture.press:
                    look.button(picture.press).click()
                    look.dialog().wait_for()
                look.page.screenshot(path=IMAGES / f"console-{picture.name}.png")
                look.close()


if __name__ == "__main__":
    main()
