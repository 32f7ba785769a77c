// Code 128, set C (ISO/IEC 15417): an even number of digits as bars, for laser scanners that read no QR.
//
// Each symbol is six widths, bar first; the last one is the stop of seven. Value v stands for the digit pair v.
const WIDTHS = (
  '212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 ' +
  '123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 ' +
  '232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 ' +
  '313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 ' +
  '111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 ' +
  '111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 ' +
  '114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112'
).split(' ');
const START_C = 105;
const STOP = 106;

/** Modules of quiet space that a scanner wants on both sides. */
export const QUIET = 10;

/** The modules from left to right without quiet zones, true for a bar. Throws unless `digits` is pairs of digits. */
export const code128 = (digits) => {
  if (!/^(\d\d){1,30}$/.test(digits)) throw new TypeError('pairs of digits are wanted');
  const values = [START_C, ...digits.match(/../g).map(Number)];
  const check = values.reduce((sum, value, place) => sum + value * (place || 1), 0) % 103;
  return [...values, check, STOP].flatMap((value) =>
    [...WIDTHS[value]].flatMap((width, place) => Array(Number(width)).fill(place % 2 === 0)),
  );
};
