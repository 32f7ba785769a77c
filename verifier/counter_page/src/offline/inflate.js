// One zlib stream (RFC 1950) unpacked by the browser, and never more of it than allowed.
import { Refused } from './refused.js';

/** The bytes of `data`. Refuses `bad_status_list`: no single stream, cut short, followed by bytes, or over `limit`. */
export const inflate = async (data, limit) => {
  const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  const chunks = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > limit) throw new Refused('bad_status_list');
      chunks.push(value);
    }
  } catch {
    reader.cancel().catch(() => {}); // its end is not waited for: some never come to one
    throw new Refused('bad_status_list');
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  // Some let bytes after the end pass: the stream must end with the checksum of what came out of it.
  if (adler32(out) !== new DataView(data.buffer, data.byteOffset).getUint32(data.length - 4)) throw new Refused('bad_status_list');
  return out;
};

/** The checksum at the end of a stream (RFC 1950 §8.2). */
const adler32 = (bytes) => {
  let [a, b] = [1, 0];
  for (let at = 0; at < bytes.length; ) {
    for (const end = Math.min(at + 3800, bytes.length); at < end; at += 1) b += a += bytes[at];
    a %= 65521;
    b %= 65521;
  }
  return b * 65536 + a;
};
