// Elements made by hand. Texts become text nodes and nothing else: what records hold is never
// read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Writes only what is new, so that a selection of text outlives the next answer.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// A table of texts. columns: {title, of(row) -> text or element, number, code, heading}.
export function table(caption, columns, rows) {
  const cell = (column, row) => {
    const content = column.of(row);
    const title = column.tip?.(row);
    return h(
      column.heading ? "th" : "td",
      {
        class: [column.number ? "number" : "", column.code ? "code" : ""].join(" ").trim(),
        scope: column.heading ? "row" : undefined,
        title,
      },
      content,
    );
  };
  return h(
    "table",
    {},
    h("caption", { class: "unseen" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ...columns.map((column) =>
          h("th", { scope: "col", class: column.number ? "number" : "" }, column.title),
        ),
      ),
    ),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...columns.map((c) => cell(c, row))))),
  );
}
