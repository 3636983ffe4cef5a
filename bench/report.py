"""report: rows of samples, and what becomes of them: the table on the terminal, JSON, an SVG chart."""
import json
import math
import os
import statistics
from xml.sax.saxutils import escape

OURS = "forkmap"


class Row:
    """One line of the table: samples for each server in one unit. Targets: ("bun", 1.5): at least 1.5 times as fast as
    bun; ("<=", 50): our own median."""

    def __init__(self, name, unit, targets=(), faster_is_more=False):
        self.name, self.unit, self.targets, self.more = name, unit, list(targets), faster_is_more
        self.samples, self.notes = {}, {}
        self.others = []  # which part of the processors somebody else used, before each round

    def add(self, name, *values):
        if values:
            self.samples.setdefault(name, []).extend(values)

    def median(self, name=OURS):
        return statistics.median(self.samples[name]) if name in self.samples else None

    def ratio(self, name):
        """How many times as fast as this peer we are."""
        ours, theirs = self.median(), self.median(name)
        if not ours or not theirs:
            return None
        return ours / theirs if self.more else theirs / ours

    def verdicts(self):
        """[(what is wanted, the figure, met)]; None for both where there is nothing to judge."""
        told = []
        for against, bound in self.targets:
            if against == "<=":
                figure = self.median()
                met, wanted = figure is not None and figure <= bound, f"≤ {bound:g} {self.unit}"
            else:
                figure = self.ratio(against)
                met, wanted = figure is not None and figure >= bound, f"≥ {bound:g} × {against}"
            told.append((wanted, figure, met if figure is not None else None))
        return told


def short(value):
    """Three digits that count, thousands apart."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def word(met):
    return {True: "met", False: "missed", None: "not measured"}[met]


def lines(row):
    """The row as text, a line for each server: median [least .. most], and how many times as fast as it we are."""
    told = [f"{row.name}  ({row.unit})"]
    for name in sorted({**row.samples, **row.notes}, key=lambda name: not name.startswith(OURS)):
        if name in row.samples:
            values = row.samples[name]
            line = f"  {name:<10} {short(row.median(name)):>9}  [{short(min(values))} .. {short(max(values))}]"
            ratio = row.ratio(name) if name != OURS else None
            told.append(f"{line:<48}{'forkmap ' + short(ratio) + ' ×' if ratio else ''}".rstrip())
        if name in row.notes:
            told.append(f"  {name:<10} {row.notes[name]}")
    if disturbed(row):
        told.append(f"  (disturbed: others used up to {max(row.others):.0%} of the processors; do not rely on this)")
    for wanted, figure, met in row.verdicts():
        told.append(f"  target {wanted:<24} {short(figure):>9}  {word(met)}")
    return told


def disturbed(row):
    return max(row.others, default=0) > 0.15


def summary(rows):
    judged = [(row, *verdict) for row in rows for verdict in row.verdicts()]
    told = [f"{'case':<22}{'forkmap':>10} {'unit':<14}{'target':<26}{'figure':>8}  verdict"]
    for row, wanted, figure, met in judged:
        told.append(f"{row.name:<22}{short(row.median()):>10} {row.unit:<14}{wanted:<26}{short(figure):>8}  {word(met)}"
                    f"{', disturbed' if disturbed(row) else ''}")
    met = [verdict[-1] for verdict in judged]
    told.append(f"targets: {met.count(True)} met, {met.count(False)} missed, {met.count(None)} not measured")
    return told


def as_json(rows, about):
    def of(row):
        servers = {name: {"median": row.median(name), "min": min(values), "max": max(values), "samples": values,
                          "forkmap_times_as_fast": row.ratio(name) if name != OURS else None}
                   for name, values in row.samples.items()}
        targets = [{"target": wanted, "figure": figure, "verdict": word(met)}
                   for wanted, figure, met in row.verdicts()]
        return {"case": row.name, "unit": row.unit, "servers": servers, "notes": row.notes, "targets": targets,
                "others_used": row.others}

    return json.dumps({**about, "rows": [of(row) for row in rows]}, indent=1, ensure_ascii=False) + "\n"


COLOURS = {True: "#2e7d32", False: "#c62828", None: "#78909c"}
STYLE = """svg{background:#fff}text{font:12px system-ui,sans-serif;fill:#222}.n{fill:#666}.c{font-weight:600}line{stroke:#ccc}
.one{stroke:#222}.aim{stroke:#222;stroke-width:2}
@media(prefers-color-scheme:dark){svg{background:#181a1b}text{fill:#ddd}.n{fill:#999}line{stroke:#444}.one,.aim{stroke:#ddd}}"""


def as_svg(rows, about):
    """How many times as fast as each peer, on a scale of powers of ten: right of 1 is ahead. A mark shows the target;
    green is met, red missed, grey has none."""
    left, right, step, top = 250, 70, 17, 66
    bars = [(row, name, row.ratio(name)) for row in rows for name in row.samples if name != OURS and row.ratio(name)]
    ratios = [ratio for _, _, ratio in bars] + [bound for row in rows for kind, bound in row.targets if kind != "<="]
    low, high = (math.floor(math.log10(min(ratios + [0.5]))), math.ceil(math.log10(max(ratios + [2]))))
    unit = (900 - left - right) / (high - low)

    def x(ratio):
        return left + (math.log10(ratio) - low) * unit

    groups = len({row.name for row, _, _ in bars})
    height = top + step * len(bars) + 8 * groups + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" width="900" height="{height}" role="img">',
           f"<style>{STYLE}</style>", '<text class="c" x="10" y="18">forkmap: how many times as fast as each peer</text>',
           f'<text class="n" x="10" y="36">{escape(about["date"])}, {about["cores"]} cores, medians of {about["runs"]} '
           "interleaved runs; the mark is the target</text>"]
    for power in range(low, high + 1):
        at = x(10**power)
        out.append(f'<line class="{"one" if power == 0 else ""}" x1="{at:.1f}" y1="{top - 4}" x2="{at:.1f}" y2="{height}"/>')
        out.append(f'<text class="n" x="{at + 3:.1f}" y="{top - 6}">{10**power:g} ×</text>')
    y, before = top, None
    for row, name, ratio in bars:
        aims = [bound for against, bound in row.targets if against == name]
        if row.name != before:
            y += 8
            out.append(f'<text class="c" x="10" y="{y + 12}">{escape(row.name)}</text>')
            before = row.name
        ends = sorted((x(1), x(ratio)))
        colour = COLOURS[ratio >= aims[0] if aims else None]
        out.append(f'<text class="n" x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
                   f'<rect x="{ends[0]:.1f}" y="{y + 3}" width="{max(1, ends[1] - ends[0]):.1f}" height="{step - 5}" '
                   f'fill="{colour}"/><text x="{max([ends[1], *map(x, aims)]) + 5:.1f}" y="{y + 12}">{short(ratio)}</text>')
        out += [f'<line class="aim" x1="{x(aim):.1f}" y1="{y + 1}" x2="{x(aim):.1f}" y2="{y + step - 1}"/>' for aim in aims]
        y += step
    return "\n".join(out) + "\n</svg>\n"


def write(path, content):
    """Whole or not at all: written beside, then renamed into place."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(path + ".tmp", path)
