// Who may call, and how telling them goes.

import { badge, element, empty, link, table } from "./elements.js";
import { number, text } from "./language.js";
import { breakerBadge } from "./app.js";
import { loadMore } from "./lists.js";
import { rememberApps } from "./places.js";
import { call } from "./server.js";

export async function screen({ signal }) {
  const page = await call("apps/list", {}, { signal });
  rememberApps(page.apps.map((app) => app.app_id));
  const title = text("menu.apps");
  const made = appTable(title, page.apps, page.counts_up_to);
  const next = (cursor) => call("apps/list", { cursor });
  return {
    title,
    nodes: [
      element("div", { class: "head" }, element("h1", { tabindex: "-1" }, title)),
      page.apps.length
        ? element(
            "div",
            { class: "panel" },
            made.node,
            loadMore(made, page, next, (answer) => answer.apps),
          )
        : empty(text("apps.none")),
    ],
  };
}

export function appTable(caption, apps, countsUpTo) {
  return table(
    caption,
    [
      { title: text("field.app"), cell: (app) => link(`#/apps/${encodeURIComponent(app.app_id)}`, app.app_id) },
      { title: text("field.roles"), cell: (app) => app.roles.map((role) => text(`role.${role}`)).join(", ") },
      { title: text("field.status"), cell: appStatus },
      { title: text("field.breaker"), cell: (app) => (app.notify_url === null ? "–" : breakerBadge(app.breaker)) },
      { title: text("field.held"), numeric: true, cell: (app) => upTo(app.held, countsUpTo) },
      { title: text("field.dead"), numeric: true, cell: (app) => upTo(app.dead, countsUpTo) },
      { title: text("field.rotation"), cell: (app) => text(`rotation.${app.rotation_step}`) },
    ],
    apps,
  );
}

export function appStatus({ status }) {
  return badge(text(`app_status.${status}`), status === "enabled" ? "good" : "bad");
}

/** A count that stops at a bound says so. */
export function upTo(count, bound) {
  return count < bound ? number(count) : `${number(bound)}+`;
}

export function needsAttention({ held, dead, breaker }) {
  return held > 0 || dead > 0 || breaker.state === "open";
}
