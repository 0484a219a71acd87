"""Field types that the requests of both APIs are made of. JSON types are strict: no "5", 5.0 or true for an integer."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from settlement.errors import BadRequest
from settlement.strictjson import JsonObject

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1


_FAULTS: Final = {
    "missing": "is missing",
    "int_type": "must be an integer",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_pattern_mismatch": "must match {pattern}",
}
"""Pydantic's kinds of faults in our words: its own name our classes."""


class Request(BaseModel):
    """A request's body. Fields stand in the order in which their faults are reported; unknown ones are ignored."""

    # Built when a door asks for it (endpoint): a door imports more models than the one it uses.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", regex_engine="rust-regex", defer_build=True)


def validated[R: Request](model: type[R], fields: JsonObject) -> R:
    """The request that `fields` is. Raises BadRequest with the first fault, in the order of the model's fields."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        ours = _FAULTS.get(first["type"])
        text = first["msg"] if ours is None else ours.format_map(first.get("ctx", {}))
        raise BadRequest(f"{where}: {text}" if where else text) from None


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


def _none_for_empty(value: object) -> object:
    return None if value == "" else value


EMPTY_IS_ABSENT = BeforeValidator(_none_for_empty)

Text = Annotated[str, utf8(1, 128)]
"""Every string without a stated length."""

OptionalText = Annotated[Text | None, EMPTY_IS_ABSENT]

Int32 = Annotated[int, Field(ge=-INT32_MAX - 1, le=INT32_MAX)]
