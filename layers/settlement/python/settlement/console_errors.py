"""What can be wrong with a call of the console, beside what `errors` names for every door.

ConsoleRefusal
├── NotFound           404  not_found          app, notification or path
├── AlreadyDelivered   409  already_delivered  redeliver: the receiver has acknowledged it
├── NoReceiver         409  no_receiver        the app has no notify_url
├── UnderWay           409  under_way          an attempt is under way, or was made this moment
├── StepRefused        409  rotation_refused   the step of a rotation is not possible now
├── Contended          409  contended          others were faster, again and again; nothing was changed
└── NotCounted         409  not_counted        replay: what is to be told again was not counted like this
"""

from typing import ClassVar


class ConsoleRefusal(Exception):
    """`detail` is shown to the operator: it says which, or why."""

    status: ClassVar[int] = 409
    code: ClassVar[str]
    text: ClassVar[str]

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class NotFound(ConsoleRefusal):
    status = 404
    code = "not_found"
    text = "There is no such thing."


class AlreadyDelivered(ConsoleRefusal):
    code = "already_delivered"
    text = "The receiver has acknowledged it; again tells it once more."


class NoReceiver(ConsoleRefusal):
    code = "no_receiver"
    text = "The app has no notify_url."


class UnderWay(ConsoleRefusal):
    code = "under_way"
    text = "An attempt is under way, or was made this moment; nothing was changed."


class StepRefused(ConsoleRefusal):
    code = "rotation_refused"
    text = "This step is not possible now; nothing was changed."


class Contended(ConsoleRefusal):
    code = "contended"
    text = "Somebody else is changing it; nothing was changed."


class NotCounted(ConsoleRefusal):
    code = "not_counted"
    text = "What is to be told again was not counted like this, or too long ago; count again."
