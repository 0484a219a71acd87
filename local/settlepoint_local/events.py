"""Writes the event files.

python -m settlepoint_local.events            events/: the committed ones, always the same bytes
python -m settlepoint_local.events --fresh    .local/events/: signed now, for the running local stack, where it makes
                                              the apps that they are signed by
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import simplejson

from settlectl.deployment import Deployment, local
from settlectl.failures import NoStack
from settlement.apps import AppExists
from settlement.clock import now_ms
from settlepoint_local.project import LOCAL, ROOT
from settlepoint_local.scene import APPS, GENERATION, Scene
from settlepoint_local.situations import SITUATIONS

EVENTS = ROOT / "events"
FRESH_EVENTS = LOCAL / "events"


def files(scene: Scene) -> Iterator[tuple[str, str]]:
    """Each file's path, relative to the folder of them all, and its text."""
    for situation in SITUATIONS.values():
        text = simplejson.dumps(situation.event(scene), indent=2, ensure_ascii=False)
        yield f"{situation.key}.json", text + "\n"


def write(folder: Path, scene: Scene) -> int:
    """Writes all, removes those of situations that are gone; gives back how many there are."""
    written = set()
    for name, text in files(scene):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.add(path)
    for path in set(folder.glob("*/*.json")) - written:
        path.unlink()
    return len(written)


def enter(deployment: Deployment) -> Scene:
    """Makes the scene's apps in a local stack, and gives back the scene as it is there: its master secret, its time."""
    for app in APPS.values():
        try:
            deployment.apps.create(app, deployment.keyring)
        except AppExists:
            continue
    secrets = deployment.session.client("secretsmanager", endpoint_url=deployment.endpoint_url)
    masters = simplejson.loads(secrets.get_secret_value(SecretId=deployment.master_secret_id)["SecretString"])
    return Scene(masters[str(GENERATION)], now_ms())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m settlepoint_local.events", description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="sign for the running local stack, into .local/events/")
    folder, scene = EVENTS, Scene()
    if parser.parse_args().fresh:
        try:
            folder, scene = FRESH_EVENTS, enter(local(ROOT))
        except NoStack as error:
            sys.stderr.write(f"{error}\n")
            return 1
    count = write(folder, scene)
    sys.stdout.write(f"{count} events in {folder.relative_to(ROOT)}/\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
