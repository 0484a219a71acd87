"""`settlectl sud`: calls of the game API, signed."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from settlectl.apps import AppId, directory_url
from settlectl.calls import Answer, Client, sud_authorization
from settlectl.console import AsJson, diagnostics, pretty, print_value, results, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed
from settlement.clock import now_ms

DIRECTORY: Final = "directory"
HEADERS_OF_INTEREST: Final = ("content-type", "retry-after", "x-amzn-requestid", "x-amzn-trace-id")


def call(deployment: Deployment, app_id: str, path: str, body: bytes) -> Answer:
    """POSTs `body`, these very bytes, signed by the app's newest secret. Raises NoSuchApp, NoAnswer, CommandFailed."""
    authorization = sud_authorization(_newest_secret(deployment, app_id), app_id, body, now_ms())
    return Client(deployment.base_url).post(path, body, authorization)


def read_directory(deployment: Deployment, app_id: str) -> Answer:
    """The app's API directory. Raises NoSuchApp, NoAnswer, CommandFailed."""
    url = directory_url(deployment, app_id, _newest_secret(deployment, app_id))
    return Client(deployment.base_url).get(url.removeprefix(deployment.base_url))


def _newest_secret(deployment: Deployment, app_id: str) -> str:
    app = deployment.app(app_id)
    if not app.enabled:
        warn(f"app {app_id} is disabled: the call will be refused (10004)")
    secrets = deployment.secrets_in_use(app, now_ms())
    if not secrets:
        raise CommandFailed(f"app {app_id}: no version of its secret is in use")
    return next(iter(secrets.values()))


def _read_body(body: str) -> bytes:
    if body == "-":
        return sys.stdin.buffer.read()
    if body.startswith("@"):
        try:
            return Path(body[1:]).read_bytes()
        except OSError as error:
            raise BadInput(f"--body {body}: {error.strerror}") from error
    return body.encode(errors="surrogateescape")  # the bytes of the command line


# ---------------------------------------------------------------------------------------------------- commands

commands = typer.Typer(no_args_is_help=True, help="The game API, by hand.")


@commands.callback()
def _sud() -> None:
    pass  # with a callback, `call` stays a command of its own even while it is the only one


@commands.command(
    "call",
    help="""
    Sign a body as an app, send it, print the answer.

    Exactly the bytes of --body are signed and sent, so that broken bodies can
    be tried, too. Exit status 0 means HTTP 2xx and ret_code 0. With --json,
    stdout has the answer's body as it came; one that is not JSON stands there
    as a JSON string.

        settlectl sud call /v1/app/server/query_order --app-id shop-1 \\
            --body '{"out_order_id":"order-1001"}'
        settlectl sud call /v1/app/server/create_order --app-id shop-1 \\
            --body @order.json --json | jq -r .data.order_id
        settlectl sud call directory --app-id shop-1

    PATH is below the deployment's base URL. Paths below /asc/ are fetched with
    GET and take no body; `directory` is the app's own API directory.
    """,
)
def _call(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Such as /v1/app/server/query_order, or `directory`.")],
    app_id: AppId,
    body: Annotated[str | None, typer.Option(metavar="JSON|@FILE|-", help="The body; - reads standard input.")] = None,
    as_json: AsJson = False,
) -> None:
    reads = path == DIRECTORY or path.startswith("/asc/")
    if not reads and not path.startswith("/"):
        raise BadInput(f"PATH {path!r}: must begin with /, or be the word {DIRECTORY}")
    if reads == (body is not None):
        raise BadInput(f"{path}: takes no --body" if reads else f"{path}: needs a --body")
    deployment = chosen(context)
    if path == DIRECTORY:
        answer = read_directory(deployment, app_id)
    elif body is None:
        answer = Client(deployment.base_url).get(path)
    else:
        answer = call(deployment, app_id, path, _read_body(body))
    _print_answer(answer, as_json=as_json)
    done = 200 <= answer.status < 300 and (reads or answer.code("ret_code") == 0)
    if not done:
        raise typer.Exit(CommandFailed.exit_status)


def _print_answer(answer: Answer, *, as_json: bool) -> None:
    about = diagnostics()
    about.print(Text(f"HTTP {answer.status}", style="green" if 200 <= answer.status < 300 else "bold red"))
    for name in HEADERS_OF_INTEREST:
        if name in answer.headers:
            about.print(Text(f"{name}: {answer.headers[name]}", style="dim"), soft_wrap=True)
    if not as_json:
        results().print(pretty(answer.value()), soft_wrap=True)
    elif answer.is_json():
        sys.stdout.buffer.write(answer.body.rstrip(b"\n") + b"\n")
        sys.stdout.buffer.flush()
    else:
        print_value(answer.body.decode(errors="replace"))
