"""The dashboard as Grafana reads it: `python -m deploy.grafana.dashboard` (`make dashboard`) writes dashboards/kasparro.json."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deploy.grafana.panels import ROWS, Panel

WRITTEN: Final = Path("deploy/grafana/dashboards/kasparro.json")
SOURCE_OF_DATA: Final = {"type": "prometheus", "uid": "${datasource}"}
FULL_WIDTH: Final = 24
HEIGHTS: Final = {"stat": 4, "timeseries": 8, "table": 8}

Document = dict[str, Any]


def dashboard() -> Document:
    """Return the whole of it."""
    return {
        "uid": "kasparro",
        "title": "Kasparro",
        "tags": ["kasparro"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,  # one crosshair over all panels: what happened at the same time is seen
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_datasource(), _source()]},
        "panels": list(_panels()),
    }


def _panels() -> Iterator[Document]:
    number, y = 1, 0
    for row in ROWS:
        place = {"x": 0, "y": y, "w": FULL_WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        number, y, x, height = number + 1, y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > FULL_WIDTH:
                x, y, height = 0, y + height, 0
            height = max(height, HEIGHTS[panel.kind])
            yield _panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": HEIGHTS[panel.kind]})
            number, x = number + 1, x + panel.width
        y += height


def _panel(panel: Panel, number: int, place: Document) -> Document:
    instant = panel.kind != "timeseries"
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE_OF_DATA,
            "expr": expression,
            "legendFormat": legend or "__auto",
            "instant": instant,
            "range": not instant,
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for index, (legend, expression) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.means,
        "datasource": SOURCE_OF_DATA,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
    }


def _field(panel: Panel) -> Document:
    field: Document = {"unit": panel.unit, "min": 0}
    if panel.kind == "timeseries":
        field["custom"] = {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if panel.stacked else "none"}}
    if panel.alarming is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.alarming}]
        field["thresholds"] = {"mode": "absolute", "steps": steps}
    return field


def _options(panel: Panel) -> Document:
    match panel.kind:
        case "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value" if panel.alarming is None else "background"}
        case "timeseries":
            return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "table":
            return {"showHeader": True}


def _datasource() -> Document:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0}


def _source() -> Document:
    query = "label_values(kasparro_source_interval_seconds, source)"
    return {
        "name": "source",
        "type": "query",
        "label": "Source",
        "datasource": SOURCE_OF_DATA,
        "definition": query,
        "query": {"query": query, "refId": "sources"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def main() -> None:
    """Write it."""
    WRITTEN.write_text(json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n")
    print(WRITTEN)


if __name__ == "__main__":
    main()
