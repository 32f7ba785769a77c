// Two small forms: the admission of this counter by a code, and a clerk's alias and PIN.
import { find } from '../dom.js';
import { repair } from '../reading/text.js';
import { words } from '../words.js';

const WHY = {
  rate_limited: 'admit_many',
  admission_guesses: 'admit_many',
  staff_pin_guesses: 'admit_many',
  staff_pin_locked: 'staff_locked',
  slow_network: 'unreachable',
  no_network: 'unreachable',
};

/** The admission code in the address (`#admit=…`), which leaves the address at once; null if there is none. */
export const codeInAddress = (place = location, past = history) => {
  const found = /^#admit=([A-Za-z0-9]{1,32})$/.exec(place.hash);
  if (/[#&]admit=/.test(place.hash)) past.replaceState(null, '', place.pathname + place.search);
  return found ? found[1].toUpperCase() : null;
};

const form = (id, submit) => {
  const element = find(id);
  const said = element.querySelector('.said');
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = element.querySelector('button');
    button.disabled = true;
    said.textContent = '';
    try {
      await submit(element);
      element.reset();
    } catch (error) {
      said.textContent = words(WHY[error.code] ?? (error.status >= 500 ? 'service_fault' : id === 'admit-form' ? 'admit_wrong' : 'staff_wrong'));
    } finally {
      button.disabled = false;
    }
  });
  return { element, said };
};

/** `admit(code)` and `staff(alias, pin)` ask the service, and throw its `Failed`. */
export class Admission {
  constructor({ admit, staff }) {
    this._admit = form('admit-form', (element) => admit(repair(element.elements.code.value).replace(/[\s-]/g, '')));
    this._staff = form('staff-form', (element) => staff(element.elements.alias.value.trim(), element.elements.pin.value));
  }

  askCode(why = '') {
    find('admit-why').textContent = why;
    this._admit.element.elements.code.focus();
  }

  /** With a code from a link. */
  useCode(code) {
    this._admit.element.elements.code.value = code;
    this._admit.element.requestSubmit();
  }

  askStaff() {
    this._staff.element.reset();
    this._staff.said.textContent = '';
    this._staff.element.elements.alias.focus();
  }
}
