// A mini-program as the core's platform. `wx` is its global object.
//
// It has no WebCrypto and no place for a key that scripts cannot read, so codes come from the service. It sends no
// Origin either: its ticket is asked for without one.
const TIMEOUT = 40_000; // milliseconds

const headerOf = (headers, name) => {
  const key = Object.keys(headers || {}).find((one) => one.toLowerCase() === name);
  return key ? headers[key] : null;
};

/** `service` is the address of the card authority, registered as a request domain of the mini-program. */
export const miniPlatform = (wx, service) => ({
  now: () => Date.now(),
  wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  device: async () => null,

  request(method, path, body, token) {
    const header = { Accept: 'application/json' };
    if (body) header['Content-Type'] = 'application/json';
    if (token) header.Authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
      wx.request({
        url: service + path,
        method,
        header,
        data: body ? JSON.stringify(body) : undefined,
        dataType: 'text',
        timeout: TIMEOUT,
        fail: reject,
        success({ statusCode: status, header: headers, data }) {
          let read = null;
          try {
            read = JSON.parse(data);
          } catch {
            // an answer that is not ours: its status says enough
          }
          resolve({ status, date: headerOf(headers, 'date'), body: read });
        },
      });
    });
  },
});
