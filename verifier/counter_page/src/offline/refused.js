// What ends a check or the reading of a document: the same stable codes as `ecard_card.errors`.

/** A refusal with a stable `code`. `unavailable` is our own fault: it never makes anything invalid. */
export class Refused extends Error {
  constructor(code, { unavailable = false } = {}) {
    super(code);
    this.code = code;
    this.unavailable = unavailable;
  }
}

/** What `work` gives; a refusal in it comes out as one of `code`. Anything else than a refusal is a fault and goes on. */
export const renamed = (code, work) => {
  try {
    return work();
  } catch (fault) {
    if (fault instanceof Refused && !fault.unavailable) throw new Refused(code);
    throw fault;
  }
};
