// Sums of points as bars. Lengths are drawn from binary floats, which is near enough for the eye; every number that is
// written is the server's own text. A drawing is an image with a name: whoever does not see it has the table beside it.

import { drawn, element } from "./elements.js";
import { amount, compact, counted } from "./language.js";

const HEIGHT = 190;
const EDGE = { top: 10, right: 6, bottom: 22, left: 52 };
const ROW = 26;
const LABEL = 66;

/** A column for each period: {name, up, down, points, count}, in their sequence, without gaps. */
export function dayChart(periods, name) {
  const ups = periods.map((period) => Number(period.up));
  const downs = periods.map((period) => Number(period.down));
  const scale = scaleOf(Math.min(0, ...downs), Math.max(0, ...ups));
  const bottom = HEIGHT - EDGE.bottom;
  const y = (value) => EDGE.top + ((scale.high - value) / (scale.high - scale.low)) * (bottom - EDGE.top);
  return fitted(name, HEIGHT, (width) => {
    const inner = width - EDGE.left - EDGE.right;
    const step = inner / periods.length;
    const thick = Math.max(1, Math.min(28, step * 0.72));
    const labelled = Math.ceil(periods.length / Math.max(1, Math.floor(inner / LABEL)));
    const middle = (place) => EDGE.left + step * (place + 0.5);
    const part = (kind, place, from, to) =>
      bar(kind, middle(place) - thick / 2, y(Math.max(from, to)), thick, Math.abs(y(from) - y(to)));
    const column = (period, place) =>
      drawn(
        "g",
        { class: "column" },
        drawn("title", {}, `${period.name}: ${amount(period.points)} (${counted("settlements.count", period.count)})`),
        drawn("rect", {
          class: "ground",
          x: EDGE.left + step * place,
          y: EDGE.top,
          width: step,
          height: bottom - EDGE.top,
        }),
        ups[place] > 0 && part("up", place, 0, ups[place]),
        downs[place] < 0 && part("down", place, 0, downs[place]),
        place % labelled === 0 && named(period.name, middle(place)),
      );
    const named = (words, x) =>
      x > width - LABEL / 2 // it would stand out
        ? drawn("text", { x: width, y: HEIGHT - 6, "text-anchor": "end" }, words)
        : drawn("text", { x, y: HEIGHT - 6, "text-anchor": "middle" }, words);
    const line = (tick) =>
      drawn("line", {
        class: tick === 0 ? "zero" : "grid",
        x1: EDGE.left,
        x2: width - EDGE.right,
        y1: y(tick),
        y2: y(tick),
      });
    const label = (tick) => drawn("text", { x: EDGE.left - 8, y: y(tick) + 4, "text-anchor": "end" }, compact(tick));
    return [scale.ticks.map((tick) => [line(tick), label(tick)]), periods.map(column), line(0)];
  });
}

/** A bar for each source: {name, points, count}. */
export function sourceChart(sources, name) {
  const values = sources.map((entry) => Number(entry.points));
  const low = Math.min(0, ...values);
  const span = Math.max(0, ...values) - low || 1;
  return fitted(name, sources.length * ROW, (width) => {
    const label = Math.min(130, width * 0.36);
    const figure = Math.min(120, width * 0.3);
    const x = (value) => label + ((value - low) / span) * (width - label - figure);
    const row = (entry, place) => [
      drawn("text", { x: label - 8, y: place * ROW + 17, "text-anchor": "end" }, entry.name),
      values[place] !== 0 &&
        bar(
          values[place] > 0 ? "up" : "down",
          Math.min(x(0), x(values[place])),
          place * ROW + 5,
          Math.abs(x(values[place]) - x(0)),
          ROW - 10,
        ),
      drawn("text", { x: width, y: place * ROW + 17, "text-anchor": "end" }, amount(entry.points)),
    ];
    return sources.map(row);
  });
}

/** At least a pixel: what is there is seen. */
function bar(kind, x, y, width, height) {
  return drawn("rect", { class: kind, x, y, width: Math.max(1, width), height: Math.max(1, height), rx: 2 });
}

/** A drawing that is made again when its place gets another width, so that its letters keep their size. */
function fitted(name, height, draw) {
  const svg = drawn("svg", { role: "img", "aria-label": name, height });
  const place = element("div", { class: "chart" }, svg);
  new ResizeObserver(([{ contentRect }]) => {
    const width = Math.max(240, Math.floor(contentRect.width));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...draw(width).flat(Infinity).filter(Boolean));
  }).observe(place);
  return place;
}

/** Round ticks around low..high, zero among them. */
function scaleOf(low, high) {
  const rough = (high - low || 1) / 4;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((size) => size >= rough);
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step) || 1;
  const ticks = Array.from({ length: last - first + 1 }, (_, place) => (first + place) * step);
  return { low: ticks[0], high: ticks.at(-1), ticks };
}
