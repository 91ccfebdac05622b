// Asks the server once a second, while the page can be seen, and shows what it says.

import { BucketTable } from "./buckets.js";
import { Detail } from "./detail.js";
import { h, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

const INTERVAL = 1000; // ms
const PATIENCE = 10000; // ms
const SLOW = 10; // seconds; the server takes its time where there are very many buckets

const at = (id) => document.getElementById(id);
const buckets = new BucketTable(at("table"));
let detail = null;
let overview = null;
let waiting = null;
let isAsking = false;
let isWantedAgain = false;

const TOTALS = [
  ["Topics", (rows) => format.count(new Set(rows.map((row) => row.topic)).size)],
  ["Buckets", (rows) => format.count(rows.length)],
  ["Records", (rows) => format.count(sum(rows, "records"))],
  ["Put rate", (rows) => format.perSecond(sum(rows, "rate"))],
  ["Unflushed", (rows) => format.count(sum(rows, "unflushed"))],
  ["Logs", (rows) => format.bytes(sum(rows, "log_bytes"))],
  ["Need attention", (rows) => format.count(rows.filter(isInTrouble).length)],
];
const totals = TOTALS.map(() => h("dd"));
at("totals").append(
  ...TOTALS.map(([name], i) => h("div", {}, h("dt", {}, name), totals[i])),
);

function sum(rows, field) {
  return rows.reduce((total, row) => total + (row[field] ?? 0), 0);
}

function isInTrouble(row) {
  return row.state === "damaged" || row.state === "poisoned";
}

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// The one that the address names; without a name the first.
function selectedKey() {
  let named = "";
  try {
    named = decodeURIComponent(location.hash.slice(1));
  } catch {
    // Not one of our addresses.
  }
  return named || (overview?.buckets[0]?.key ?? null);
}

function showOverview() {
  const wanted = at("filter").value.trim().toLowerCase();
  const rows = overview.buckets.filter((row) =>
    `${row.topic} ${row.bucket} ${row.state}`.toLowerCase().includes(wanted),
  );
  buckets.show(rows, selectedKey());
  TOTALS.forEach(([, of], i) => setText(totals[i], of(overview.buckets)));
  totals.at(-1).parentElement.classList.toggle("alarm", overview.buckets.some(isInTrouble));
  setText(at("path"), overview.path);
  setText(at("trouble"), overview.error ?? "");
  at("trouble").hidden = overview.error === null;
  const none = overview.age === null
    ? "Looking for buckets …"
    : overview.buckets.length === 0
      ? "No buckets here yet. They appear as soon as a queue makes them."
      : "No bucket fits the filter.";
  setText(at("none"), none);
  at("none").hidden = rows.length > 0;
  at("table").hidden = rows.length === 0;
}

async function showDetail() {
  const key = selectedKey();
  const isThere = overview.buckets.some((row) => row.key === key);
  if (!isThere) {
    detail?.close();
    detail = null;
    at("detail").replaceChildren(
      ...(key === null ? [] : [h("p", { class: "empty" }, `There is no bucket ${key} any more.`)]),
    );
    return;
  }
  const bucket = await ask(`/api/bucket?key=${encodeURIComponent(key)}`);
  if (key !== selectedKey()) return; // another one was chosen meanwhile
  if (detail?.key !== key) {
    detail?.close();
    detail = new Detail(at("detail"), key);
  }
  detail.show(bucket);
}

function showConnection(state, words) {
  setAttribute(at("connection"), "data-state", state);
  setText(at("connection"), words);
  document.body.classList.toggle("stale", state === "lost");
}

async function look() {
  clearTimeout(waiting);
  isWantedAgain = isAsking;
  if (isAsking || document.hidden) return;
  isAsking = true;
  try {
    overview = await ask("/api/buckets");
    showOverview();
    await showDetail();
    const isSlow = overview.age > SLOW;
    if (isSlow) showConnection("slow", `last look ${format.duration(overview.age)} ago`);
    else showConnection("live", "live");
  } catch (error) {
    showConnection("lost", "no answer, trying again");
    if (!(error instanceof TypeError) && error.name !== "TimeoutError") console.warn(error);
  } finally {
    isAsking = false;
    waiting = setTimeout(look, isWantedAgain ? 0 : INTERVAL);
  }
}

addEventListener("hashchange", () => {
  if (overview) showOverview();
  look();
});
document.addEventListener("visibilitychange", look);
at("filter").addEventListener("input", () => overview && showOverview());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => detail?.recolor());
look();
