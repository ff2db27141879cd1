"""Results: a JSON list merged by scenario, server, database and concurrency; a table; a chart."""

import json
import statistics
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.load import Measurement
from benchmarks.scenarios import ALL, reach

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
TWINS = ("flask-twin", "flask-tuned")

Row = dict[str, Any]


def key(row: Row) -> tuple[Any, ...]:
    return row["scenario"], row["server"], row["database"], row["concurrency"]


def merge(rows: list[Row]) -> list[Row]:
    """Put rows into latest.json, replacing rows with the same key; return all."""
    FOLDER.mkdir(exist_ok=True)
    known = json.loads(LATEST.read_text()) if LATEST.exists() else []
    merged = {key(row): row for row in [*known, *rows]}
    ordered = sorted(merged.values(), key=lambda row: (ALL.index(row["scenario"]), *key(row)[2:]))
    LATEST.write_text(json.dumps(ordered, indent=1) + "\n")
    (FOLDER / "latest.md").write_text(table(ordered))
    (FOLDER / "latest.svg").write_text(chart(ordered))
    return ordered


def row(
    scenario: str,
    database: str,
    concurrency: int,
    server: str,
    rounds: list[Measurement],
    threads: int = 0,
) -> Row:
    """The medians of some rounds; `spread` is the distance of the extremes from the median."""
    rps = statistics.median(each.rps for each in rounds)
    return {
        "scenario": scenario,
        "server": server,
        "database": database,
        "concurrency": concurrency,
        "rps": round(rps, 1),
        "p50_ms": round(statistics.median(each.p50_ms for each in rounds), 2),
        "p99_ms": round(statistics.median(each.p99_ms for each in rounds), 2),
        "cpu_us": round(statistics.median(each.cpu_us for each in rounds)),
        "errors": sum(each.errors for each in rounds),
        "ratios": {},
        "threads": threads,
        "spread": max(abs(each.rps - rps) for each in rounds) / rps if rps else 0,
    }


def add_ratios(rows: list[Row]) -> list[Row]:
    """Add the ratios to the twins to the rows of one scenario, database and concurrency."""
    for row in rows:
        for twin in TWINS:
            other = next((each for each in rows if each["server"] == twin), None)
            if other and other["rps"]:
                row["ratios"][twin] = round(row["rps"] / other["rps"], 2)
    return rows


def table(rows: list[Row]) -> str:
    """Markdown, a line for each row."""
    lines = [
        "| scenario | database | c | server | requests/s | spread | p50 ms | p99 ms | CPU us "
        "| errors | to Flask | to tuned | aim |",
        "|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        threads = f" ({row['threads']} threads)" if row.get("threads") else ""
        ratios = [row["ratios"].get(twin, "") for twin in TWINS]
        lines.append(
            f"| {row['scenario']} | {row['database']} | {row['concurrency']} "
            f"| {row['server']}{threads} | {row['rps']:.5g} | {row.get('spread', 0):.0%} "
            f"| {row['p50_ms']:.1f} | {row['p99_ms']:.1f} | {row['cpu_us']:.0f} | {row['errors']} "
            f"| {ratios[0]} | {ratios[1]} | {verdict(row)} |"
        )
    return "\n".join(lines) + "\n"


def verdict(row: Row) -> str:
    """Whether the aim of a row of quartapp is met, or by how much it is missed."""
    if row["server"] != "quartapp-hypercorn":
        return ""
    aim = reach(row["scenario"], row["database"], row["concurrency"])
    ratio = row["ratios"].get("itself" if row["scenario"] == "storm" else "flask-twin")
    if aim is None or ratio is None:
        return ""
    return f"{aim}: met" if ratio >= aim else f"{aim}: missed by {1 - ratio / aim:.0%}"


def chart(rows: list[Row]) -> str:
    """An SVG: how many times the requests of each twin quartapp answers, SQLite, c=16."""
    shown = [
        row
        for row in rows
        if row["server"] == "quartapp-hypercorn"
        and row["database"] == "sqlite"
        and row["concurrency"] == 16
        and row["ratios"].get("flask-twin")
        and row["scenario"] != "storm"
    ]
    widest = max([4.0, *(row["ratios"]["flask-twin"] for row in shown)])
    scale, height = 460 / widest, 40 + 44 * len(shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" font-size="13"'
        ' font-family="system-ui, sans-serif" role="img">',
        "<title>Requests a second of quartapp, compared with the same pages on Flask</title>",
        f'<rect width="640" height="{height}" fill="#fff"/>',
        '<text x="110" y="18">times the requests of Flask (dark), of Flask tuned (light)</text>',
    ]
    for place, row in enumerate(shown):
        y = 32 + 44 * place
        parts.append(f'<text x="8" y="{y + 20}">{escape(row["scenario"])}</text>')
        for offset, twin, colour in ((0, "flask-twin", "#1d4f91"), (17, "flask-tuned", "#8db4e2")):
            ratio = row["ratios"].get(twin)
            if ratio:
                width = ratio * scale
                parts.append(
                    f'<rect x="110" y="{y + offset}" width="{width:.0f}" height="15"'
                    f' fill="{colour}"/><text x="{116 + width:.0f}" y="{y + offset + 12}">'
                    f"{ratio:.2f}</text>"
                )
    one = 110 + scale
    parts.append(f'<path d="M{one:.0f} 28V{height - 8}" stroke="#c00" stroke-dasharray="3 3"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"
