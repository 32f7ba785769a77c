// What a picture is, told by its first bytes before anybody decodes it: a small file can be an enormous picture.

export const MOST_BYTES = 12 * 1024 * 1024;
export const MOST_PIXELS = 50_000_000;
const HEAD = 256 * 1024; // a JPEG's size stands behind its preview

const ascii = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));

const jpegSize = (view) => {
  let at = 2;
  while (at + 9 < view.byteLength) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at += 1;
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return [view.getUint16(at + 7), view.getUint16(at + 5)];
    } else at += 2 + view.getUint16(at + 2);
  }
  return null;
};

const webpSize = (view, bytes) => {
  const kind = ascii(bytes, 12, 4);
  const three = (at) => view.getUint8(at) + view.getUint8(at + 1) * 256 + view.getUint8(at + 2) * 65536;
  if (kind === 'VP8X') return [three(24) + 1, three(27) + 1];
  if (kind === 'VP8 ') return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  if (kind !== 'VP8L') return null;
  const bits = view.getUint32(21, true);
  return [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1];
};

/** `{reason}` why the picture that begins with `bytes` is not opened, or `{width, height}`. */
export const inspect = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 32) return { reason: 'picture_kind' };
  let size;
  if (view.getUint32(0) === 0x89504e47) size = [view.getUint32(16), view.getUint32(20)];
  else if (view.getUint16(0) === 0xffd8) size = jpegSize(view);
  else if (ascii(bytes, 0, 4) === 'GIF8') size = [view.getUint16(6, true), view.getUint16(8, true)];
  else if (ascii(bytes, 0, 2) === 'BM') size = [Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true))];
  else if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 4) === 'WEBP') size = webpSize(view, bytes);
  else if (ascii(bytes, 4, 4) === 'ftyp') return { reason: 'picture_heic' };
  else return { reason: 'picture_kind' };
  if (!size || !size[0] || !size[1]) return { reason: 'picture_damaged' };
  return size[0] * size[1] > MOST_PIXELS ? { reason: 'picture_pixels' } : { width: size[0], height: size[1] };
};

/** The same for a file that somebody chose, dropped or pasted. */
export const inspectFile = async (file) => {
  if (file.size > MOST_BYTES) return { reason: 'picture_bytes' };
  try {
    return inspect(new Uint8Array(await file.slice(0, HEAD).arrayBuffer()));
  } catch {
    return { reason: 'picture_damaged' };
  }
};
