// All ways in: camera, scanner that types, picture, typed digits. Each ends in `read(texts, way, more)` or `said(reason)`.
import { find, make } from './dom.js';
import { Camera, Showings } from './reading/camera.js';
import { Decoder } from './reading/decoder.js';
import { inspectFile } from './reading/pictures.js';
import { chosen, isWhole, repair, asNumber } from './reading/text.js';
import { Wedge, listen } from './reading/wedge.js';
import { Digits } from './screens/digits.js';
import { words } from './words.js';

export class Scanning {
  /** `ready()` says whether a scan can be taken now; `busy()` is called when a picture is being looked at. */
  constructor({ settings, read, said, ready, busy }) {
    Object.assign(this, { settings, read, said, ready, busy });
    this.decoder = new Decoder();
    this.showings = new Showings();
    this.camera = new Camera({
      video: find('video'),
      decoder: this.decoder,
      found: (texts) => this._seen(texts),
      lost: (reason) => this._cameraIs(reason),
    });
    this._scanner();
    this._pictures();
    this._cameraButtons();
    new Digits({ done: (number) => this.read([number], 'typed') });
  }

  /** As the counter was left: with its camera on. */
  begin() {
    this.decoder.warm();
    if (this.settings.get('camera') && !this.camera.on) this._start(this.settings.get('device'));
  }

  end() {
    this.camera.stop();
    this._cameraIs(null);
  }

  _scanner() {
    const wedge = new Wedge({
      whole: (text) => asNumber(text) !== null || (/^EC[01]:/.test(repair(text)) && isWhole(repair(text))),
      done: ({ text, inputMethod }) => this.read([text], 'scanner', { inputMethod }),
      later: (then, milliseconds) => {
        const timer = setTimeout(then, milliseconds);
        return () => clearTimeout(timer);
      },
    });
    listen(wedge, this.ready);
  }

  _seen(texts) {
    if (!this.ready()) return;
    const found = chosen(texts);
    const key = found?.text ?? `${found?.kind} ${found?.reason ?? ''} ${texts.join(' ')}`;
    if (found && this.showings.isNew(key, performance.now())) this.read(texts, 'camera');
  }

  // Pictures

  _pictures() {
    find('picture').addEventListener('click', () => find('picture-file').click());
    find('picture-file').addEventListener('change', ({ target }) => {
      this._picture(target.files[0]);
      target.value = '';
    });
    addEventListener('paste', (event) => {
      const file = [...(event.clipboardData?.files ?? [])][0];
      if (!file) return;
      event.preventDefault();
      this._picture(file);
    });
    for (const kind of ['dragover', 'drop', 'dragleave']) {
      addEventListener(kind, (event) => {
        event.preventDefault();
        find('drop').hidden = kind !== 'dragover' || !this.ready();
        if (kind === 'drop') this._picture([...(event.dataTransfer?.files ?? [])][0]);
      });
    }
  }

  async _picture(file) {
    if (!file || !this.ready()) return;
    this.busy();
    const { reason } = await inspectFile(file);
    if (reason) return this.said(reason, 'picture');
    const found = await this.decoder.picture(file);
    return found.reason ? this.said(found.reason, 'picture') : this.read(found.texts, 'picture');
  }

  // The camera

  _cameraButtons() {
    find('camera').addEventListener('click', () => {
      const on = !this.camera.on;
      this.settings.set('camera', on);
      if (on) this._start(this.settings.get('device'));
      else this.end();
    });
    find('camera-which').addEventListener('change', ({ target }) => {
      this.settings.set('device', target.value);
      this._start(target.value);
    });
    find('torch').addEventListener('click', async ({ currentTarget: button }) => {
      const on = button.getAttribute('aria-pressed') !== 'true';
      if (await this.camera.apply({ torch: on })) button.setAttribute('aria-pressed', String(on));
    });
    find('zoom').addEventListener('input', ({ target }) => this.camera.apply({ zoom: Number(target.value) }));
  }

  async _start(device) {
    const button = find('camera');
    button.disabled = true;
    const reason = await this.camera.start(device);
    button.disabled = false;
    this._cameraIs(reason);
    if (!reason) await this._offer();
  }

  _cameraIs(reason) {
    const on = this.camera.on;
    document.body.dataset.camera = on ? 'on' : 'off';
    find('viewfinder').hidden = !on;
    find('waiting').hidden = on;
    find('camera').dataset.text = on ? 'camera_off' : 'camera_on';
    find('camera').lastElementChild.textContent = words(on ? 'camera_off' : 'camera_on');
    find('camera-why').hidden = !reason;
    find('camera-why').textContent = reason ? words(reason) : '';
  }

  /** The other cameras, the light and the zoom, where there are any. */
  async _offer() {
    const cameras = await this.camera.cameras();
    const { deviceId, torch, zoom } = this.camera.abilities();
    const which = find('camera-which');
    which.replaceChildren(
      ...cameras.map((one, at) => make('option', { value: one.deviceId, text: one.label || words('camera_number', { n: at + 1 }) })),
    );
    which.value = deviceId ?? '';
    find('camera-choice').hidden = cameras.length < 2;
    find('torch').hidden = !torch;
    find('torch').setAttribute('aria-pressed', 'false');
    find('zoom-choice').hidden = !zoom;
    if (zoom) for (const name of ['min', 'max', 'step', 'value']) find('zoom')[name] = zoom[name];
  }
}
