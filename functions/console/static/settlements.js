// What an account settled: the list, its total, and sums by day and by source. All three cover the same UTC days.

import {
  badge,
  code,
  element,
  empty,
  field,
  form,
  input,
  link,
  panel,
  points,
  select,
  table,
  time,
} from "./elements.js";
import { dayChart, sourceChart } from "./charts.js";
import { counted, date, day, month, text } from "./language.js";
import { loadMore } from "./lists.js";
import { appField, go, rememberApps } from "./places.js";
import { sum } from "./points.js";
import { accountText } from "./search.js";
import { answered, call } from "./server.js";

const DAY_MS = 86_400_000;
const LONGEST_CHART_DAYS = 366;
const LONGEST_BY_DAY = 62; // more are shown by month
const RANGES = { "7d": 7, "30d": 30, "90d": 90, "366d": 366, all: null, days: null };

export async function screen({ query, session, signal }) {
  const title = text("menu.settlements");
  const nodes = [
    element("div", { class: "head" }, element("h1", { tabindex: "-1" }, title)),
    element("div", { class: "panel" }, filterForm(query, session)),
  ];
  if (query.app && query.openid) nodes.push(...(await answered(() => results(query, session, signal))));
  return { title, nodes };
}

function filterForm({ app = "", openid = "", source = "", range = "30d", from = "", to = "" }, session) {
  const today = isoDay(session.now());
  const days = element(
    "fieldset",
    { class: "pair", hidden: range !== "days" },
    element("legend", { class: "unseen" }, text("range.pair")),
    field(text("range.from"), input("from", from, { type: "date", max: today })),
    field(text("range.to"), input("to", to, { type: "date", max: today })),
  );
  const ranges = select(
    "range",
    range,
    Object.keys(RANGES).map((name) => [name, text(`range.${name}`)]),
    {
      change: ({ target }) => (days.hidden = target.value !== "days"),
    },
  );
  return form(
    (given) => go("settlements", given.range === "days" ? given : { ...given, from: "", to: "" }),
    appField(app, { required: true }),
    field(text("field.openid"), input("openid", openid, { required: true, maxlength: 128 })),
    field(
      text("field.source"),
      select("source", source, [
        ["", text("source.all")],
        ...session.sources.map((each) => [each.source, text(`source.${each.source}`)]),
      ]),
    ),
    field(text("range.title"), ranges, { hint: text("range.utc") }),
    days,
    element("div", { class: "buttons" }, element("button", { type: "submit", class: "main" }, text("form.show"))),
  );
}

async function results(query, session, signal) {
  const { first, last } = rangeOf(query, session.now());
  const asked = {
    app_id: query.app,
    openid: query.openid,
    source: query.source ? Number(query.source) : null,
    start_time_unix_sec: first && Date.parse(`${first}T00:00:00Z`) / 1000,
    end_time_unix_sec: last && Date.parse(`${last}T23:59:59Z`) / 1000,
  };
  const chartLast = last ?? isoDay(session.now());
  const earliest = isoDay(Date.parse(chartLast) - (LONGEST_CHART_DAYS - 1) * DAY_MS);
  const chartFirst = first === null || first < earliest ? earliest : first;
  const [page, chart] = await Promise.all([
    call("settlements/list", { ...asked, cursor: "" }, { signal }),
    call(
      "settlements/chart",
      { app_id: query.app, openid: query.openid, first_day: chartFirst, last_day: chartLast },
      { signal },
    ),
  ]);
  rememberApps([query.app]);
  const heading = element(
    "h2",
    { tabindex: "-1", "data-results": true, class: "total" },
    counted("settlements.count", page.total.count),
    ": ",
    points(page.total.points),
    " ",
    text("settlements.unit"),
  );
  if (page.total.count === 0) return [heading, empty(text("settlements.none"))];
  return [heading, ...charts(chart, asked.source, chartFirst !== first), list(page, asked)];
}

/** The first and the last UTC day of a query, `2026-11-22`; null: open. */
function rangeOf({ range = "30d", from, to }, nowMs) {
  if (range === "days") return { first: from || null, last: to || null };
  const days = RANGES[range] ?? null;
  return days === null
    ? { first: null, last: null }
    : { first: isoDay(nowMs - (days - 1) * DAY_MS), last: isoDay(nowMs) };
}

function isoDay(timeMs) {
  return new Date(timeMs).toISOString().slice(0, 10);
}

