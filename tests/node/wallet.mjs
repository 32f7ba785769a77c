// A wallet made of a library that we did not write (`@openid4vc/openid4vci`): it takes the offer on stdin and says on
// stdout what it got. The issuer's https origin is reached at the test's own port.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { clientAuthenticationAnonymous, clientAuthenticationNone, HashAlgorithm } from "@openid4vc/oauth2";
import { Openid4vciClient } from "@openid4vc/openid4vci";

const asked = JSON.parse(await new Response(process.stdin).text());
const base64url = (bytes) => Buffer.from(bytes).toString("base64url");
const keys = new Map();

function newKey() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { kty, crv, x, y } = publicKey.export({ format: "jwk" });
  keys.set(x, privateKey);
  return { method: "jwk", alg: "ES256", publicJwk: { kty, crv, x, y } };
}

function there(url) {
  if (!String(url).startsWith(`${asked.origin}/`)) throw new Error(`the wallet was led elsewhere: ${url}`);
  return asked.base + String(url).slice(asked.origin.length);
}

const callbacks = {
  fetch: (url, options) => fetch(there(url), options),
  hash: (data, algorithm) => createHash(algorithm === HashAlgorithm.Sha256 ? "sha256" : "sha512").update(data).digest(),
  generateRandom: (length) => randomBytes(length),
  signJwt: (signer, { header, payload }) => {
    const input = [header, payload].map((part) => base64url(JSON.stringify(part))).join(".");
    const key = keys.get(signer.publicJwk.x);
    const signature = sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
    return { jwt: `${input}.${base64url(signature)}`, signerJwk: signer.publicJwk };
  },
  clientAuthentication: asked.clientId
    ? clientAuthenticationNone({ clientId: asked.clientId })
    : clientAuthenticationAnonymous(),
};

/** What a browser and a person do on the page: fill in the form, and be sent back to the wallet. */
async function proveOnPage(url) {
  const page = await fetch(there(url), { headers: { "accept-language": "zh-CN" } });
  const html = await page.text();
  const form = new URLSearchParams({ answer: "yes", ...asked.typed });
  for (const [, name, value] of html.matchAll(/<input type="hidden" name="([a-z_]+)" value="([^"]*)">/g)) form.set(name, value);
  const cookie = page.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  const answer = await fetch(there(`${asked.origin}/wallets/authorize`), {
    method: "POST", body: form, headers: { cookie }, redirect: "manual",
  });
  return answer.headers.get("location");
}

const client = new Openid4vciClient({ callbacks });
const credentialOffer = await client.resolveCredentialOffer(asked.offer);
const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer);
const dpop = { signer: newKey() };

async function token() {
  if (!asked.redirectUri) {
    return client.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata, txCode: asked.txCode, dpop });
  }
  const begun = await client.initiateAuthorization({
    credentialOffer, issuerMetadata, dpop,
    clientId: asked.clientId, redirectUri: asked.redirectUri, scope: "ecard_sd_jwt", state: "a state",
  });
  const redirectUrl = await proveOnPage(begun.authorizationRequestUrl);
  const authorizationServerMetadata = issuerMetadata.authorizationServers[0];
  const { code } = client.parseAndVerifyAuthorizationResponseRedirectUrl({ url: redirectUrl, authorizationServerMetadata });
  return client.retrieveAuthorizationCodeAccessTokenFromOffer({
    credentialOffer, issuerMetadata, dpop, redirectUri: asked.redirectUri,
    authorizationCode: code, pkceCodeVerifier: begun.pkce.codeVerifier,
  });
}

const { accessTokenResponse, dpop: bound } = await token();
const accessToken = accessTokenResponse.access_token;
const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata });
const credentialConfigurationId = credentialOffer.credential_configuration_ids[0];
const signers = Array.from({ length: asked.keys }, newKey);
const proofs = [];
for (const signer of signers) {
  const clientId = asked.redirectUri ? asked.clientId : undefined;
  const made = await client.createCredentialRequestJwtProof({ issuerMetadata, credentialConfigurationId, signer, nonce, clientId });
  proofs.push(made.jwt);
}
const { credentialResponse } = await client.retrieveCredentials({
  issuerMetadata, credentialConfigurationId, accessToken, proofs: { jwt: proofs }, dpop: bound ?? dpop,
});
await client.sendNotification({
  issuerMetadata, accessToken, dpop: bound ?? dpop,
  notification: { notificationId: credentialResponse.notification_id, event: "credential_accepted" },
});
process.stdout.write(JSON.stringify({
  tokenType: accessTokenResponse.token_type,
  credentials: credentialResponse.credentials.map((one) => one.credential),
  keys: signers.map((signer) => ({ ...signer.publicJwk, d: keys.get(signer.publicJwk.x).export({ format: "jwk" }).d })),
  display: issuerMetadata.credentialIssuer.credential_configurations_supported[credentialConfigurationId].credential_metadata.display,
}));
