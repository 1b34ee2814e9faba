"""The dashboard is its source's, asks for what is told, and says of every panel what it means."""

import json

import pytest
import yaml

from deploy.grafana.dashboard import FULL_WIDTH, WRITTEN, dashboard
from deploy.grafana.panels import ROWS, Panel
from tests.unit.deploy.expressions import complaints

PANELS = [panel for row in ROWS for panel in row.panels]


def test_what_is_written_is_the_sources() -> None:
    assert json.loads(WRITTEN.read_text()) == dashboard(), "run `make dashboard`"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_asks_only_for_what_is_told_and_says_what_it_means(panel: Panel) -> None:
    assert len(panel.means) > 20
    assert panel.unit
    for expression in panel.queries.values():
        assert complaints(expression.replace("$__rate_interval", "5m").replace("$source", ".*")) == []


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["title"] for panel in panels}) == len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= FULL_WIDTH
        taken |= cells


def test_grafana_is_told_where_prometheus_and_the_dashboard_are() -> None:
    folder = WRITTEN.parents[1] / "provisioning"
    (datasource,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/kasparro.yml").read_text())["providers"]
    assert (datasource["type"], datasource["url"]) == ("prometheus", "http://prometheus:9090")
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
