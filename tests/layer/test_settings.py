"""Settings: each variable by name, none assumed."""

import pytest

from settlement.settings import MissingSetting, Settings

ENVIRONMENT = {
    "SETTLEMENT_TABLE": "s",
    "TOTALS_TABLE": "t",
    "NOTIFICATION_TABLE": "n",
    "APP_TABLE": "a",
    "NOTIFICATION_QUEUE_URL": "q",
    "DEAD_LETTER_QUEUE_URL": "d",
    "MASTER_SECRET_ID": "m",
    "PAGE_SIZE": "20",
    "TOTALS_SHARDS": "4",
    "PUBLIC_BASE_URL": "",
    "ALLOW_LOCAL_RECEIVERS": "false",
    "STATEMENT_BUCKET": "b",
    "STATEMENT_UTC_OFFSET_MINUTES": "480",
}


def test_settings_are_what_the_environment_says() -> None:
    settings = Settings.read({**ENVIRONMENT, "UNRELATED": "x"})
    assert settings == Settings("s", "t", "n", "a", "q", "d", "m", 20, 4, "", False, "b", 480)
    assert Settings.read({**ENVIRONMENT, "ALLOW_LOCAL_RECEIVERS": "true"}).allow_local_receivers is True
    assert Settings.read({**ENVIRONMENT, "STATEMENT_UTC_OFFSET_MINUTES": "-300"}).statement_utc_offset_minutes == -300
    assert {name.upper() for name in Settings._fields} == set(ENVIRONMENT)


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_variable_names_itself(name: str) -> None:
    with pytest.raises(MissingSetting, match=rf"\b{name}\b"):
        Settings.read({key: value for key, value in ENVIRONMENT.items() if key != name})


MALFORMED = [
    (name, value)
    for name in ("PAGE_SIZE", "TOTALS_SHARDS")
    for value in ("", "0", "-1", "+1", "1.0", "1e1", "x", " 1", "1 ", "١", "１", "undefined")
]
MALFORMED += [(name, "") for name in ENVIRONMENT if name.endswith(("_TABLE", "_QUEUE_URL", "_ID", "_BUCKET"))]
MALFORMED += [
    ("STATEMENT_UTC_OFFSET_MINUTES", value)
    for value in ("", "+480", "8h", "UTC+8", "--1", "-", "841", "-841", "４８０")
]
MALFORMED += [
    ("ALLOW_LOCAL_RECEIVERS", value) for value in ("", "True", "FALSE", "1", "0", "yes", " true", "undefined")
]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_a_malformed_variable_names_itself(name: str, value: str) -> None:
    with pytest.raises(MissingSetting, match=rf"\b{name}\b"):
        Settings.read({**ENVIRONMENT, name: value})
