"""Every source, found by looking: a module of libs/sources with a SOURCE is one."""

from collections.abc import Collection, Mapping
from importlib import import_module
from pkgutil import iter_modules

import libs.sources
from libs.sources.source import Source


def _sources() -> dict[str, Source]:
    modules = (
        import_module(f"libs.sources.{module.name}")
        for module in iter_modules(libs.sources.__path__)
        if module.name != "catalogue"
    )
    found = [source for module in modules if isinstance(source := getattr(module, "SOURCE", None), Source)]
    return {source.name: source for source in sorted(found, key=lambda source: source.priority)}


SOURCES: Mapping[str, Source] = _sources()
"""By name, in order of priority."""

PRIORITIES: Mapping[str, int] = {source.name: source.priority for source in SOURCES.values()}

OPTIONAL: frozenset[str] = frozenset(source.name for source in SOURCES.values() if source.optional)
"""Those that run only where EXTRA_SOURCES names them."""


def running(extra: Collection[str]) -> tuple[str, ...]:
    """Return the sources that run when these optional ones are named, in order of priority."""
    return tuple(name for name in SOURCES if name not in OPTIONAL or name in extra)
