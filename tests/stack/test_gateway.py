"""What API Gateway answers by itself: an envelope of both APIs at once.

Not to be had here, for the emulator has no such answers: its own 413 (10 MB), throttling (429), timeouts and crashes
(504, 502), a firewall's 403. Their bodies are compared with the template's here.
"""

import pytest

from settlepoint_local.template import gateway_responses

from .system import System
from .wire import send

pytestmark = pytest.mark.stack

UNKNOWN_PATH = {"ret": 1404, "msg": "接口不存在", "ret_code": 1404, "ret_msg": "接口不存在"}
AUTHORIZATIONS = (
    None,
    "Bearer x.y.z",
    "x.y.z",
    'Sud-Auth app_id="a",timestamp="1",nonce="n",signature="s"',
    "AWS4-HMAC-SHA256 Credential=x",  # half a SigV4 header: an error that has no name, so the default
)


@pytest.mark.parametrize("authorization", AUTHORIZATIONS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/upbot/api/NoSuchCall"),
        ("POST", "/v1/app/server/no_such_call"),
        ("POST", "/v1/app/server/create_order/further"),
        ("POST", "/"),
        ("GET", "/asc/"),
        ("GET", "/upbot/api/SetClubJfSettle"),
        ("PUT", "/v1/app/server/create_order"),
        ("DELETE", "/v1/mg/server/user_settle"),
        ("POST", "/asc/x"),
    ],
)
def test_an_unknown_path_or_method_is_404_whoever_calls(
    system: System, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = send(system.base_url + path, b"{}" if method != "GET" else None, headers, method)
    assert (answer.status, answer.json) == (404, UNKNOWN_PATH)
    assert answer.content_type.startswith("application/json")


def test_what_is_deployed_is_what_the_template_says(system: System) -> None:
    deployed = {
        response["responseType"]: (response.get("statusCode"), response["responseTemplates"]["application/json"])
        for response in system.api_gateway.get_gateway_responses(restApiId=system.stack.api_id)["items"]
        if not response["defaultResponse"]
    }
    assert deployed == {
        kind: (
            str(response["StatusCode"]) if "StatusCode" in response else None,
            *response["ResponseTemplates"].values(),
        )
        for kind, response in gateway_responses().items()
    }
