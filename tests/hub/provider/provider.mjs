// A certified OpenID Connect provider for the tests of logins: `node provider.mjs ORDER`.
//
// ORDER is JSON: `accounts` names a file, `client` is the hub as it is registered here, `address` (with
// `tls`, files of a certificate and its key) is where it listens if not on loopback. The file
// is read anew for each request, so that a test changes who is in which group while this runs:
// `{"accounts": {LOGIN: CLAIMS}, "away": null | 503 | "cut", "keepsRefreshTokens": true}`.
// The only line that it prints is its issuer.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSafeServer } from 'node:https';
import { Provider } from 'oidc-provider';

const order = JSON.parse(process.argv[2]);
const read = () => JSON.parse(readFileSync(order.accounts, 'utf8'));

const configuration = {
  clients: [{ grant_types: ['authorization_code', 'refresh_token'], ...order.client }],
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  scopes: ['openid', 'offline_access', 'groups'],
  cookies: { keys: ['of the tests'] },
  features: { rpInitiatedLogout: { enabled: true } },
  pkce: { required: () => true },
  // As Keycloak and Cognito do; the default asks for consent each time.
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  // The strictest: a refresh token is good for one use, and a second one ends the login.
  rotateRefreshToken: true,
  clockTolerance: 0,
  // Long enough for a busy machine to use a token that it has just got.
  ttl: { AccessToken: 30, IdToken: 30, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  findAccount: (ctx, id) => {
    const claims = read().accounts[id];
    return claims && { accountId: id, claims: () => ({ sub: id, ...claims }) };
  },
  // Nobody has to consent.
  loadExistingGrant: async (ctx) => {
    const { client, session, provider } = ctx.oidc;
    const known = session.grantIdFor(client.clientId);
    const found = known && await provider.Grant.find(known);
    if (found) return found;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid profile email groups offline_access');
    await grant.save();
    return grant;
  },
};

const { address = '127.0.0.1', tls } = order;
const server = tls
  ? createSafeServer({ cert: readFileSync(tls.certificate), key: readFileSync(tls.key) })
  : createServer();
server.listen(0, address, () => {
  const issuer = `${tls ? 'https' : 'http'}://${address}:${server.address().port}`;
  const answer = new Provider(issuer, configuration).callback();
  server.on('request', (request, response) => {
    const { away } = read();
    if (away === 'cut') request.socket.destroy();
    else if (away) response.writeHead(away).end('<html>maintenance</html>');
    else answer(request, response);
  });
  process.stdout.write(`${issuer}\n`);
});
