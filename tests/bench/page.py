# SPDX-License-Identifier: Apache-2.0
"""The results as one HTML page that needs nothing else: tables, and plots in SVG."""
from html import escape

COLORS = ["#555555", "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b",
          "#e377c2", "#bcbd22", "#7f7f7f", "#aec7e8"]
STYLE = """
body { font: 15px/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 1.5em }
td, th { padding: .15em .8em; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left }
svg { display: block; margin: .5em 0; font: 12px sans-serif }
.lacks { color: #777 }
"""
LEFT, WIDTH, ROW = 170, 860, 22


def number(value):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.3g}"


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(str(words))}</text>'


def svg(height, parts):
    return f'<svg width="{WIDTH}" height="{height}" role="img">{"".join(parts)}</svg>'


def distribution(benchmark, measure, colors):
    """A row of dots per contender, one a round; a bar at the median."""
    rows = [(contender, [r[measure] for r in benchmark["rounds"][contender] if measure in r])
            for contender in benchmark["summary"][measure]]
    top = max(max(values) for _, values in rows) or 1
    scale = (WIDTH - LEFT - 70) / top
    parts = []
    for i, (contender, values) in enumerate(rows):
        y = ROW * i + 14
        x = LEFT + benchmark["summary"][measure][contender]["median"] * scale
        parts.append(text(LEFT - 8, y + 4, contender, "end"))
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 70}" y1="{y}" y2="{y}" stroke="#eee"/>')
        for value in values:
            parts.append(f'<circle cx="{LEFT + value * scale:.1f}" cy="{y}" r="4" fill="{colors[contender]}" '
                         f'fill-opacity=".5"><title>{escape(number(value))}</title></circle>')
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}" stroke="#000" stroke-width="2"/>')
    y = ROW * len(rows) + 16
    parts += [text(LEFT, y, "0"), text(WIDTH - 70, y, number(top), "end")]
    return svg(y + 8, parts)


def curves(benchmark, series, colors):
    """Medians of a series by its x, which has no even steps: equally far apart. From 0."""
    points = {}
    for measure, row in benchmark["summary"].items():
        meaning = benchmark["measures"][measure]
        if meaning["series"] == series:
            for contender, cell in row.items():
                points.setdefault(contender, []).append((meaning["x"], cell["median"]))
    steps = sorted({x for values in points.values() for x, _ in values})
    if len(steps) < 2:
        return ""
    height, bottom = 260, 24
    # A copy is so much quicker than a system call that it would flatten all else.
    others = [y for name, values in points.items() if "memcpy" not in name for _, y in values] or [1]
    top = max(others) * 1.05 or 1
    shown = {name: values for name, values in points.items() if max(y for _, y in values) <= top}
    at = {x: LEFT + i * (WIDTH - LEFT - 230) / (len(steps) - 1) for i, x in enumerate(steps)}
    parts = [text(LEFT - 8, 12, number(top), "end"), text(LEFT - 8, height, "0", "end"),
             f'<path d="M{LEFT} 4V{height}H{WIDTH - 220}" fill="none" stroke="#999"/>']
    parts += [text(at[x], height + 16, x, "middle") for x in steps]
    for i, (contender, values) in enumerate(shown.items()):
        path = " ".join(f"{at[x]:.1f},{height - y / top * (height - 4):.1f}" for x, y in sorted(values))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colors[contender]}" stroke-width="2"/>')
        parts.append(f'<rect x="{WIDTH - 200}" y="{18 * i + 4}" width="10" height="10" fill="{colors[contender]}"/>')
        parts.append(text(WIDTH - 185, 18 * i + 13, contender))
    return svg(max(height + bottom, 18 * len(shown) + 8), parts)


def gaps(benchmark, measure, colors):
    """Bars: how many times the first contender's median."""
    row = benchmark["summary"][measure]
    ratios = {contender: cell["ratio"] for contender, cell in row.items() if cell["ratio"] is not None}
    if len(ratios) < 2:
        return ""
    top = max(max(ratios.values()), 1)
    scale = (WIDTH - LEFT - 120) / top
    parts = []
    for i, (contender, ratio) in enumerate(ratios.items()):
        parts.append(text(LEFT - 8, ROW * i + 14, contender, "end"))
        parts.append(f'<rect x="{LEFT}" y="{ROW * i + 3}" width="{ratio * scale:.1f}" height="14" '
                     f'fill="{colors[contender]}"/>')
        parts.append(text(LEFT + ratio * scale + 6, ROW * i + 14, f"{ratio:.3g}"))
    parts.append(f'<line x1="{LEFT + scale:.1f}" x2="{LEFT + scale:.1f}" y1="0" y2="{ROW * len(ratios)}" '
                 'stroke="#000" stroke-dasharray="3"/>')
    return svg(ROW * len(ratios) + 4, parts)


def table(benchmark):
    contenders = list(benchmark["rounds"])
    rows = []
    for measure, row in benchmark["summary"].items():
        meaning = benchmark["measures"][measure]
        cells = [f"<td>{escape(meaning['title'])}{', ' + escape(meaning['unit']) if meaning['unit'] else ''}</td>"]
        for contender in contenders:
            cell = row.get(contender)
            cells.append(f"<td>{number(cell['median'])} ± {number(cell['spread'])}</td>" if cell else "<td></td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(contender)}</th>" for contender in contenders)
    return f'<table><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def section(benchmark):
    colors = {contender: COLORS[i % len(COLORS)] for i, contender in enumerate(benchmark["rounds"])}
    parts = [f'<h2 id="{escape(benchmark["name"])}">{escape(benchmark["name"])}: {escape(benchmark["title"])}</h2>']
    parts += [f'<p class="lacks">Without {escape(c)}: {escape(why)}</p>' for c, why in benchmark["lacks"].items()]
    if not benchmark["summary"]:
        return "".join(parts)
    parts.append(table(benchmark))
    for series in sorted({m["series"] for m in benchmark["measures"].values() if m["series"]}):
        plot = curves(benchmark, series, colors)
        parts.append(f"<h3>{escape(series)} by size</h3>{plot}" if plot else "")
    for measure in benchmark["summary"]:
        meaning = benchmark["measures"][measure]
        parts.append(f"<h3>{escape(meaning['title'])}"
                     f"{', ' + escape(meaning['unit']) if meaning['unit'] else ''} "
                     f"({escape(meaning['better'])} is better)</h3>")
        parts.append("<p>Each round, and the median:</p>" + distribution(benchmark, measure, colors))
        gap = gaps(benchmark, measure, colors)
        parts.append("<p>Times the first:</p>" + gap if gap else "")
    return "".join(parts)


def render(results):
    machine = f"{results['cpu']}, {results['cpus']} CPUs, Linux {results['kernel']}, load {results['load']:.1f}"
    warning = "<p><b>Short rounds (--quick): these numbers say only that it works.</b></p>" if results["quick"] else ""
    links = " · ".join(f'<a href="#{escape(b["name"])}">{escape(b["name"])}</a>' for b in results["benchmarks"])
    return (f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>xvmm benchmarks</title>'
            f"<style>{STYLE}</style></head><body><h1>xvmm benchmarks</h1>"
            f"<p>{escape(results['date'])}, xvmm {escape(results['version'])}; {escape(machine)}. "
            f"{escape(results['note'])}</p>{warning}<p>Median ± median absolute deviation. {links}</p>"
            f"{''.join(section(b) for b in results['benchmarks'])}</body></html>\n")
