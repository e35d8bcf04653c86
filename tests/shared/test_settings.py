"""Settings from variables."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings import Settings, SettingsError
from tests.cases import case

NUMBERS = {
    each.metadata["variable"]: each for each in fields(Settings) if isinstance(each.default, int | float)
}


def test_without_variables_the_defaults_hold() -> None:
    """Also where a variable is there and blank, as templates leave it."""
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env(dict.fromkeys(Settings.variables(), "  ")) == Settings()
    assert Settings.from_env({"PATH": "/bin", "table_name": "other"}) == Settings()


def test_every_field_has_a_variable_of_its_own() -> None:
    """Named in capitals."""
    variables = Settings.variables()
    assert len(set(variables)) == len(variables) == len(fields(Settings))
    assert all(variable == variable.upper() for variable in variables)


def test_a_number_is_taken() -> None:
    """Of the field's own type, blanks around it do not matter."""
    for variable, field in NUMBERS.items():
        with case(variable):
            value: Any = getattr(Settings.from_env({variable: " 7 "}), field.name)
            assert value == 7
            assert type(value) is type(field.default)


def test_a_text_is_taken() -> None:
    """As it is, without blanks around it."""
    given = Settings.from_env({"TABLE_NAME": " chat ", "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:4566"})
    assert (given.table_name, given.dynamodb_endpoint_url) == ("chat", "http://127.0.0.1:4566")


def test_a_number_that_is_not_positive_is_refused() -> None:
    """The error names the variable."""
    for text in ["0", "-1", "nan", "inf", "-inf", "many", "1,5", "0x10", "1 2"]:
        for variable in NUMBERS:
            with case(text, variable), pytest.raises(SettingsError, match=variable):
                Settings.from_env({variable: text})


@given(st.sampled_from(sorted(NUMBERS)), st.text())
def test_any_text_is_a_number_or_refused(variable: str, text: str) -> None:
    """Nothing else is raised, and nothing but a usable number is taken."""
    try:
        given = Settings.from_env({variable: text})
    except SettingsError:
        return
    assert 0 < getattr(given, NUMBERS[variable].name) < float("inf")
