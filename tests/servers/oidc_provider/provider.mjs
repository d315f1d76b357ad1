// node provider.mjs PORT PUBLIC SECRET: an OpenID provider behind a proxy. Any name signs in, with any password.

import Provider from "oidc-provider";

const [port, origin, secret] = process.argv.slice(2);
const client = (id, uri) => ({ client_id: id, client_secret: `${secret}-${id}`, redirect_uris: [uri] });

const provider = new Provider(origin, {
  clients: [
    client("sparekey", `${origin}/sparekey/oidc/callback`),
    client("application", "http://127.0.0.1/callback"),
  ],
  cookies: { keys: [secret] },
  pkce: { required: () => false },
  // Nobody is asked for consent: the gateway's silent check could not answer.
  async loadExistingGrant(ctx) {
    const { client, session, provider } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});
provider.proxy = true;
provider.listen(Number(port), "127.0.0.1");
