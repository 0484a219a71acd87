"""GET /asc/{signature}: where this deployment's game API is, for the merchant whose path it is."""

from settlement.clock import now_ms
from settlement.door import Door, Event
from settlement.endpoint import base_url, public_endpoint
from settlement.errors import UnknownPath
from settlement.game_messages import ApiDirectory, api_directory

door = Door("get_api_directory")


@public_endpoint(door)
def handler(event: Event) -> dict[str, ApiDirectory]:
    signature = event["pathParameters"]["signature"]
    if door.apps.find_by_directory(signature, now_ms()) is None:
        raise UnknownPath
    return {"api": api_directory(base_url(event, door.settings.public_base_url))}
