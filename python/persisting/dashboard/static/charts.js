// The charts of one bucket, over uPlot (vendor/uplot).

import { h, setAttribute, setText } from "./dom.js";
import * as format from "./format.js";

const HEIGHT = 140;
const SYNC = "time";
const LEAST = 60; // seconds that a chart shows

const clock = { hour: "2-digit", minute: "2-digit", hour12: false };
const withMinutes = new Intl.DateTimeFormat("en", clock);
const withSeconds = new Intl.DateTimeFormat("en", { ...clock, second: "2-digit" });

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function fromZero(_plot, _least, most) {
  return [0, most > 0 ? most * 1.12 : 1];
}

// Whole decades, so that ticks are where people expect them.
function decades(_plot, least, most) {
  if (!(least > 0)) return [1e-4, 1e-2];
  const low = 10 ** Math.floor(Math.log10(least) + 1e-9);
  const high = 10 ** Math.ceil(Math.log10(most) - 1e-9);
  return [low, high > low ? high : low * 10];
}

const KINDS = {
  rate: { show: format.perSecond, axis: format.compact },
  count: { show: format.count, axis: format.compact },
  age: { show: format.duration, axis: format.duration },
  latency: { show: format.duration, axis: format.duration, isLog: true },
};

// {title, kind, series: [{name, label, color}], isEvents, needsMetrics, needsTimedPuts}
export const CHARTS = [
  { title: "Put rate", kind: "rate", series: [{ name: "rate", label: "records", color: "--one" }] },
  {
    title: "Put latency",
    kind: "latency",
    needsMetrics: true,
    needsTimedPuts: true,
    series: [
      { name: "put_p50", label: "p50", color: "--one" },
      { name: "put_p99", label: "p99", color: "--two" },
    ],
  },
  {
    title: "Unflushed records",
    kind: "count",
    series: [{ name: "lag_records", label: "records", color: "--one" }],
  },
  {
    title: "Log sync",
    kind: "latency",
    needsMetrics: true,
    series: [
      { name: "sync_p50", label: "p50", color: "--one" },
      { name: "sync_p99", label: "p99", color: "--two" },
    ],
  },
  {
    title: "Age of the oldest unflushed",
    kind: "age",
    needsMetrics: true,
    series: [{ name: "lag_seconds", label: "age", color: "--one" }],
  },
  {
    title: "Flush duration",
    kind: "latency",
    needsMetrics: true,
    isEvents: true,
    series: [{ name: "flush_mean", label: "last", color: "--one" }],
  },
];

export class Chart {
  constructor(definition) {
    this.definition = definition;
    this.kind = KINDS[definition.kind];
    this.values = definition.series.map(() => h("b", {}, "–"));
    this.data = null;
    this.plot = null;
    const keys = definition.series.map((series, i) =>
      h("span", { class: "key", "data-color": series.color.slice(2) }, `${series.label} `,
        this.values[i]),
    );
    this.place = h("div", { class: "plot", role: "img" });
    this.note = h("p", { class: "note", hidden: "" });
    this.element = h(
      "figure",
      {},
      h("figcaption", {}, h("span", {}, definition.title), ...keys),
      this.place,
      this.note,
    );
    this.observer = new ResizeObserver(() => {
      const width = this.place.clientWidth;
      if (this.plot && width && width !== this.plot.width) {
        this.plot.setSize({ width, height: HEIGHT });
      }
    });
    this.observer.observe(this.place);
  }

  // series: columns by name; seconds: how much of the past is shown; note: why there is no chart.
  show(series, seconds, note) {
    setText(this.note, note ?? "");
    this.note.hidden = note === null;
    this.place.hidden = note !== null;
    if (note !== null) {
      this.values.forEach((value) => setText(value, "–"));
      return;
    }
    this.data = [series.time, ...this.definition.series.map(({ name }) => series[name])];
    this.end = series.time.at(-1) ?? Date.now() / 1000;
    // While little is known yet, that little fills the chart.
    const known = this.end - (series.time[0] ?? this.end);
    this.seconds = Math.min(seconds, Math.max(known, LEAST));
    if (this.plot === null) this.draw();
    this.plot.setData(this.data, false);
    this.plot.setScale("x", { min: this.end - this.seconds, max: this.end });
    if (this.plot.cursor.idx === null || this.plot.cursor.left < 0) this.#label(null);
  }

  draw() {
    this.plot?.destroy();
    const grid = { stroke: color("--grid"), width: 1 };
    const axis = {
      stroke: color("--muted"),
      font: `11px ${color("--font")}`,
      grid,
      ticks: { show: false },
    };
    const { isLog, axis: tick } = this.kind;
    const events = this.definition.isEvents;
    this.plot = new uPlot(
      {
        width: this.place.clientWidth || 300,
        height: HEIGHT,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, y: false },
        scales: {
          x: { time: true },
          y: isLog ? { distr: 3, range: decades } : { range: fromZero },
        },
        axes: [
          { ...axis, size: 26, gap: 7, space: 70, values: times },
          {
            ...axis,
            size: 58,
            gap: 6,
            space: 26,
            values: (_plot, splits) => splits.map((value) => (value === null ? "" : tick(value))),
            ...(isLog ? { filter: onlyDecades, grid: { ...grid, filter: onlyDecades } } : {}),
          },
        ],
        series: [
          {},
          ...this.definition.series.map((series, i) => ({
            stroke: color(series.color),
            width: 1.5,
            fill: i === 0 && !isLog ? `${color(series.color)}22` : undefined,
            ...(events
              ? { paths: () => null, points: { show: true, size: 6, fill: color(series.color) } }
              : { points: { size: 4, fill: color(series.color) } }),
          })),
        ],
        hooks: { setCursor: [(plot) => this.#label(plot.cursor.idx)] },
      },
      this.data,
      this.place,
    );
  }

  // The values under the pointer; without one the last that were measured.
  #label(index) {
    const texts = this.definition.series.map((series, i) => {
      const column = this.data[i + 1];
      const value =
        index === null || index === undefined
          ? this.definition.isEvents
            ? column.findLast((each) => each !== null)
            : column.at(-1)
          : column[index];
      setText(this.values[i], this.kind.show(value));
      return `${series.label} ${this.kind.show(value)}`;
    });
    setAttribute(
      this.place,
      "aria-label",
      `${this.definition.title} over the last ${format.duration(this.seconds)}: ${texts.join(", ")}`,
    );
  }

  close() {
    this.observer.disconnect();
    this.plot?.destroy();
  }
}

function times(_plot, splits, _axis, _space, step) {
  const format = step < 60 ? withSeconds : withMinutes;
  return splits.map((time) => format.format(time * 1000));
}

// Every decade, or every other one where there are many.
function onlyDecades(_plot, splits) {
  const step = Math.log10(splits.at(-1) / splits[0]) > 3.5 ? 2 : 1;
  return splits.map((value) => {
    const decade = Math.log10(value);
    const isWhole = Math.abs(decade - Math.round(decade)) < 1e-6;
    return isWhole && Math.round(decade) % step === 0 ? value : null;
  });
}
