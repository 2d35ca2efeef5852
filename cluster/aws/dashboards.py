"""Grafana's JSON of the dashboards in ``60-observe/dashboards.yaml``.

Who has a Grafana elsewhere imports what `make cluster-plan` writes. Pure but for that file.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Dashboard = dict[str, Any]

_FILE = Path(__file__).parent / "60-observe" / "dashboards.yaml"
#: Columns of Grafana's page, and rows that a panel is high.
_COLUMNS, _ROWS, _ROWS_OF_NUMBER = 24, 8, 5
#: The one source of all queries, by the uid that helm-values/grafana.yaml gives to it.
_SOURCE = {"type": "prometheus", "uid": "prometheus"}
#: Of the JSON that is written here; Grafana brings it up to date as it reads it.
_SCHEMA = 39


def read_dashboards() -> list[dict[str, Any]]:
    """Dashboards as they are written, by hand."""
    listed: list[dict[str, Any]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return listed


def list_queries(dashboards: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Panel and query of all panels, for who checks them."""
    for each in dashboards:
        for panel in each["panels"]:
            for query in panel["queries"].values():
                yield f"{each['title']}: {panel['title']}", query


def build_dashboard(written: Mapping[str, Any]) -> Dashboard:
    """One dashboard in Grafana's JSON.

    Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
    """
    return {
        "uid": f"notebook-hpc-{written['name']}",
        "title": written["title"],
        "tags": ["notebook-hpc"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "panels": [*_place(written["panels"])],
    }


def _place(panels: Sequence[Mapping[str, Any]]) -> Iterator[Dashboard]:
    """Panels two to a row, or one that is as wide as the page."""
    left = top = height = 0
    for number, panel in enumerate(panels, 1):
        width = _COLUMNS if panel.get("whole") else _COLUMNS // 2
        if left + width > _COLUMNS:
            left, top = 0, top + height
        height = _ROWS_OF_NUMBER if panel.get("number") else _ROWS
        place = {"x": left, "y": top, "w": width, "h": height}
        yield {"id": number, "gridPos": place, **_build_panel(panel)}
        left += width


def _build_panel(panel: Mapping[str, Any]) -> Dashboard:
    is_number = bool(panel.get("number"))
    targets = [
        {
            "refId": chr(ord("A") + number),
            "datasource": _SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": is_number,
            "range": not is_number,
        }
        for number, (legend, query) in enumerate(panel["queries"].items())
    ]
    defaults: Dashboard = {"unit": panel.get("unit", "short"), "min": 0}
    if not is_number:
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    options: Dashboard = {"legend": {"displayMode": "list", "placement": "bottom"}}
    if is_number:
        # What nobody counted yet is 0.
        defaults["noValue"] = "0"
        reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        options = {"reduceOptions": reduced, "textMode": "value_and_name", "colorMode": "none"}
    return {
        "type": "stat" if is_number else "timeseries",
        "title": panel["title"],
        "datasource": _SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }
