// Numbers as people read them. Whatever is not known is a dash.

const DASH = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

const known = (value) => value !== null && value !== undefined;

export function count(value) {
  return known(value) ? whole.format(value) : DASH;
}

export function compact(value) {
  if (!known(value)) return DASH;
  const size = Math.abs(value);
  if (size >= 1e9) return `${three.format(value / 1e9)}G`;
  if (size >= 1e6) return `${three.format(value / 1e6)}M`;
  if (size >= 1e4) return `${three.format(value / 1e3)}k`;
  return size >= 100 ? whole.format(value) : three.format(value);
}

export function perSecond(value) {
  return known(value) ? `${compact(value)}/s` : DASH;
}

export function bytes(value) {
  if (!known(value)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 ? whole.format(value) : three.format(value)} ${units[unit]}`;
}

export function duration(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return `${three.format(seconds * 1e6)} µs`;
  if (seconds < 1) return `${three.format(seconds * 1e3)} ms`;
  if (seconds < 120) return `${three.format(seconds)} s`;
  return `${three.format(seconds / 60)} min`;
}

// A metric's value in the unit that its name ends with.
export function metric(name, value) {
  const stem = name.replace(/_total$/, "");
  if (stem.endsWith("_seconds")) return duration(value);
  if (stem.endsWith("_bytes") || stem === "persisting_bytes") return bytes(value);
  return known(value) && !Number.isInteger(value) ? three.format(value) : count(value);
}
