"""Rotating an app's secret in steps that cut nobody off. Pure: the app as it is and the moment in, what to store out.

    step                     accepted from the app    webhook-signature    Sud-Signature
                             1                        1                    1
    rotated                  1, 2                     2 and 1              1
    activated                1 until the end, 2       2 and 1              2
    retired, or the end      2                        2                    2

The overlap's end is set by activating: however long an app takes to install its new secret, no clock cuts it off. The
newest version never has an end and never leaves the row, so that its number is the highest ever given.

RotationRefused
├── TwoInUse            rotate: the rotation before is not over
├── NothingPending      rotate again: the newest version signs already
├── NothingOlder        activate, retire: there is no second version in use
└── NotActivated        retire: the newest version does not sign yet

Source: DESIGN section 4.
"""

from copy import replace
from typing import Final, Literal

from settlement.apps import App, SecretVersion

FIRST_VERSION: Final = 1
OVERLAP_MS: Final = 24 * 3_600_000
MAX_OVERLAP_MS: Final = 30 * 24 * 3_600_000

type State = Literal["signs", "accepted", "ended"]
type Step = Literal["none", "rotated", "activated"]


class RotationRefused(Exception):
    """Carries the sentence that says why; nothing is to be written."""


class TwoInUse(RotationRefused):
    pass


class NothingPending(RotationRefused):
    pass


class NothingOlder(RotationRefused):
    pass


class NotActivated(RotationRefused):
    pass


def rotated(app: App, generation: int, now_ms: int, *, again: bool = False) -> App:
    """With one version more, of the master of `generation`; what has ended leaves the row.

    `again` replaces the newest version, which must not sign yet: its secret was lost, or leaked, on its way to the app.
    Raises TwoInUse, NothingPending.
    """
    in_use = app.versions_in_use(now_ms)
    signing = signing_version(app, now_ms)
    if again and (not in_use or signing == in_use[0].version):
        raise NothingPending(f"{_in_use(in_use)}, and the newest signs: there is none to replace")
    kept = in_use[1:] if again else in_use
    if len(kept) > 1:
        end = "activate the newest, then retire" if signing != in_use[0].version else "retire"
        raise TwoInUse(f"{_in_use(in_use)}: first {end} the older")
    new = SecretVersion(max((v.version for v in app.secret_versions), default=0) + 1, generation)
    return replace(app, secret_versions=(*kept, new), signing_version=signing or new.version)


def activated(app: App, now_ms: int, overlap_ms: int | None = None) -> App:
    """The newest version signs, and the older ones in use end after the overlap.

    Without `overlap_ms` an end that is set already stays: repeating the step changes nothing. With it the end is set
    anew. What has ended is never revived. Raises NothingOlder, and ValueError for an overlap that is not one.
    """
    if overlap_ms is not None and not 0 < overlap_ms <= MAX_OVERLAP_MS:
        raise ValueError("an overlap lasts at most 30 days")
    in_use = app.versions_in_use(now_ms)
    turned_over_before = len(in_use) == 1 and in_use[0].version > FIRST_VERSION
    if len(in_use) < 2 and not (turned_over_before and overlap_ms is None):
        raise NothingOlder(f"{_in_use(in_use)}: rotate first")
    newest, *older = in_use

    def ending(version: SecretVersion) -> SecretVersion:
        if version not in older or (version.retires_at_ms is not None and overlap_ms is None):
            return version
        return replace(version, retires_at_ms=now_ms + (OVERLAP_MS if overlap_ms is None else overlap_ms))

    return replace(app, secret_versions=tuple(map(ending, app.secret_versions)), signing_version=newest.version)


def retired(app: App, now_ms: int, *, at_once: bool = False) -> App:
    """Only the newest version is left. The older ones leave the row: no clock needs to agree that they have ended.

    `at_once` is the emergency: it does not wait for the newest to be activated. Raises NothingOlder, NotActivated.
    """
    in_use = app.versions_in_use(now_ms)
    if len(in_use) < 2:
        raise NothingOlder(f"{_in_use(in_use)}: rotate first")
    newest = in_use[0]
    if not at_once and signing_version(app, now_ms) != newest.version:
        raise NotActivated(f"version {newest.version} does not sign yet: activate it first")
    return replace(app, secret_versions=(newest,), signing_version=newest.version)


def signing_version(app: App, now_ms: int) -> int | None:
    """What `Sud-Signature` is made with now; None where no version is in use."""
    in_use = [version.version for version in app.versions_in_use(now_ms)]
    return app.signing_version if app.signing_version in in_use else next(iter(in_use), None)


def step_of(app: App, now_ms: int) -> Step:
    """How far a rotation is: none is under way, its second version is there, or that version signs."""
    in_use = app.versions_in_use(now_ms)
    if len(in_use) < 2:
        return "none"
    return "activated" if signing_version(app, now_ms) == in_use[0].version else "rotated"


def state_of(app: App, version: SecretVersion, now_ms: int) -> State:
    if version not in app.versions_in_use(now_ms):
        return "ended"
    return "signs" if version.version == signing_version(app, now_ms) else "accepted"


def _in_use(versions: list[SecretVersion]) -> str:
    numbers = " and ".join(str(version.version) for version in reversed(versions))
    if len(versions) < 2:
        return f"only version {numbers} of its secret is in use" if versions else "no version of its secret is in use"
    return f"versions {numbers} of its secret are in use"
