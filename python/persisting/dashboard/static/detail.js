// The page of one bucket: figures, charts, records, schema, metrics.

import { stateText } from "./buckets.js";
import { CHARTS, Chart } from "./charts.js";
import { h, setAttribute, setText, table } from "./dom.js";
import * as format from "./format.js";

const NOT_TIMED = "not measured: open the bucket with enable_metrics=True";
const SPANS = [1, 5, 10]; // minutes

const FACTS = [
  ["Records", (bucket) => format.count(bucket.stats.total_count)],
  ["In the table", (bucket) => format.count(bucket.stats.persisted_count)],
  ["In log and memory", (bucket) => format.count(bucket.stats.buffer_count)],
  ["Log", (bucket) => format.bytes(bucket.stats.wal_size)],
  ["Log segments", (bucket) => format.count(bucket.stats.wal_segments)],
  ["Table", (bucket) => format.bytes(bucket.stats.table_bytes)],
  ["Table version", (bucket) => format.count(bucket.stats.table_version)],
  ["Versions kept", (bucket) => format.count(bucket.stats.versions)],
  ["Fragments", (bucket) => format.count(bucket.stats.fragments)],
  ["Dead letters", (bucket) => format.count(bucket.stats.dead_letters)],
];

const text = (value) => (value === null || value === undefined ? "–" : String(value));

function recordsTable(bucket) {
  const records = bucket.last_records;
  if (records.length === 0) return h("p", { class: "empty" }, "No records yet.");
  const fields = [...new Set(records.flatMap((record) => Object.keys(record)))];
  const rows = records.map((record, i) => ({ offset: bucket.first_offset + i, record })).reverse();
  return table(
    "The last records, newest first",
    [
      { title: "Offset", number: true, heading: true, of: (row) => format.count(row.offset) },
      ...fields.map((field) => ({
        title: field,
        code: true,
        of: ({ record }) => (Object.hasOwn(record, field) ? record[field] : "–"),
        tip: ({ record }) => record[field],
      })),
    ],
    rows,
  );
}

function schemaTable(bucket) {
  if (bucket.schema.length === 0) return h("p", { class: "empty" }, "No fields yet.");
  return table(
    "Fields of the schema",
    [
      { title: "Field", code: true, heading: true, of: (field) => field.name },
      { title: "Type", code: true, of: (field) => text(field.type) },
      { title: "Default", code: true, of: (field) => text(field.default) },
    ],
    bucket.schema,
  );
}

function historyTable(bucket) {
  if (bucket.schema_history.length === 0) return h("p", { class: "empty" }, "No changes yet.");
  return table(
    "Changes of the schema, newest first",
    [
      { title: "At offset", number: true, heading: true, of: (change) => format.count(change.offset) },
      { title: "Change", of: (change) => change.change },
      { title: "Field", code: true, of: (change) => change.field },
      { title: "Before", code: true, of: (change) => text(change.before) },
      { title: "After", code: true, of: (change) => text(change.after) },
    ],
    bucket.schema_history.toReversed(),
  );
}

function metricsTable(bucket) {
  if (bucket.metrics.length === 0) return h("p", { class: "empty" }, bucket.unmeasured ?? "");
  const unit = (name) => (value) => format.metric(name, value);
  const part = (name) => (line) =>
    line.kind === "histogram" ? unit(line.name)(line[name]) : "";
  return table(
    "Metrics since the bucket was opened",
    [
      { title: "Metric", code: true, heading: true, of: (line) => line.name, tip: (line) => line.help },
      {
        title: "Value or count",
        number: true,
        of: (line) =>
          line.kind === "histogram" ? format.count(line.count) : unit(line.name)(line.value),
      },
      { title: "Mean", number: true, of: part("mean") },
      { title: "p50", number: true, of: part("p50") },
      { title: "p99", number: true, of: part("p99") },
    ],
    bucket.metrics,
  );
}

// Why there is nothing to see in a chart; null: there is.
function whyNot(bucket, { needsMetrics, needsTimedPuts, series }) {
  if (!needsMetrics) return null;
  if (series.some(({ name }) => bucket.series[name].some((each) => each !== null))) return null;
  if (bucket.unmeasured !== null) return bucket.unmeasured;
  return needsTimedPuts && !bucket.puts_measured ? NOT_TIMED : null;
}

// Made anew only when what it shows has changed.
class Part {
  constructor(title, make, ofWhat) {
    this.make = make;
    this.ofWhat = ofWhat;
    this.shown = null;
    this.place = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title });
    this.element = h("section", { class: "part" }, h("h3", {}, title), this.place);
  }

  show(bucket) {
    const now = JSON.stringify(this.ofWhat(bucket));
    if (now === this.shown) return;
    this.shown = now;
    this.place.replaceChildren(this.make(bucket));
  }
}

export class Detail {
  constructor(parent, key) {
    this.key = key;
    this.parent = parent;
    this.title = h("h2");
    this.state = h("span", { class: "state" });
    this.folder = h("code", { class: "folder" });
    this.error = h("p", { class: "error", role: "alert", hidden: "" });
    this.facts = FACTS.map(() => h("dd"));
    this.charts = CHARTS.map((definition) => new Chart(definition));
    this.minutes = h(
      "select",
      { "aria-label": "How much of the past the charts show" },
      ...SPANS.map((minutes) =>
        h("option", { value: minutes, selected: minutes === 5 ? "" : undefined },
          `last ${minutes} min`),
      ),
    );
    this.minutes.addEventListener("change", () => this.bucket && this.show(this.bucket));
    this.parts = [
      new Part("Last records", recordsTable, (b) => [b.first_offset, b.last_records]),
      new Part("Schema", schemaTable, (b) => b.schema),
      new Part("Schema history", historyTable, (b) => b.schema_history),
      new Part("Metrics", metricsTable, (b) => [b.metrics, b.unmeasured]),
    ];
    const [records, schema, history, metrics] = this.parts.map((part) => part.element);
    this.body = h(
      "div",
      {},
      h("dl", { class: "facts" },
        ...FACTS.map(([name], i) => h("div", {}, h("dt", {}, name), this.facts[i]))),
      h("div", { class: "charts" }, ...this.charts.map((chart) => chart.element)),
      h("div", { class: "pair" }, schema, history),
      records,
      metrics,
    );
    parent.replaceChildren(
      h("div", { class: "bar" }, this.title, this.state, this.minutes),
      this.folder,
      this.error,
      this.body,
    );
  }

  show(bucket) {
    this.bucket = bucket;
    setText(this.title, `${bucket.topic} / bucket ${bucket.bucket}`);
    setText(this.state, stateText(bucket));
    setAttribute(this.state, "data-state", bucket.state);
    setText(this.folder, bucket.folder);
    setText(this.error, bucket.error ?? "");
    this.error.hidden = bucket.error === null;
    // Of a bucket that could never be read there is nothing but its error.
    const isKnown = bucket.schema !== undefined;
    this.body.hidden = !isKnown;
    if (!isKnown) return;
    FACTS.forEach(([, of], i) => setText(this.facts[i], of(bucket)));
    for (const chart of this.charts) {
      chart.show(bucket.series, this.minutes.value * 60, whyNot(bucket, chart.definition));
    }
    for (const part of this.parts) part.show(bucket);
  }

  // The colours of a canvas do not follow the colour scheme by themselves.
  recolor() {
    for (const chart of this.charts) if (chart.plot) chart.draw();
    if (this.bucket) this.show(this.bucket);
  }

  close() {
    for (const chart of this.charts) chart.close();
    this.parent.replaceChildren();
  }
}
