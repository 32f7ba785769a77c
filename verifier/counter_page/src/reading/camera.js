// The camera: which one, its light, its zoom, and its frames one after another to the decoder.

const PAUSE = 60; // milliseconds between frames that are looked at
/** Milliseconds out of view after which what was shown before counts as shown again. */
export const AWAY = 8000;

const WHY = {
  NotAllowedError: 'camera_refused',
  SecurityError: 'camera_refused',
  NotFoundError: 'camera_none',
  OverconstrainedError: 'camera_none',
  NotReadableError: 'camera_busy',
  AbortError: 'camera_busy',
};

// A card's codes begin alike: with the credential's id, or with the credential.
const cardOf = (text) => text.slice(0, text.startsWith('EC0:') ? 34 : 250);

/** Decides which of the texts that keep coming is a new showing: a phone that is held still is one, also when its code changes. */
export class Showings {
  constructor() {
    this._last = null;
    this._seen = -Infinity;
    this._done = false;
  }

  /** Whether the text read at `now` (ms) is to be judged. */
  isNew(text, now) {
    const away = now - this._seen > AWAY;
    const same = this._last !== null && (text === this._last || (this._done && cardOf(text) === cardOf(this._last)));
    if (same && !away) {
      this._seen = now;
      return false;
    }
    [this._last, this._seen, this._done] = [text, now, false];
    return true;
  }

  /** The card that was shown last is done with; else its holder may show a fresh code at once. */
  settled() {
    this._done = true;
  }
}

export class Camera {
  /** `found(texts)` is called with all texts of a frame that has some; `lost(reason)` when the camera goes away. */
  constructor({ video, decoder, found, lost }) {
    Object.assign(this, { video, decoder, found, lost });
    this.stream = null;
    this._turn = 0;
  }

  get on() {
    return this.stream !== null;
  }

  /** Starts the camera `deviceId`, or the one that looks away from the screen. Returns null, or the reason why not. */
  async start(deviceId) {
    this.stop();
    if (!navigator.mediaDevices?.getUserMedia) return 'camera_insecure';
    const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: 'environment' };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { ...which, width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      if (deviceId && ['OverconstrainedError', 'NotFoundError'].includes(error.name)) return this.start(null);
      return WHY[error.name] ?? 'camera_busy';
    }
    this.track.addEventListener('ended', () => {
      this.stop();
      this.lost('camera_gone');
    });
    this.video.srcObject = this.stream;
    await this.video.play().catch(() => {});
    this._turn += 1;
    this._look(this._turn);
    return null;
  }

  stop() {
    this._turn += 1;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  get track() {
    return this.stream?.getVideoTracks()[0] ?? null;
  }

  /** `{deviceId, torch, zoom: {min, max, step, value} | null}` of the camera that is on. */
  abilities() {
    const can = this.track?.getCapabilities?.() ?? {};
    const now = this.track?.getSettings?.() ?? {};
    const zoom = can.zoom && can.zoom.max > can.zoom.min ? { ...can.zoom, value: now.zoom ?? can.zoom.min } : null;
    return { deviceId: now.deviceId, torch: Boolean(can.torch), zoom };
  }

  /** `{torch: true}` or `{zoom: 2}`; returns whether the camera did it. */
  async apply(wanted) {
    try {
      await this.track.applyConstraints({ advanced: [wanted] });
      return true;
    } catch {
      return false;
    }
  }

  async cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    return devices.filter((device) => device.kind === 'videoinput');
  }

  async _look(turn) {
    for (let count = 0; turn === this._turn; count += 1) {
      if (this.video.readyState >= 2 && this.video.videoWidth && !document.hidden) {
        const bitmap = await createImageBitmap(this.video).catch(() => null);
        const texts = bitmap ? await this.decoder.frame(bitmap, count % 2 === 1) : [];
        if (turn === this._turn && texts.length) this.found(texts);
      }
      await new Promise((next) => setTimeout(next, PAUSE));
    }
  }
}
