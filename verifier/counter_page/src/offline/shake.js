// SHAKE128 and SHAKE256 (FIPS 202), as bytes that can be asked for piece by piece. Lanes of 64 bits are two halves of
// 32, low one first: numbers of 64 bits are slow in browsers.

const ROUNDS = 24;
const [CONSTANTS, ROTATIONS, PLACES] = (() => {
  const constants = [];
  let register = 1;
  for (let round = 0; round < ROUNDS; round += 1) {
    const halves = [0, 0];
    for (let power = 0; power < 7; power += 1) {
      if (register & 1) {
        const bit = (1 << power) - 1;
        halves[bit >> 5] |= 1 << (bit & 31);
      }
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
    constants.push(...halves);
  }
  const rotations = [];
  const places = [];
  for (let t = 0, x = 1, y = 0; t < 24; t += 1) {
    [x, y] = [y, (2 * x + 3 * y) % 5];
    places.push(x + 5 * y);
    rotations.push((((t + 1) * (t + 2)) / 2) % 64);
  }
  return [Int32Array.from(constants), rotations, places];
})();

/** Keccak-f[1600] on 50 halves, in place. */
const permute = (s) => {
  const c = new Int32Array(10);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let x = 0; x < 10; x += 1) c[x] = s[x] ^ s[x + 10] ^ s[x + 20] ^ s[x + 30] ^ s[x + 40];
    for (let x = 0; x < 5; x += 1) {
      const [left, right] = [((x + 4) % 5) * 2, ((x + 1) % 5) * 2];
      const low = c[left] ^ ((c[right] << 1) | (c[right + 1] >>> 31));
      const high = c[left + 1] ^ ((c[right + 1] << 1) | (c[right] >>> 31));
      for (let y = 0; y < 50; y += 10) {
        s[y + 2 * x] ^= low;
        s[y + 2 * x + 1] ^= high;
      }
    }
    let [low, high] = [s[2], s[3]];
    for (let t = 0; t < 24; t += 1) {
      const place = PLACES[t] * 2;
      const by = ROTATIONS[t] & 31;
      if (ROTATIONS[t] >= 32) [low, high] = [high, low];
      const turned = by === 0 ? [low, high] : [(low << by) | (high >>> (32 - by)), (high << by) | (low >>> (32 - by))];
      [low, high] = [s[place], s[place + 1]];
      [s[place], s[place + 1]] = turned;
    }
    for (let y = 0; y < 50; y += 10) {
      for (let x = 0; x < 10; x += 1) c[x] = s[y + x];
      for (let x = 0; x < 10; x += 1) s[y + x] = c[x] ^ (~c[(x + 2) % 10] & c[(x + 4) % 10]);
    }
    s[0] ^= CONSTANTS[2 * round];
    s[1] ^= CONSTANTS[2 * round + 1];
  }
};

/** A sponge that has taken `message`: call it with a number of bytes, as often as wanted. */
const shake = (rate, message) => {
  const state = new Int32Array(50);
  const mix = (at, byte) => {
    state[at >> 2] ^= byte << (8 * (at & 3));
  };
  let at = 0;
  for (const byte of message) {
    mix(at, byte);
    at += 1;
    if (at === rate) {
      permute(state);
      at = 0;
    }
  }
  mix(at, 0x1f);
  mix(rate - 1, 0x80);
  at = rate;
  return (count) => {
    const out = new Uint8Array(count);
    for (let place = 0; place < count; place += 1) {
      if (at === rate) {
        permute(state);
        at = 0;
      }
      out[place] = state[at >> 2] >>> (8 * (at & 3));
      at += 1;
    }
    return out;
  };
};

export const shake128 = (message) => shake(168, message);
export const shake256 = (message) => shake(136, message);
