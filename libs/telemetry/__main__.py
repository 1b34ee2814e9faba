"""Write the table of docs/metrics.md anew from the catalogue: `python -m libs.telemetry` (`make metrics-table`)."""

from pathlib import Path
from typing import Final

from libs.telemetry.declaring import Kind, Metric
from libs.telemetry.labels import Label
from libs.telemetry.metrics import CATALOGUE

PAGE: Final = Path("docs/metrics.md")
BEGIN, END = "<!-- the table is written by `make metrics-table` -->\n", "<!-- end of the table -->"


def table() -> str:
    """Return the table."""
    head = "| metric | labels | told by | what it means | what to do |\n|---|---|---|---|---|\n"
    return head + "".join(f"{_row(metric)}\n" for metric in CATALOGUE)


def page_with_table(page: str) -> str:
    """Return the page with the table as the catalogue has it now."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table() + END + after


def _row(metric: Metric) -> str:
    kind = "" if metric.kind is Kind.GAUGE else f" ({metric.kind})"
    labels = ", ".join(f"`{label.name}`: {_bound(label)}" for label in metric.labels)
    services = ", ".join(metric.services)
    return f"| `{metric.name}`{kind} | {labels} | {services} | {metric.means} | {metric.advice} |"


def _bound(label: Label) -> str:
    return label.bounded_by or " ".join(f"`{value}`" for value in sorted(label.values))


def main() -> None:
    """Write it."""
    PAGE.write_text(page_with_table(PAGE.read_text()))
    print(PAGE)


if __name__ == "__main__":
    main()
