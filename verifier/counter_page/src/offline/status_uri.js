// Addresses of status lists: a template with one `{list}` (RFC 6570 level 1), as `ecard_keys.status_uri` has them.

const DIGITS = /^[0-9]{1,10}$/;
const MAX_DIGITS = 10;
const DIGIT = '\0'; // stands for a digit, and is in no template

const split = (template) => {
  const at = template.indexOf('{list}');
  return [template.slice(0, at), template.slice(at + 6)];
};

/** The number in an address of the template, as text, or null where it is none of its addresses. */
export const numberIn = (uri, template) => {
  const [head, tail] = split(template);
  const number = uri.slice(head.length, Math.max(head.length, uri.length - tail.length));
  return uri.startsWith(head) && uri.endsWith(tail) && uri.length === head.length + number.length + tail.length && DIGITS.test(number) ? number : null;
};

export const listUri = (template, list) => template.replace('{list}', () => String(list));

const isDigit = (character) => character >= '0' && character <= '9';

const meet = (one, other) =>
  [...one].every((first, at) => {
    const second = other[at];
    return first === second || (first === DIGIT && isDigit(second)) || (second === DIGIT && isDigit(first));
  });

/** Whether some address belongs to both templates. */
const overlap = (one, other) => {
  const [[head, tail], [head2, tail2]] = [split(one), split(other)];
  if (!(head.startsWith(head2) || head2.startsWith(head)) || !(tail.endsWith(tail2) || tail2.endsWith(tail))) return false;
  const longer = head.length + tail.length - head2.length - tail2.length;
  for (let digits = 1; digits <= MAX_DIGITS; digits += 1) {
    const others = digits + longer;
    if (others >= 1 && others <= MAX_DIGITS && meet(head + DIGIT.repeat(digits) + tail, head2 + DIGIT.repeat(others) + tail2)) return true;
  }
  return false;
};

/** The places of all templates that overlap with another one: nobody could say whose list is meant. */
export const overlapping = (templates) => {
  const found = new Set();
  const ordered = templates.map((template, place) => [split(template)[0], place]).sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  let before = [];
  for (const [head, place] of ordered) {
    before = before.filter(([earlier]) => head.startsWith(earlier));
    for (const [, other] of before) {
      if (overlap(templates[place], templates[other])) {
        found.add(place);
        found.add(other);
      }
    }
    before.push([head, place]);
  }
  return found;
};
