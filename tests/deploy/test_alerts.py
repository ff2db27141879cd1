"""deploy/alerts: each rule can fire, uses metrics that exist, and leads to its section."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from quartapp.metrics.catalogue import ALL
from tests.conftest import command_path

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "alerts" / "rules.yml"
RULE = re.compile(r"^      - alert: (\w+)\n((?:        .*\n)+)", re.MULTILINE)
FOUND = dict(RULE.findall(RULES.read_text("utf-8")))
PROMTOOL = command_path("promtool")

EXPORTED = {
    name
    for metric in ALL
    for name in (
        [f"{metric.name}_total"] if metric.kind == "counter" else
        [f"{metric.name}_{part}" for part in ("bucket", "count", "sum")]
        if metric.kind == "histogram" else [metric.name]
    )
}  # fmt: skip

# Each series as promtool writes it: a value, what is added each minute, and how often.
MANY = 'http_requests_total{job="quartapp", instance="a", route="/", method="GET", status="%s"}'
BUCKET = '%s_bucket{job="quartapp", instance="a", le="%s"}'
FIRES: dict[str, dict[str, str]] = {
    "ApplicationDown": {'up{job="quartapp", instance="a"}': "0x30"},
    "WorkersMissing": {
        'quartapp_workers{job="quartapp", instance="a"}': "1x30",
        'quartapp_workers_configured{job="quartapp", instance="a"}': "2x30",
    },
    "WorkersRestarting": {
        'process_start_time_seconds{job="quartapp", instance="a", worker="0"}': "0+60x30",
        'quartapp_workers_configured{job="quartapp", instance="a"}': "2x30",
    },
    "WorkerStuck": {
        'quartapp_worker_heartbeat_age_seconds{job="quartapp", instance="a", worker="1"}': "0+60x30"
    },
    "ErrorRateHigh": {MANY % 200: "0+900x30", MANY % 503: "0+100x30"},
    "LatencyHigh": {
        BUCKET % ("http_request_duration_seconds", 2.5): "0+90x30",
        BUCKET % ("http_request_duration_seconds", "+Inf"): "0+100x30",
        BUCKET % ("http_request_duration_seconds", 5): "0+100x30",
    },
    "EventLoopLagHigh": {
        BUCKET % ("quartapp_event_loop_lag_seconds", 0.25): "0+100x30",
        BUCKET % ("quartapp_event_loop_lag_seconds", 0.5): "0+120x30",
        BUCKET % ("quartapp_event_loop_lag_seconds", "+Inf"): "0+120x30",
    },
    "RequestsRefused": {'quartapp_admission_refused_total{instance="a"}': "0+5x30"},
    "RequestTimeouts": {'quartapp_request_timeouts_total{instance="a"}': "0+1x30"},
    "DatabaseDown": {'quartapp_database_up{instance="a"}': "0x30"},
    "DatabasePoolExhausted": {
        'quartapp_database_pool_timeouts_total{instance="a"}': "0+1x30",
        'quartapp_database_pool_refused_total{instance="a"}': "0x30",
    },
    "ErrorsNotRecorded": {'quartapp_reporting_trouble{instance="a"}': "1x30"},
    "JournalNotCounted": {'quartapp_journal_uncounted_age_seconds{instance="a"}': "0+60x30"},
    "JournalAlmostFull": {
        'quartapp_journal_bytes{instance="a"}': "50x30",
        'quartapp_journal_limit_bytes{instance="a"}': "64x30",
    },
    "ErrorsLost": {'quartapp_errors_lost_total{instance="a"}': "0+1x30"},
    "OutboxDelayed": {'quartapp_outbox_age_seconds{instance="a", outbox="mails"}': "0+60x30"},
    "OutboxGivenUp": {'quartapp_outbox_given_up{instance="a", outbox="mails"}': "1x30"},
    "LogLinesDropped": {'quartapp_log_dropped_total{instance="a"}': "0+1x30"},
    "ThrottlingWithoutRedis": {'quartapp_throttling_without_redis{instance="a"}': "2x30"},
    "DiskAlmostFull": {
        'quartapp_disk_free_bytes{instance="a"}': "5x30",
        'quartapp_disk_size_bytes{instance="a"}': "100x30",
    },
    "FilesAlmostUsedUp": {
        'process_open_fds{job="quartapp", instance="a", worker="0"}': "900x30",
        'process_max_fds{job="quartapp", instance="a", worker="0"}': "1024x30",
    },
    "MetricsIncomplete": {'quartapp_metrics_failing{instance="a", part="disk"}': "1x30"},
}

# The application as it is when all is well: no alert may fire.
WELL = {
    'up{job="quartapp", instance="a"}': "1x30",
    MANY % 200: "0+1000x30",
    MANY % 500: "0+10x30",
    **{
        series: "0x30"
        for name in ("ErrorsLost", "LogLinesDropped", "RequestsRefused", "DatabasePoolExhausted")
        for series in FIRES[name]
    },
    'quartapp_workers{job="quartapp", instance="a"}': "2x30",
    'quartapp_workers_configured{job="quartapp", instance="a"}': "2x30",
    'process_start_time_seconds{job="quartapp", instance="a", worker="0"}': "7x10 8x20",
    'quartapp_worker_heartbeat_age_seconds{instance="a", worker="0"}': "0.4x30",
    BUCKET % ("http_request_duration_seconds", 2.5): "0+1000x30",
    BUCKET % ("http_request_duration_seconds", "+Inf"): "0+1001x30",
    'quartapp_database_up{instance="a"}': "1x30",
    'quartapp_reporting_trouble{instance="a"}': "0x30",
    'quartapp_outbox_age_seconds{instance="a", outbox="mails"}': "60x30",
    'quartapp_metrics_failing{instance="a", part="disk"}': "0x30",
}


@pytest.mark.parametrize("name", FOUND)
def test_a_rule_is_whole_and_its_metrics_exist(name: str) -> None:
    body = FOUND[name]
    expression = body.partition("labels:")[0].partition("for:")[0]
    expression = re.sub(r'"[^"]*"|(by|on) \([^)]*\)|\{|\}', " ", expression)
    used = set(re.findall(r"\b(?:http|quartapp|process|websockets)_\w+", expression))
    assert used <= EXPORTED
    assert used or name == "ApplicationDown"
    assert re.search(r"severity: (critical|warning)$", body, re.MULTILINE)
    assert re.search(r'summary: ".{20,}"$', body, re.MULTILINE)
    assert f"runbook_url: docs/runbook.md#{name.lower()}\n" in body
    assert f"\n## {name}\n" in (ROOT / "docs" / "runbook.md").read_text("utf-8")


def test_there_is_a_test_of_each_rule() -> None:
    assert list(FOUND) == list(FIRES)


@pytest.mark.needs("promtool")
def test_the_configuration_in_the_document_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "watch.md").read_text("utf-8")
    [block] = re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "metrics-token").write_text("a-token-of-a-test")
    path = tmp_path / "prometheus.yml"
    here = block.replace("/etc/prometheus/alerts.yml", str(RULES))
    path.write_text(here.replace("/etc/prometheus", str(tmp_path)))
    command: list[Any] = [PROMTOOL, "check", "config", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(FOUND)} rules found" in done.stdout


@pytest.mark.slow
@pytest.mark.needs("promtool")
def test_each_rule_fires_and_none_does_while_all_is_well(tmp_path: Path) -> None:
    lines = [f"rule_files: ['{RULES}']", "evaluation_interval: 1m", "tests:"]
    for name, series in FIRES.items():
        lines += _case(series, f"count(ALERTS{{alertname='{name}', alertstate='firing'}})", 1)
    at_night = {MANY % 200: "0+3x30", MANY % 500: "0+0.5x30"}
    for series in (WELL, at_night):
        lines += _case(series, "count(ALERTS) or vector(0)", 0)
    path = tmp_path / "rules.test.yml"
    path.write_text("\n".join(lines) + "\n")
    command: list[Any] = [PROMTOOL, "test", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _case(series: dict[str, str], expression: str, value: int) -> list[str]:
    given = [
        line
        for name, values in series.items()
        for line in (f"      - series: '{name}'", f"        values: '{values}'")
    ]
    return [
        "  - interval: 1m",
        "    input_series:",
        *given,
        "    promql_expr_test:",
        f'      - expr: "{expression}"',
        "        eval_time: 30m",
        f"        exp_samples: [{{labels: '{{}}', value: {value}}}]",
    ]
