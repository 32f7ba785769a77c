// What the pure parts of the counter's page answer, for tests in Python: a JSON list of requests on stdin, one of answers
// on stdout. Times are the test's own.
import { readFileSync } from 'node:fs';
import { Showings } from '../../verifier/counter_page/src/reading/camera.js';
import { inspect } from '../../verifier/counter_page/src/reading/pictures.js';
import * as text from '../../verifier/counter_page/src/reading/text.js';
import { Wedge } from '../../verifier/counter_page/src/reading/wedge.js';
import { Integration } from '../../verifier/counter_page/src/integrate.js';
import { understood } from '../../verifier/counter_page/src/judge.js';
import { csv } from '../../verifier/counter_page/src/shift_log.js';

/** Keys of `[milliseconds since the last one, members of the event]`, and what a listener would have got. */
const typed = ({ keys }) => {
  const done = [];
  const due = [];
  let now = 0;
  const wedge = new Wedge({
    whole: (read) => text.asNumber(read) !== null || (/^EC[01]:/.test(text.repair(read)) && text.isWhole(text.repair(read))),
    done: (read) => done.push({ ...read, at: now }),
    later: (then, milliseconds) => {
      const timer = { then, at: now + milliseconds };
      due.push(timer);
      return () => due.splice(due.indexOf(timer) >>> 0, due.includes(timer) ? 1 : 0);
    },
  });
  const until = (moment) => {
    for (let next; (next = due.filter((timer) => timer.at <= moment).sort((a, b) => a.at - b.at)[0]); ) {
      due.splice(due.indexOf(next), 1);
      now = next.at;
      next.then();
    }
    now = moment;
  };
  const taken = keys.map(([wait, event]) => {
    until(now + wait);
    const full = { code: '', shiftKey: false, altKey: false, ctrlKey: false, metaKey: false, isComposing: false, repeat: false, ...event };
    return event.up ? wedge.up({ ...full, timeStamp: now }) : wedge.down({ ...full, timeStamp: now });
  });
  until(now + 10_000);
  return { done, taken };
};

const answers = {
  repair: ({ read }) => text.repair(read),
  whole: ({ read }) => text.isWhole(read),
  crc16: ({ bytes }) => text.crc16(Buffer.from(bytes, 'hex')),
  classify: ({ read }) => text.classify(read),
  chosen: ({ texts }) => text.chosen(texts),
  inspect: ({ bytes }) => inspect(new Uint8Array(Buffer.from(bytes, 'hex'))),
  csv: ({ items }) => csv(items),
  typed,
  understood: ({ answer }) => understood(answer, { scan_id: 'a', way: 'camera', purpose: 'medical' }),
  showings: ({ seen }) => {
    const showings = new Showings();
    return seen.map(([read, at, settled]) => {
      const fresh = showings.isNew(read, at);
      if (settled) showings.settled();
      return fresh;
    });
  },
  integrate({ query, origins, id }) {
    const told = [];
    const opener = { postMessage: (message, origin) => told.push([message, origin]) };
    const around = { opener };
    around.parent = around;
    const integration = new Integration({ search: query }, around);
    integration.allow(origins);
    integration.tell({ verification_id: id, shown: { name: 'x' }, outcome: 'valid' });
    return { told, address: integration.address({ verification_id: id }) };
  },
};

const requests = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(requests.map((request) => answers[request.call](request))));
