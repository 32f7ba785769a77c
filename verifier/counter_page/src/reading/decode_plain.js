// QR codes by script alone, for browsers whose WebAssembly is off.
export { decodeQR } from 'qr/decode.js';
