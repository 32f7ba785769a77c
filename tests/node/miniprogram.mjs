// The mini-program component in a stand-in for WeChat's runtime: `node miniprogram.mjs SERVICE TICKET`.
//
// It opens the card over the network, writes what is on its canvas, then waits for the card to end and writes that.
import { readFileSync } from 'node:fs';
import vm from 'node:vm';

const [service, ticket] = process.argv.slice(2);
const folder = new URL('../../sdk/web/miniprogram/ecard-code/', import.meta.url);
/** As WeChat's runtime loads a file: no TextEncoder, no URL, no crypto. */
const load = (name, more) => {
  const module = { exports: {} };
  const sandbox = { module, exports: module.exports, setTimeout, setInterval, clearInterval, ...more };
  vm.runInNewContext(readFileSync(new URL(name, folder), 'utf8').replace(IMPORT, "const $1 = require('$2');"), sandbox);
  return module.exports;
};
const IMPORT = /import (\{[^}]+\}) from '(.+)';/;

const said = [];
const drawn = { side: 0, rects: [] };
const context = {
  fillStyle: '',
  fillRect: (...rect) => (rect[0] === 0 && context.fillStyle === '#fff' ? (drawn.rects = []) : drawn.rects.push(rect)),
};
const canvas = { getContext: () => context, width: 0, height: 0 };
const wx = {
  getWindowInfo: () => ({ pixelRatio: 2 }),
  setKeepScreenOn: (how) => said.push(['keepScreenOn', how.keepScreenOn]),
  onUserCaptureScreen: (callback) => (wx.capture = callback),
  offUserCaptureScreen: () => {},
  request({ url, method, header, data, success, fail }) {
    fetch(url, { method, headers: header, body: data })
      .then(async (answer) => success({ statusCode: answer.status, header: Object.fromEntries(answer.headers), data: await answer.text() }))
      .catch(fail);
  },
};

let component;
load('index.js', { Component: (made) => (component = made), require: (name) => load(`${name}.js`), wx });

const page = {
  data: { ...component.data, service, ticket, theme: 'elder', lang: 'zh' },
  setData: (change) => Object.assign(page.data, change),
  triggerEvent: (name, detail) => said.push([name, detail]),
  createSelectorQuery: () => ({
    select: () => ({ fields: () => ({ exec: (done) => done([{ node: canvas, width: 300 }]) }) }),
  }),
  ...component.methods,
};

const until = async (holds) => {
  for (let tries = 0; !holds(); tries += 1) {
    if (tries > 400) throw new Error(`still ${page.data.phase}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
};
const tell = (more) => process.stdout.write(JSON.stringify({ ...page.data, ticket: '', ...more, said }) + '\n');

component.lifetimes.attached.call(page);
await until(() => page.data.phase === 'live');
tell({ side: canvas.width, rects: drawn.rects });
await until(() => page.data.phase === 'ended');
tell({ rects: drawn.rects });
component.lifetimes.detached.call(page);
process.exit(0); // the last request for news still waits
