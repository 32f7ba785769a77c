// A little of what every screen needs.

export const find = (id) => document.getElementById(id);

/** An element with `attributes` (`text` is its text) and children. */
export const make = (tag, { text, ...attributes } = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
};

/** After the next picture that the browser paints. */
export const painted = (then) => requestAnimationFrame(() => setTimeout(then, 0));
