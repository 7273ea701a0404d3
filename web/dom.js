/**
 * Build and update elements. A string becomes a text node, so markup in a person's text is never interpreted.
 */

/** @typedef {Node | string | number | false | null | undefined} Child */
/** @typedef {Record<string, any>} Properties */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return a new element.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Properties} [properties] attributes by name; `on` holds listeners; false, null and undefined are left out
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  setAll(element, properties);
  fill(element, ...children);
  return element;
}

/**
 * Replace all children of an element.
 *
 * @param {Element | DocumentFragment} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  const present = children.flat().filter((child) => child !== false && child !== null && child !== undefined);
  element.replaceChildren(...present.map((child) => (child instanceof Node ? child : String(child))));
}

/**
 * Set attributes, listeners, and the properties `value` and `checked`.
 *
 * @param {Element} element
 * @param {Properties} properties
 */
export function setAll(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "value" || name === "checked") {
      Reflect.set(element, name, value);
    } else if (value === false || value === null || value === undefined) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/** Outlines of the icons, 24 by 24. */
const ICONS = {
  add: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  calendar: "M5 6h14v14H5zM5 10h14M9 3v4M15 3v4",
  copy: "M8 8h11v11H8zM5 15V5h10",
  chat: "M4 5h16v11H9l-5 4z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  down: "M7 14V4h9l3 7v3h-6l1 5-2 1-5-6zM7 4H4v10h3",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  flag: "M6 21V4h12l-3 4 3 4H6",
  history: "M4 6h16M4 12h16M4 18h10",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  person: "M12 12a4 4 0 100-8 4 4 0 000 8zM5 20c1-4 4-5 7-5s6 1 7 5",
  redo: "M19 12a7 7 0 11-2-5l2 2M19 4v5h-5",
  search: "M11 17a6 6 0 100-12 6 6 0 000 12zM15.5 15.5L20 20",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  tasks: "M4 7l2 2 3-4M4 17l2 2 3-4M13 7h7M13 17h7",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  undo: "M9 8H15a5 5 0 010 10H8M9 8l3-3M9 8l3 3",
  up: "M7 10v10h9l3-7v-3h-6l1-5-2-1-5 6zM7 20H4V10h3",
  wait: "M12 7v5l3 2M12 21a9 9 0 100-18 9 9 0 000 18z",
};
/** @typedef {keyof typeof ICONS} IconName */

/**
 * Return an icon that screen readers skip.
 *
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  setAll(svg, { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" });
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * Return a button that shows an icon only.
 *
 * @param {IconName} name
 * @param {string} label read by screen readers and shown as a tooltip
 * @param {(event: MouseEvent) => void} click
 * @param {Properties} [properties]
 */
export function iconButton(name, label, click, properties = {}) {
  const given = { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click } };
  return h("button", { ...given, ...properties }, icon(name));
}

/**
 * A row of a list: its element, and a way to show a newer item in it.
 *
 * @template Item
 * @typedef {{ element: HTMLElement, update: (item: Item) => void }} Row
 */

/**
 * Keeps the children of an element in step with a list. An element stays the same as long as its key is in the list,
 * so focus and half-typed text survive.
 *
 * @template Item
 */
export class Rows {
  /** @type {Map<string | number, { item: Item, row: Row<Item> }>} */
  #known = new Map();

  /**
   * @param {Element} parent
   * @param {(item: Item) => string | number} keyOf
   * @param {(item: Item) => Row<Item>} make
   */
  constructor(parent, keyOf, make) {
    this.parent = parent;
    this.keyOf = keyOf;
    this.make = make;
  }

  /** @param {Item[]} items */
  show(items) {
    const left = new Map(this.#known);
    let place = this.parent.firstElementChild;
    for (const item of items) {
      const key = this.keyOf(item);
      left.delete(key);
      let entry = this.#known.get(key);
      if (!entry) {
        entry = { item, row: this.make(item) };
        this.#known.set(key, entry);
      } else if (entry.item !== item) {
        entry.item = item;
        entry.row.update(item);
      }
      const { element } = entry.row;
      if (element === place) {
        place = place.nextElementSibling;
      } else {
        this.parent.insertBefore(element, place);
      }
    }
    for (const [key, { row }] of left) {
      row.element.remove();
      this.#known.delete(key);
    }
  }
}
