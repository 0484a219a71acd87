"""The page's words: the same keys in each language, each of them used, none missing."""

import json
import re
from itertools import pairwise
from typing import Final

from settlement.console_errors import ConsoleRefusal
from settlement.delivery import ERROR_CLASSES
from settlement.ledger import STATUSES
from settlement.sources import SOURCES
from settlepoint_local.project import ROOT

STATIC: Final = ROOT / "functions" / "console" / "static"
LANGUAGES: Final = ("en", "zh")
SAME: Final = {"field.openid", "attempt.http", *(f"error_class.http_{kind}" for kind in ("1xx", "4xx", "5xx", "429"))}
"""What is written alike in both."""
_COUNTED: Final = (".one", ".other")


def words(language: str) -> dict[str, str]:
    module = (STATIC / f"{language}.js").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(module.partition("export default ")[2].rstrip().removesuffix(";"))
    return found


def asked_for() -> set[str]:
    """Every quoted word of the screens that may be a key; what a template fills in reads `*`."""
    modules = (path.read_text(encoding="utf-8") for path in STATIC.glob("*.js") if path.stem not in LANGUAGES)
    quoted = re.compile(r"""["`]([\w.]+|(?:[\w.]*\$\{[^`]*?\}[\w.]*)+)["`]""")
    return {re.sub(r"\$\{.*?\}", "*", name) for module in modules for name in quoted.findall(module)}


def test_both_languages_have_the_same_keys_in_the_same_sequence() -> None:
    assert list(words("en")) == list(words("zh"))


def test_both_languages_fill_in_the_same_values() -> None:
    filled = [{key: sorted(re.findall(r"\{\w+\}", text)) for key, text in words(name).items()} for name in LANGUAGES]
    assert filled[0] == filled[1]


def test_every_text_is_there_and_in_its_language() -> None:
    english, chinese = words("en"), words("zh")
    assert all(text.strip() for text in (*english.values(), *chinese.values()))
    assert {key for key, text in english.items() if text == chinese[key]} == SAME
    assert {key for key, text in english.items() if re.search(r"[\u4e00-\u9fff]", text)} == set()


def test_singular_and_plural_come_together() -> None:
    counted = [key for key in words("en") if key.endswith(_COUNTED)]
    assert all(one.removesuffix(".one") == other.removesuffix(".other") for one, other in [*pairwise(counted)][::2])


def test_no_text_is_left_that_no_screen_uses() -> None:
    used = [re.compile(re.escape(name).replace(r"\*", r"\w+")) for name in asked_for() if re.search(r"\w", name)]
    keys = {key.removesuffix(".one").removesuffix(".other") for key in words("en")}
    assert {key for key in keys if not any(pattern.fullmatch(key) for pattern in used)} == set()


def test_every_key_that_a_screen_names_has_words() -> None:
    literal = re.compile(r"""\b(?:text|counted)\(\s*"([^"]+)\"""")
    modules = (path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    named = {name for module in modules for name in literal.findall(module)}
    assert len(named) > 100
    assert {name for name in named if name not in words("en") and f"{name}.other" not in words("en")} == set()


def test_what_the_door_says_in_codes_has_words() -> None:
    codes = {refusal.code for refusal in ConsoleRefusal.__subclasses__()}
    expected = {
        *(f"error.{code}" for code in codes),
        *(f"status.{status}" for status in STATUSES),
        *(f"error_class.{name}" for name in ERROR_CLASSES),
        *(f"source.{number}" for number in SOURCES),
    }
    assert codes
    assert expected <= words("en").keys()


def test_sources_are_called_what_the_contract_calls_them() -> None:
    named = {number: words("zh")[f"source.{number}"] for number in SOURCES}
    assert named == {number: source.name for number, source in SOURCES.items()}
