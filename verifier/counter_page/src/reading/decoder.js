// Asks the worker, one question at a time, and replaces a worker that does not answer.

const SLOW = 8000; // milliseconds for one picture

export class Decoder {
  constructor(make = () => new Worker(__WORKER__, { type: 'module' })) {
    this._make = make;
    this._worker = null;
    this._waiting = new Map();
    this._serial = 0;
  }

  /** Loads what is needed, so that the first code is as quick as the next. */
  warm() {
    return this._ask({ warm: true }, [], 30_000);
  }

  /** Texts in a frame of the camera; `bitmap` is given away. `hard`: also the engine that takes longer. */
  async frame(bitmap, hard) {
    return (await this._ask({ bitmap, hard }, [bitmap])).texts ?? [];
  }

  /** `{texts}` of a file that was inspected, or `{reason}`. */
  picture(file) {
    return this._ask({ file });
  }

  _ask(question, transfer = [], limit = SLOW) {
    this._worker ??= this._start();
    this._serial += 1;
    const id = this._serial;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this._fail('picture_slow'), limit);
      this._waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this._worker.postMessage({ id, ...question }, transfer);
    });
  }

  _start() {
    const worker = this._make();
    worker.addEventListener('message', ({ data }) => {
      this._waiting.get(data.id)?.(data);
      this._waiting.delete(data.id);
    });
    worker.addEventListener('error', () => this._fail('picture_damaged'));
    return worker;
  }

  _fail(reason) {
    this._worker?.terminate();
    this._worker = null;
    const waiting = [...this._waiting.values()];
    this._waiting.clear();
    for (const answer of waiting) answer({ reason });
  }
}
