// Types of the <ecard-code> element and of the module /ecard-code.mjs.

/** empty: no ticket yet. live: a code is shown. dead: it is over. ended: the card may not be shown now. over: another
 * ticket is needed. refused: the ticket was not taken. */
export type Phase = 'empty' | 'opening' | 'live' | 'dead' | 'ended' | 'over' | 'refused';

/** Details of the element's events. None carries a code, a ticket or anything about a person. */
export interface EcardCodeEvents {
  /** The host may turn the screen's brightness up, or back. */
  'ecard:brighten': CustomEvent<{ bright: boolean }>;
  /** The code that was shown is over and no other could be made. */
  'ecard:dead': CustomEvent<Record<string, never>>;
  /** The card may not be shown any more, or for now. */
  'ecard:lost': CustomEvent<{ reason: 'suspended' | 'ended' | 'released' }>;
  /** There is a new code, good until that time (seconds since 1970). */
  'ecard:refresh': CustomEvent<{ until: number }>;
  /** The session ends within a minute, or has ended: fetch another ticket from your back end. */
  'ecard:ticket': CustomEvent<Record<string, never>>;
  /** The holder agreed to what a counter asked: the code on show answers it. */
  'ecard:agreed': CustomEvent<Record<string, never>>;
  /** Nothing is answered: `declined` by the holder, or `challenge_expired`. */
  'ecard:declined': CustomEvent<{ reason: string }>;
  /** A request was refused, with the service's code; `no_network` where none came through. */
  'ecard:error': CustomEvent<{ code: string }>;
}

/**
 * Attributes: `service` (the card authority's address; default: where the script came from), `theme` (`dark`, `elder` or
 * both), `lang` (`zh`, `en`; default: the page's), `form` (`offline`: EC1 codes, or `online`: EC0), `audience` (the one
 * counter that codes are for), `device-key` (`none`: make no key), `from-fragment` (take the ticket from
 * `#ecard-ticket=…`). Dispatch `ecard:capture` on it when the screen was captured.
 */
export class EcardCode extends HTMLElement {
  /** A one-time ticket that your back end fetched. Cannot be read back. */
  set ticket(value: string);
  readonly phase: Phase;
  /** Where codes are made: by a key of this browser, or by the authority. */
  readonly made: '' | 'device' | 'server';
  /** The text of a counter's code (`ECQ:…`), as your scanner read it: the holder sees what is asked and agrees on the
   * element; then the code on show answers that alone. Throws an error whose `code` says why nothing can be answered:
   * `unreadable_code`, `code_damaged`, `bad_challenge`, `challenge_expired`, `device_key_needed`, `not_live`. */
  answer(text: string): void;
  /** A new code now. */
  refresh(): Promise<void>;
  /** The same as an `ecard:capture` event. */
  captured(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    'ecard-code': EcardCode;
  }
  interface HTMLElementEventMap extends EcardCodeEvents {}
}
