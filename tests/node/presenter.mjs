// A wallet made of libraries that we did not write (`@openid4vc/openid4vp`, `@sd-jwt/sd-jwt-vc`, `jose`): a line of JSON
// on stdin is one request to answer, a line on stdout says what came of it. The verifier's https origin is reached at the
// test's own port. `change` is where a test makes this wallet lie.

import { createHash, createPrivateKey, randomBytes, sign, verify, X509Certificate } from "node:crypto";
import { createInterface } from "node:readline";
import { clientAuthenticationNone, HashAlgorithm } from "@openid4vc/oauth2";
import { Openid4vpClient } from "@openid4vc/openid4vp";
import { SDJwtVcInstance } from "@sd-jwt/sd-jwt-vc";
import { CompactEncrypt, importJWK } from "jose";

const SUPPORTED = {
  authorization_signing_alg_values_supported: [],
  authorization_encryption_alg_values_supported: ["ECDH-ES"],
  authorization_encryption_enc_values_supported: ["A256GCM", "A128GCM"],
};
const digest = (data, algorithm) =>
  createHash(algorithm === HashAlgorithm.Sha512 || algorithm === "sha-512" ? "sha512" : "sha256").update(data).digest();
const signedBy = (jwk) => {
  const key = createPrivateKey({ key: jwk, format: "jwk" });
  return (input) => sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
};

function clientOf(asked, sent) {
  const there = (url) => {
    if (!String(url).startsWith(`${asked.origin}/`)) throw new Error(`the wallet was led elsewhere: ${url}`);
    return asked.base + String(url).slice(asked.origin.length);
  };
  return new Openid4vpClient({
    callbacks: {
      fetch: async (url, options) => {
        sent.push({ method: options?.method ?? "GET", body: String(options?.body ?? "") });
        return fetch(there(url), options);
      },
      hash: digest,
      generateRandom: (length) => randomBytes(length),
      clientAuthentication: clientAuthenticationNone({ clientId: "wallet" }),
      verifyJwt: (signer, { compact }) => {
        const [head, body, tail] = compact.split(".");
        const certificate = new X509Certificate(Buffer.from(signer.x5c[0], "base64"));
        const key = { key: certificate.publicKey, dsaEncoding: "ieee-p1363" };
        const verified = verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(tail, "base64url"));
        return { verified, signerJwk: certificate.publicKey.export({ format: "jwk" }) };
      },
      getX509CertificateMetadata: (certificate) => ({
        sanDnsNames: new X509Certificate(Buffer.from(certificate, "base64")).subjectAltName
          .split(", ").filter((name) => name.startsWith("DNS:")).map((name) => name.slice(4)),
        sanUriNames: [],
      }),
      encryptJwe: async ({ publicJwk, enc }, data) => {
        const jwk = asked.change?.encryptTo ?? publicJwk;
        const header = { alg: "ECDH-ES", enc: asked.change?.enc ?? enc, kid: jwk.kid };
        const jwe = await new CompactEncrypt(Buffer.from(data)).setProtectedHeader(header)
          .encrypt(await importJWK(jwk, "ECDH-ES"));
        return { encryptionJwk: jwk, jwe };
      },
    },
  });
}

async function presented(asked, request, credential) {
  const change = asked.change ?? {};
  const query = request.dcql_query.credentials.find((one) => one.id === credential);
  const wallet = new SDJwtVcInstance({
    hasher: digest, hashAlg: "sha-256", saltGenerator: () => randomBytes(16).toString("base64url"),
    kbSigner: signedBy(change.key ?? asked.key), kbSignAlg: "ES256",
  });
  const transaction = (request.transaction_data ?? []).map((text) => digest(text, "sha-256").toString("base64url"));
  const payload = {
    iat: Math.floor(Date.now() / 1000), aud: request.client_id, nonce: request.nonce,
    ...(transaction.length ? { transaction_data_hashes: transaction, transaction_data_hashes_alg: "sha-256" } : {}),
    ...change.binding,
  };
  for (const name of change.without ?? []) delete payload[name];
  const frame = Object.fromEntries((query.claims ?? []).map((claim) => [claim.path[0], true]));
  return wallet.present(asked.credential, frame, { kb: { payload } });
}

/** As a browser would hand it over (W3C Digital Credentials API). */
async function carried(asked) {
  const client = clientOf(asked, []);
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({
    authorizationRequestPayload: asked.digital, origin: asked.page,
  });
  const request = resolved.authorizationRequestPayload;
  const text = await presented(asked, request, "ecard");
  const { jarm } = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request, origin: asked.page,
    authorizationResponsePayload: { vp_token: { ecard: [text] } },
    jarm: { encryption: { nonce: randomBytes(16).toString("base64url") }, serverMetadata: SUPPORTED },
  });
  return { response: jarm.responseJwt, request };
}

async function answer(asked) {
  const sent = [];
  const client = clientOf(asked, sent);
  const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: asked.link });
  const wallet = { metadata: { vp_formats_supported: { "dc+sd-jwt": { "sd-jwt_alg_values": ["ES256"] } } } };
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params, wallet });
  const request = resolved.authorizationRequestPayload;
  const credential = asked.as ?? "ecard";
  const text = await presented(asked, request, credential);
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: { ...request, ...asked.change?.request },
    authorizationResponsePayload: { vp_token: asked.change?.twice ? { [credential]: [text, text] } : { [credential]: [text] } },
    jarm: { encryption: { nonce: randomBytes(16).toString("base64url") }, serverMetadata: SUPPORTED },
  });
  const { response: got } = await client.submitOpenid4vpAuthorizationResponse({
    ...response, authorizationRequestPayload: request,
    jarm: asked.change?.unencrypted ? undefined : response.jarm,
  });
  return { status: got.status, body: await got.json(), sent, request, transaction: resolved.transactionData ?? [] };
}

/** A credential of an issuer that has nothing to do with us, as its own library makes it. */
async function issue({ payload, disclosed, header, key }) {
  const issuer = new SDJwtVcInstance({
    hasher: digest, hashAlg: "sha-256", saltGenerator: () => randomBytes(16).toString("base64url"),
    signer: signedBy(key), signAlg: "ES256",
  });
  return { credential: await issuer.issue(payload, { _sd: disclosed }, { header }) };
}

const DOES = { issue, answer, carried };

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify(await DOES[asked.only ?? "answer"](asked))}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ failed: `${error.name}: ${error.message}` })}\n`);
  }
}
