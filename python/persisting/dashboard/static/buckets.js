// The table of buckets, by topic. Rows are kept from one answer to the next and only what has
// changed is written: two hundred of them change every second.

import { h, setAttribute, setText, svg } from "./dom.js";
import * as format from "./format.js";

const COLUMNS = ["Bucket", "State", "Records", "Rate", "Unflushed", "Log", "Frags", "Versions"];
const TIPS = {
  Unflushed: "Acknowledged records that are not in the table yet",
  Log: "Bytes of the write-ahead log",
  Frags: "Data fragments of the Lance table",
  Versions: "Versions of the Lance table that are kept",
};
const WIDTH = 56;
const HEIGHT = 18;

function drawTrace(path, trace) {
  const most = Math.max(1e-9, ...trace.map((value) => value ?? 0));
  const step = WIDTH / 39;
  const from = WIDTH - step * (trace.length - 1);
  const points = trace.map((value, i) => {
    const y = HEIGHT - 1.5 - ((value ?? 0) / most) * (HEIGHT - 3);
    return `${(from + i * step).toFixed(1)},${y.toFixed(1)}`;
  });
  setAttribute(path, "points", points.join(" "));
}

export function stateText(row) {
  return row.state === "open" ? `open by ${row.holder}` : row.state;
}

class Row {
  constructor(key) {
    this.link = h("a", { href: `#${encodeURIComponent(key)}` });
    this.state = h("span", { class: "state" });
    this.trace = svg("polyline");
    this.cells = COLUMNS.slice(2).map((title) =>
      h("td", { class: `number of-${title.toLowerCase()}` }),
    );
    this.rate = h("span");
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
      this.trace,
    );
    this.cells[1].append(picture, this.rate);
    this.element = h(
      "tr",
      {},
      h("th", { scope: "row" }, this.link),
      h("td", {}, this.state),
      ...this.cells,
    );
    this.element.addEventListener("click", () => this.link.click());
    this.link.addEventListener("click", (event) => event.stopPropagation());
  }

  show(row, isSelected) {
    setText(this.link, `bucket ${row.bucket}`);
    setAttribute(this.link, "aria-label", `${row.topic}, bucket ${row.bucket}`);
    setAttribute(this.link, "aria-current", isSelected ? "true" : null);
    setText(this.state, stateText(row));
    setAttribute(this.state, "data-state", row.state);
    setAttribute(this.state, "title", row.error);
    const [records, , unflushed, log, fragments, versions] = this.cells;
    setText(records, format.count(row.records));
    setText(this.rate, format.perSecond(row.rate));
    setText(unflushed, format.count(row.unflushed));
    setText(log, format.bytes(row.log_bytes));
    setText(fragments, format.count(row.fragments));
    setText(versions, format.count(row.versions));
    drawTrace(this.trace, row.trace);
  }
}

class Topic {
  constructor() {
    this.name = h("span", { class: "name" });
    this.sum = h("span", { class: "sum" });
    const head = h("th", { colspan: COLUMNS.length, scope: "rowgroup" }, this.name, this.sum);
    this.element = h("tbody", {}, h("tr", { class: "topic" }, head));
  }

  show(name, rows) {
    setText(this.name, name);
    const sum = (field) => rows.reduce((total, row) => total + (row[field] ?? 0), 0);
    const many = rows.length === 1 ? "1 bucket" : `${rows.length} buckets`;
    setText(
      this.sum,
      `${many} · ${format.count(sum("records"))} records · ${format.perSecond(sum("rate"))}`,
    );
  }
}

export class BucketTable {
  constructor(parent) {
    this.rows = new Map();
    this.topics = new Map();
    this.table = h(
      "table",
      {},
      h("caption", { class: "unseen" }, "Buckets by topic; a bucket's link shows it in detail"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...COLUMNS.map((title, i) =>
            h(
              "th",
              {
                scope: "col",
                class: `${i < 2 ? "" : "number "}of-${title.toLowerCase()}`,
                title: TIPS[title],
              },
              title,
            ),
          ),
        ),
      ),
    );
    parent.append(this.table);
    this.table.addEventListener("keydown", (event) => this.#move(event));
  }

  show(buckets, selected) {
    const byTopic = Map.groupBy(buckets, (row) => row.topic);
    this.#drop(this.topics, (name) => byTopic.has(name));
    const keys = new Set(buckets.map((row) => row.key));
    this.#drop(this.rows, (key) => keys.has(key));
    let before = this.table.tHead;
    for (const [name, rows] of byTopic) {
      const topic = this.#topic(name);
      topic.show(name, rows);
      if (before.nextSibling !== topic.element) before.after(topic.element);
      before = topic.element;
      let above = topic.element.firstChild;
      for (const row of rows) {
        const line = this.#row(row.key);
        line.show(row, row.key === selected);
        if (above.nextSibling !== line.element) above.after(line.element);
        above = line.element;
      }
    }
  }

  #topic(name) {
    if (!this.topics.has(name)) this.topics.set(name, new Topic());
    return this.topics.get(name);
  }

  #row(key) {
    if (!this.rows.has(key)) this.rows.set(key, new Row(key));
    return this.rows.get(key);
  }

  #drop(kept, isWanted) {
    for (const [key, item] of kept) {
      if (isWanted(key)) continue;
      item.element.remove();
      kept.delete(key);
    }
  }

  // Arrow keys go from bucket to bucket, as Tab does.
  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target.tagName !== "A") return;
    event.preventDefault();
    const links = [...this.table.querySelectorAll("tbody a")];
    links[links.indexOf(event.target) + step]?.focus();
  }
}
