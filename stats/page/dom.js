// Builds elements, and updates the page to match what was built without replacing what did not
// change: focus, selection, scroll position and open details survive each refresh. Text is only ever
// inserted as text nodes, never as markup.

const kSvg = 'http://www.w3.org/2000/svg';
const kSvgTags = new Set(['svg', 'rect', 'line', 'circle', 'path', 'polyline', 'polygon', 'title']);

// h('p', {class: 'quiet'}, 'text', element, [more], null) - null and false are left out.
export function h(tag, attributes, ...children) {
  const element = kSvgTags.has(tag) ? document.createElementNS(kSvg, tag)
                                    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name === 'key' ? 'data-key' : name, value === true ? '' : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') : null;
}

function patchAttributes(have, want) {
  for (const {name, value} of [...want.attributes]) {
    if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  }
  for (const {name} of [...have.attributes]) {
    // Once details are on the page, the reader decides whether they are open.
    if (!want.hasAttribute(name) && name !== 'open') have.removeAttribute(name);
  }
}

function patchNode(have, want) {
  if (have.nodeType === Node.TEXT_NODE) {
    if (have.data !== want.data) have.data = want.data;
    return;
  }
  const open = have.nodeName === 'DETAILS' ? have.open : null;
  patchAttributes(have, want);
  if (open !== null) have.open = open;
  patch(have, [...want.childNodes]);
}

// Updates the children of `parent` to equal `wanted`. Elements with a key are matched by it.
export function patch(parent, ...wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) {
    if (keyOf(child) !== null) keyed.set(keyOf(child), child);
  }
  let cursor = parent.firstChild;
  for (const raw of wanted.flat(Infinity)) {
    if (raw === null || raw === undefined || raw === false) continue;
    const want = raw instanceof Node ? raw : document.createTextNode(String(raw));
    const key = keyOf(want);
    const have = key !== null ? keyed.get(key) : cursor;
    const same = have && have.nodeName === want.nodeName && keyOf(have) === key;
    if (!same) {
      parent.insertBefore(want, cursor);
      continue;
    }
    if (have === cursor) {
      cursor = cursor.nextSibling;
    } else {
      parent.insertBefore(have, cursor);
    }
    patchNode(have, want);
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}
