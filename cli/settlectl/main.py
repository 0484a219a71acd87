"""The command line's root: where it works, which commands there are, and how a failure is told."""

from typing import Annotated, Any, Final

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from settlectl import (
    apps,
    catching_up,
    listening,
    notifications,
    orders,
    pinging,
    reconciling,
    rotation,
    settlements,
    statements,
    status,
    sud,
    tokens,
    totals,
)
from settlectl.console import fail
from settlectl.deployment import Choice
from settlectl.failures import CommandFailed
from settlement.draining import BreakerContended
from settlement.keyring import MasterSecretUnusable

GLOBAL_OPTIONS: Final = ("--stack-name", "--region", "--profile")


class Commands(TyperGroup):
    """Takes the global options wherever they stand, and tells a failure in one line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_global_options_first(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandFailed as failure:
            fail(str(failure))
            raise typer.Exit(failure.exit_status) from failure
        except (BotoCoreError, ClientError, BreakerContended, MasterSecretUnusable) as error:
            fail(str(error))
            raise typer.Exit(CommandFailed.exit_status) from error


def with_global_options_first(arguments: list[str]) -> list[str]:
    """The same arguments, the global options and their values before the command; what follows `--` stays."""
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in GLOBAL_OPTIONS:
            first += [argument, *([value] if (value := next(remaining, None)) is not None else [])]
        elif argument.startswith(tuple(f"{name}=" for name in GLOBAL_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks would show secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)
apps.commands.add_typer(rotation.commands)  # without a name: they are commands of `app`
apps.commands.add_typer(pinging.commands)
notifications.commands.add_typer(catching_up.commands)
app.add_typer(apps.commands, name="app")
app.add_typer(tokens.commands, name="token")
app.add_typer(orders.commands, name="order")
app.add_typer(notifications.commands, name="notifications")
app.add_typer(settlements.commands, name="settlements")
app.add_typer(totals.commands, name="totals")
app.add_typer(statements.commands, name="statement")
app.add_typer(sud.commands, name="sud")
app.command("listen")(listening.listen)
app.command("reconcile", help=reconciling.HELP)(reconciling.reconcile)
app.command("status", help=status.HELP)(status.status)


@app.callback(
    help="""
    The operator's tool of Settlepoint: apps, tokens, orders, notifications,
    settlements, totals.

    Works on the local stack that `make run` keeps for the current folder's
    project, or on AWS with --stack-name, --region and --profile. These three
    may stand before or after the command:

        settlectl app list
        settlectl app list --stack-name settlepoint --region eu-central-1

    Every command has --json: then stdout has one JSON value and nothing else.
    Messages go to stderr.

    Completion of commands and options, in bash, zsh, fish or PowerShell:
    settlectl --install-completion, then a new terminal.

    Exit status: 0 done; 1 refused or failed, and stderr says why in one line;
    2 wrong usage; 130 interrupted.
    """
)
def settlectl(
    context: typer.Context,
    stack_name: Annotated[
        str | None, typer.Option(help="CloudFormation stack on AWS; without it, the local stack.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="AWS region; else as your AWS configuration says.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile; else as your AWS configuration says.")] = None,
) -> None:
    context.obj = Choice(stack_name, region, profile)
