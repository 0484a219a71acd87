// How the whole of it is doing, and the way in by an id.

import { element, facts, panel } from "./elements.js";
import { duration, number, text } from "./language.js";
import { call } from "./server.js";
import { searchForm } from "./search.js";
import { appTable, needsAttention } from "./apps.js";

export async function screen({ signal }) {
  const [health, listed] = await Promise.all([call("health", {}, { signal }), call("apps/list", {}, { signal })]);
  const waiting = listed.apps.filter(needsAttention);
  const title = text("menu.overview");
  return {
    title,
    nodes: [
      element("div", { class: "head" }, element("h1", { tabindex: "-1" }, title)),
      panel(text("search.title"), searchForm({})),
      panel(text("health.title"), tiles(health)),
      panel(
        text("attention.title"),
        waiting.length
          ? appTable(text("attention.title"), waiting, listed.counts_up_to).node
          : element("p", { class: "quiet" }, text("attention.none")),
        !listed.is_end &&
          element("p", { class: "hint" }, text("attention.first", { count: number(listed.apps.length) })),
      ),
    ],
  };
}

function tiles({ oldest_overdue_ms: overdueMs, queue, dead_letters: deadLetters }) {
  const made = facts({
    [text("health.overdue")]: overdueMs > 0 ? duration(overdueMs) : text("health.none"),
    [text("health.waiting")]: number(queue.waiting),
    [text("health.in_flight")]: number(queue.in_flight),
    [text("health.delayed")]: number(queue.delayed),
    [text("health.dead_letters")]: number(deadLetters),
  });
  made.classList.add("figures");
  return made;
}
