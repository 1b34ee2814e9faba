"""Which version runs."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Return what is installed; a folder that was never installed has none."""
    try:
        return version("kasparro")
    except PackageNotFoundError:
        return "0.0.0+not.installed"
