// The page's words, and how it writes numbers and times. The words of each language are one module, loaded when needed.

export const LANGUAGES = { en: "English", zh: "中文" };
const KEPT = "settlepoint.console.language";

let language = "en";
let words = {};
let formats = {};

/** What was chosen here before, else what the browser asks for. */
export function preferredLanguage() {
  const kept = localStorage.getItem(KEPT);
  if (kept in LANGUAGES) return kept;
  const asked = navigator.languages.find((tag) => tag.slice(0, 2) in LANGUAGES);
  return asked ? asked.slice(0, 2) : "en";
}

export async function speak(chosen, { keep = false } = {}) {
  words = (await import(`./${chosen}.js`)).default;
  language = chosen;
  const tag = chosen === "zh" ? "zh-CN" : "en-GB"; // 24 hours, day before month
  formats = {
    plural: new Intl.PluralRules(tag),
    number: new Intl.NumberFormat(tag),
    amount: new Intl.NumberFormat(tag, { maximumFractionDigits: 2 }),
    compact: new Intl.NumberFormat(tag, { notation: "compact", maximumSignificantDigits: 3 }),
    moment: new Intl.DateTimeFormat(tag, {
      year: "numeric",
      month: "short",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    }),
    month: new Intl.DateTimeFormat(tag, { month: "short", year: "numeric", timeZone: "UTC" }),
    date: new Intl.DateTimeFormat(tag, { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" }),
    day: new Intl.DateTimeFormat(tag, { month: "short", day: "numeric", timeZone: "UTC" }),
  };
  document.documentElement.lang = tag;
  if (keep) localStorage.setItem(KEPT, chosen);
}

export function spoken() {
  return language;
}

/** The words of a key, with {name} filled in. A key that has none is a fault of this page's, and throws. */
export function text(key, values = {}) {
  const found = words[key];
  if (found === undefined) throw new Error(`no words for ${key}`);
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** The words of a key in singular or plural; {count} is filled in. */
export function counted(key, count) {
  return text(`${key}.${formats.plural.select(count) === "one" ? "one" : "other"}`, { count: number(count) });
}

export function hasWords(key) {
  return key in words;
}

/** A count. */
export function number(value) {
  return formats.number.format(value);
}

/** Points from the decimal text that the server wrote. Given as text, every digit is kept. */
export function amount(value) {
  return formats.amount.format(value);
}

/** A round figure for an axis. */
export function compact(value) {
  return formats.compact.format(value);
}

/** In the browser's zone. */
export function moment(timeMs) {
  return formats.moment.format(timeMs);
}

/** A UTC day, `2026-11-22`, with its year. */
export function date(isoDate) {
  return formats.date.format(new Date(`${isoDate}T00:00:00Z`));
}

/** A UTC day, `2026-11-22`, where its year is plain. */
export function day(isoDate) {
  return formats.day.format(new Date(`${isoDate}T00:00:00Z`));
}

/** A UTC month, `2026-11`. */
export function month(isoMonth) {
  return formats.month.format(new Date(`${isoMonth}-01T00:00:00Z`));
}

/** How long, in the largest two units that matter. */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [
    ["duration.days", Math.floor(seconds / 86400)],
    ["duration.hours", Math.floor(seconds / 3600) % 24],
    ["duration.minutes", Math.floor(seconds / 60) % 60],
    ["duration.seconds", seconds % 60],
  ];
  const first = parts.findIndex(([, count]) => count > 0);
  if (first < 0) return text("duration.seconds", { count: 0 });
  return parts
    .slice(first, first + 2)
    .filter(([, count]) => count > 0)
    .map(([key, count]) => text(key, { count }))
    .join(" ");
}
