# SPDX-License-Identifier: GPL-2.0
"""Plots as SVG, written by hand: one for light and dark, by the reader's own setting."""

import math
from xml.sax.saxutils import escape

STYLE = """
:root { --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --us: #0969da; --other: #bc4c00;
  --plain: #818b98; --third: #1a7f37; --fourth: #8250df }
@media (prefers-color-scheme: dark) { :root { --text: #f0f6fc; --soft: #9198a1; --line: #3d444d;
  --us: #4493f8; --other: #f0883e; --plain: #9198a1; --third: #3fb950; --fourth: #ab7df8 } }
text { font: 12px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--text) }
.title { font-weight: 600; font-size: 14px } .soft { fill: var(--soft) }
.grid { stroke: var(--line); stroke-width: 1 } .one { stroke: var(--soft); stroke-dasharray: 3 3 }
.us { fill: var(--us); stroke: var(--us) } .other { fill: var(--other); stroke: var(--other) }
.plain { fill: var(--plain); stroke: var(--plain) } .third { fill: var(--third); stroke: var(--third) }
.fourth { fill: var(--fourth); stroke: var(--fourth) }
path { fill: none !important; stroke-width: 2 } .bar { stroke: none } .whisker { stroke-width: 2 }
"""


def text(x, y, words, css="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            f'{f" class={chr(34)}{css}{chr(34)}" if css else ""}>{escape(words)}</text>')


def line(x1, y1, x2, y2, css):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def page(width, height, title, note, body):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img">',
        "<!-- SPDX-License-Identifier: GPL-2.0 -->",
        f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
        text(12, 22, title, "title"), text(12, 40, note, "soft"), *body, "</svg>"]) + "\n"


def steps(low, high, wanted=6):
    """Round numbers from one to the other."""
    rough = (high - low) / wanted
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"


def dots(title, note, rows, unit="", one=None):
    """`rows`: (label, css, {median, q1, q3}); a dot at the median, a line between the quartiles."""
    left, right, top, height = 250, 60, 58, 24
    width = 760
    values = [one_row[2][key] for one_row in rows for key in ("q1", "q3", "median")]
    low, high = min([*values, one or values[0]]), max([*values, one or values[0]])
    room = (high - low) * 0.06 or 1
    low, high = low - room, high + room
    bottom = top + height * len(rows)

    def x(value):
        return left + (value - low) / (high - low) * (width - left - right)

    body = []
    for tick in steps(low, high):
        body.append(line(x(tick), top - 4, x(tick), bottom, "grid"))
        body.append(text(x(tick), bottom + 16, short(round(tick, 6)) + unit, "soft", "middle"))
    if one is not None:
        body.append(line(x(one), top - 4, x(one), bottom, "one"))
    for number, (label, css, spread) in enumerate(rows):
        y = top + height * (number + 0.5)
        body.append(text(left - 12, y + 4, label, "", "end"))
        body.append(line(x(spread["q1"]), y, x(spread["q3"]), y, f"{css} whisker"))
        body.append(f'<circle cx="{x(spread["median"]):.1f}" cy="{y:.1f}" r="5" class="{css}"/>')
        median = spread["median"]
        body.append(text(width - right + 8, y + 4, f"{median:.3f}" if one else f"{median:.0f}", "soft"))
    return page(width, bottom + 28, title, note, body)