// ------------------------------------------------------------------------------------------------------------ charts

function charts(chart, source, isCut) {
  const days = daysOf(chart);
  const byMonth = days.length > LONGEST_BY_DAY;
  const columns = periods(days, byMonth, chart.by_day, source);
  const name = text("chart.by_day", { first: date(chart.first_day), last: date(chart.last_day) });
  const sources = chart.by_source.map((entry) => ({ ...entry, name: text(`source.${entry.source}`) }));
  return [
    element(
      "div",
      { class: "columns" },
      panel(
        name,
        legend(),
        dayChart(columns, name),
        isCut && element("p", { class: "hint" }, text("chart.last_year")),
        inFigures(
          columns.filter((column) => column.count > 0),
          name,
          [
            { title: text(byMonth ? "chart.month" : "chart.day"), cell: (column) => column.name },
            { title: text("chart.added"), numeric: true, cell: (column) => points(column.up) },
            { title: text("chart.taken"), numeric: true, cell: (column) => points(column.down) },
            { title: text("chart.sum"), numeric: true, cell: (column) => points(column.points) },
            { title: text("chart.count"), numeric: true, cell: (column) => column.count },
          ],
        ),
      ),
      panel(
        text("chart.by_source"),
        sourceChart(sources, text("chart.by_source")),
        inFigures(sources, text("chart.by_source"), [
          { title: text("field.source"), cell: (entry) => entry.name },
          { title: text("chart.sum"), numeric: true, cell: (entry) => points(entry.points) },
          { title: text("chart.count"), numeric: true, cell: (entry) => entry.count },
        ]),
      ),
    ),
  ];
}

function daysOf({ first_day: first, last_day: last }) {
  const count = (Date.parse(last) - Date.parse(first)) / DAY_MS + 1;
  return Array.from({ length: count }, (_, place) => isoDay(Date.parse(first) + place * DAY_MS));
}

/** Without gaps: what sources added in each day or month, what others took, and their sum. */
function periods(days, byMonth, byDay, source) {
  const periodOf = (isoDate) => (byMonth ? isoDate.slice(0, 7) : isoDate);
  const parts = new Map(days.map((isoDate) => [periodOf(isoDate), []]));
  for (const { day: isoDate, by_source: bySource } of byDay) {
    parts.get(periodOf(isoDate)).push(...bySource.filter((entry) => source === null || entry.source === source));
  }
  return [...parts].map(([period, entries]) => ({
    name: byMonth ? month(period) : day(period),
    up: sum(entries.map((entry) => entry.points).filter((value) => !value.startsWith("-"))),
    down: sum(entries.map((entry) => entry.points).filter((value) => value.startsWith("-"))),
    points: sum(entries.map((entry) => entry.points)),
    count: entries.reduce((total, entry) => total + entry.count, 0),
  }));
}

function legend() {
  return element(
    "p",
    { class: "legend" },
    element("span", { class: "up" }, text("chart.added_by")),
    element("span", { class: "down" }, text("chart.taken_by")),
  );
}

function inFigures(rows, caption, columns) {
  return element("details", {}, element("summary", {}, text("chart.figures")), table(caption, columns, rows).node);
}

// -------------------------------------------------------------------------------------------------------------- list

function list(page, asked) {
  const made = table(
    text("settlements.caption"),
    [
      {
        title: text("field.bill_no"),
        cell: (row) =>
          link(`#/search?${new URLSearchParams({ id: row.bill_no, app: asked.app_id })}`, code(row.bill_no)),
      },
      { title: text("field.settle_time"), cell: (row) => time(row.settle_time_ms) },
      { title: text("field.settle_amt"), numeric: true, cell: (row) => points(row.settle_amt) },
      { title: text("field.amt"), numeric: true, cell: (row) => points(row.amt) },
      { title: text("field.amt_ratio"), numeric: true, cell: (row) => `${row.amt_ratio} %` },
      { title: text("field.source"), cell: (row) => badge(text(`source.${row.source}`), "calm") },
      { title: text("field.account"), cell: (row) => (row.account ? accountText(row.account) : "–") },
      { title: text("field.detail"), wide: true, cell: (row) => row.detail },
    ],
    page.settlements,
  );
  const next = (cursor) => call("settlements/list", { ...asked, cursor });
  return panel(
    text("settlements.title"),
    made.node,
    loadMore(made, page, next, (answer) => answer.settlements),
  );
}
