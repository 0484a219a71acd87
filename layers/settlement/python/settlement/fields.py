"""Field types that the requests of both APIs are made of. JSON types are strict: no "5", 5.0 or true for an integer."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1


class Request(BaseModel):
    """A request's body. Fields stand in the order in which their faults are reported; unknown ones are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", regex_engine="rust-regex")


def fault(message: str) -> PydanticCustomError:
    """A fault in the words that the caller reads in `detail`. `message` must not hold the caller's own text."""
    return PydanticCustomError("contract", message)


def utf8(minimum: int, maximum: int) -> AfterValidator:
    """A string's length in bytes of UTF-8: what the tables' keys and rows hold."""

    def check(value: str) -> str:
        if not minimum <= len(value.encode()) <= maximum:
            raise fault(f"must be {minimum} to {maximum} bytes of UTF-8")
        return value

    return AfterValidator(check)


def _empty_is_absent(value: object) -> object:
    return None if value == "" else value


Text = Annotated[str, utf8(1, 128)]
"""Every string without a stated length."""

OptionalText = Annotated[Text | None, BeforeValidator(_empty_is_absent)]

Int32 = Annotated[int, Field(ge=-INT32_MAX - 1, le=INT32_MAX)]
