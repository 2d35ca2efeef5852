"""How long a hindered start is waited for, as an administrator says it."""

import re
from pathlib import Path

import pytest
import yaml

from hub_config.platform.quantities import format_seconds
from offline_jobs.service.app import build_patience
from offline_jobs.service.errors import StartRefused
from offline_jobs.service.rules.steps import Patience
from offline_jobs.service.settings import WAITS, load_settings

ROOT = Path(__file__).parents[3]
CHART = ROOT / "extensions" / "offline_jobs" / "chart"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be said; nothing of it is read."""
    for name in ("STATE", "CATALOGUE", "HUB_API_URL", "HUB_TOKEN_FILE", "RUN_TOKEN_KEY_FILE"):
        monkeypatch.setenv(f"OFFLINE_JOBS_{name}", "nowhere")


def read(said: str, monkeypatch: pytest.MonkeyPatch) -> Patience:
    monkeypatch.setenv("OFFLINE_JOBS_LONGEST_WAITS", said)
    return build_patience(load_settings())


def test_waits_are_what_is_said_and_else_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("", monkeypatch) == Patience()
    assert read("machine=45 min", monkeypatch) == Patience(machine_seconds=2700)
    found = read("machine=2 h, image = 90 s,obstacle=1 d, report=10 s", monkeypatch)
    assert found == Patience(
        machine_seconds=7200, image_seconds=90, obstacle_seconds=86_400, report_seconds=10
    )


def test_waits_that_mean_nothing_are_refused_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartRefused) as caught:
        read("gpu=1 h, machine=soon, image=1 s, obstacle", monkeypatch)

    text = str(caught.value)
    assert "OFFLINE_JOBS_LONGEST_WAITS" in text
    assert f"'gpu' is nothing that is waited for; allowed: {', '.join(WAITS)}" in text
    assert "machine: 'soon' is no amount; write a number and a unit" in text
    assert "image: write at least 10 s, not 1 s" in text
    assert "obstacle: '' is no amount" in text


def test_what_is_documented_is_what_there_is() -> None:
    defaults = {name: format_seconds(getattr(Patience(), f"{name}_seconds")) for name in WAITS}
    schema = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))
    allowed = schema["properties"]["jobs"]["properties"]["longestWait"]["properties"]
    document = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d+ \w+) \|$", document, re.MULTILINE)
    # In the chart's own values each is named with its default in brackets.
    values = (CHART / "values.yaml").read_text(encoding="utf-8").replace("# ", "")

    assert dict(rows) == defaults
    assert allowed.keys() == defaults.keys()
    for name, default in defaults.items():
        assert re.search(rf"`{name}`: [^;]*\({default}", values), name