def lines(title, note, series, xs, unit):
    """`series`: (label, css, {x: {median, q1, q3}}); both axes logarithmic."""
    left, right, top, bottom, width = 76, 130, 58, 330, 760
    all_values = [point[key] for _, _, points in series for point in points.values()
                  for key in ("q1", "q3")]
    low = 10 ** math.floor(math.log10(min(all_values)))
    high = 10 ** math.ceil(math.log10(max(all_values)))

    def x(value):
        return left + math.log10(value / xs[0]) / math.log10(xs[-1] / xs[0]) * (width - left - right)

    def y(value):
        return bottom - math.log10(value / low) / math.log10(high / low) * (bottom - top)

    body = []
    tick = low
    while tick <= high * 1.001:
        body.append(line(left, y(tick), width - right, y(tick), "grid"))
        body.append(text(left - 8, y(tick) + 4, f"{tick:,.0f}{unit}", "soft", "end"))
        tick *= 10
    for value in xs:
        body.append(text(x(value), bottom + 18, f"{value:,}", "soft", "middle"))
    ends = []
    for label, css, points in series:
        path = " L".join(f"{x(at):.1f} {y(point['median']):.1f}" for at, point in points.items())
        body.append(f'<path d="M{path}" class="{css}"/>')
        for at, point in points.items():
            body.append(line(x(at), y(point["q1"]), x(at), y(point["q3"]), f"{css} whisker"))
            body.append(f'<circle cx="{x(at):.1f}" cy="{y(point["median"]):.1f}" r="4" class="{css}"/>')
        last = max(points)
        ends.append([y(points[last]["median"]), x(last), label, css])
    # Labels that would lie on each other move apart.
    ends.sort()
    for before, after in zip(ends, ends[1:]):
        if abs(after[1] - before[1]) < 1:
            after[0] = max(after[0], before[0] + 15)
    body += [f'<text x="{at + 10:.1f}" y="{height + 4:.1f}" class="{css}" stroke="none" '
             f'style="fill: var(--{css}); stroke: none">{escape(label)}</text>'
             for height, at, label, css in ends]
    return page(width, bottom + 32, title, note, body)


# --- the plots of README ---------------------------------------------------------------------------


def css_of(row):
    if row.startswith(("iptables", "nftables")):
        return "other"
    return "plain" if row in ("none", "again") or row.startswith("empty") else "us"


def packet_plot(part, name, title):
    rows = [(part["rows"][row], css_of(row), part["table"][name][row]["ratio"])
            for row in part["rows"] if row in part["table"][name] and row != "none"]
    rounds = part["table"][name]["none"]["ns"]["rounds"]
    none = part["table"][name]["none"]["ns"]["median"]
    return dots(title, f"times no filter ({none:,.0f} ns); median and quartiles of {rounds} interleaved "
                "rounds", rows, one=1.0)


def decide_plot(part):
    rows = [(f"{name}: {one['reason']}", "us" if one["verdict"] == "allow" else "other",
             one["over_empty_ns"]) for name, one in part["paths"].items()]
    rounds = next(iter(part["paths"].values()))["ns"]["rounds"]
    return dots("The decision alone", "nanoseconds over an empty program; median and quartiles of "
                f"{rounds} interleaved rounds", rows, unit=" ns")


def growth_plot(part):
    series = []
    for kind, css in (("guard", "us"), ("nftables", "third"), ("iptables-nft", "fourth"),
                      ("iptables-legacy", "other")):
        points = {size: part["packet"][f"{kind}-{size}"]["ns"] for size in part["sizes"]
                  if f"{kind}-{size}" in part["packet"]}
        if points:
            series.append(("egressguard" if kind == "guard" else kind, css, points))
    return lines("One packet, by the number of allowed prefixes",
                 "UDP, 64 bytes, to the LAN: nanoseconds, median and quartiles", series,
                 part["sizes"], " ns")


def plots(results):
    """Name of the file -> what is in it."""
    parts, found = results["parts"], {}
    if "packet" in parts:
        found["packet.svg"] = packet_plot(parts["packet"], "udp-64",
                                          "One packet to the LAN: UDP, 64 bytes")
        found["blocked.svg"] = packet_plot(parts["packet"], "blocked-64",
                                           "One packet blocked: UDP, 64 bytes")
    if "growth" in parts:
        found["growth.svg"] = growth_plot(parts["growth"])
    if "decide" in parts:
        found["decide.svg"] = decide_plot(parts["decide"])
    return found
