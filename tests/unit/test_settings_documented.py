"""Every variable, of the code and of the compose files, stands in README's table and in .env.example, and nothing else does."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

MODULES = sorted(Path("services").rglob("settings.py"))
COMPOSE = ("docker-compose.yml", "deploy/compose.sandbox.yml")
OPTIONAL_PREFIX = "# "


def settings_classes() -> Iterator[type[BaseSettings]]:
    for path in MODULES:
        module = importlib.import_module(".".join(path.with_suffix("").parts))
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, BaseSettings) and thing.__module__ == module.__name__:
                yield thing


def variables_of(settings: type[BaseSettings]) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        alias = field.validation_alias or field.alias
        if isinstance(alias, AliasChoices):
            yield from (str(choice) for choice in alias.choices if str(choice).isupper())
        else:
            yield (alias or name).upper() if isinstance(alias, str) or alias is None else name.upper()


def in_code() -> set[str]:
    return {variable for settings in settings_classes() for variable in variables_of(settings)}


def in_compose() -> set[str]:
    """What containers alone are told: passwords, versions and ports that no process of ours reads."""
    return {name for file in COMPOSE for name in re.findall(r"\$\{([A-Z][A-Z0-9_]+)", Path(file).read_text())}


def in_readme() -> set[str]:
    section = Path("README.md").read_text().split("## Configuration")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {variable for row in rows for variable in re.findall(r"`([A-Z][A-Z0-9_]+)`", row)}


def in_example() -> set[str]:
    lines = Path(".env.example").read_text().splitlines()
    return {line.removeprefix(OPTIONAL_PREFIX).split("=")[0] for line in lines if re.match(r"(# )?[A-Z][A-Z0-9_]*=", line)}


def test_readme_has_every_variable_and_no_other() -> None:
    assert in_readme() == in_code() | in_compose()


def test_env_example_has_every_variable_and_no_other() -> None:
    assert in_example() == in_code() | in_compose()


@pytest.mark.parametrize("settings", list(settings_classes()), ids=lambda settings: settings.__name__)
def test_every_setting_says_what_it_is(settings: type[BaseSettings]) -> None:
    assert [name for name, field in settings.model_fields.items() if not field.description] == []
