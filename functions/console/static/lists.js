// Long lists: a page at a time, the next one when it is asked for.

import { announce, busy, button, element } from "./elements.js";
import { counted, text } from "./language.js";
import { explained } from "./server.js";

/** The end of a table: a button for the next page while there is one. `next(cursor)` asks for it, `rowsOf` takes the
 *  rows out of the answer, `remark` says in words how far a search has come that found little. */
export function loadMore(table, page, next, rowsOf, remark = () => null) {
  if (page.is_end) return null;
  let cursor = page.cursor;
  const said = element("p", { class: "hint" }, remark(page));
  const fault = element("div", { role: "alert" });
  const load = async () => {
    fault.replaceChildren();
    const answer = await next(cursor);
    const rows = rowsOf(answer);
    const before = table.body.rows.length;
    table.add(rows);
    announce(counted("list.more_shown", rows.length));
    cursor = answer.cursor;
    said.replaceChildren(remark(answer) ?? "");
    table.body.rows[before]?.querySelector("a")?.focus();
    if (answer.is_end) place.remove();
  };
  const more = button(text("list.more"), () =>
    busy(more, load, (failure) => fault.replaceChildren(explained(failure))),
  );
  const place = element("div", { class: "more" }, said, fault, more);
  return place;
}
