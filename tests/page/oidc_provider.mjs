// An OpenID provider on loopback that signs anybody in without asking: panva's oidc-provider.
// Arguments: the redirect URI of the page. Prints its issuer when it listens.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [redirectUri] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "page",
        token_endpoint_auth_method: "none",
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    pkce: { required: () => true },
    scopes: ["openid"],
    // Short, so that a test sees a token renewed.
    ttl: { AccessToken: 3, IdToken: 60, RefreshToken: 600, Session: 600, Grant: 600, Interaction: 60 },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    clientBasedCORS: () => true,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  });
  const answer = provider.callback();
  server.on("request", async (request, response) => {
    if (!request.url.startsWith("/sign-in/")) return answer(request, response);
    const { prompt, params } = await provider.interactionDetails(request, response);
    const accountId = "ann";
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { login: { accountId }, consent, [prompt.name]: prompt.name === "login" ? { accountId } : consent });
  });
  console.log(issuer);
});
