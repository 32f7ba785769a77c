// What a developer writes with the generated client. Strictly typed; what is not as it should be ends it with status 1.
import { createClient } from './generated/client';
import { findCards, getCard, getTrustRoot, registerCard, type NewCard } from './generated';

declare const process: { argv: string[]; exitCode: number };

function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

async function main(baseUrl: string, token: string, card: NewCard): Promise<void> {
  const client = createClient({ baseUrl, auth: () => token });

  const root = await getTrustRoot({ client });
  must(root.response.status === 200, 'a public route answers');

  const made = await registerCard({ client, body: card });
  must(made.data !== undefined, 'a card is registered');
  const found = await findCards({ client, body: { card_number: card.card_number } });
  must(found.data?.cards[0]?.card_ref === made.data?.card_ref, 'and found');

  const missing = await getCard({ client, path: { card_ref: 'ab'.repeat(16) } });
  must(missing.error?.code === 'card_unknown' && missing.error.help.length > 20, 'a refusal is typed');
  const stranger = await findCards({ client: createClient({ baseUrl }), body: {} });
  must(stranger.error?.code === 'not_authenticated', 'and so is that of somebody unknown');
}

const [baseUrl, token, card] = process.argv.slice(2);
main(baseUrl, token, JSON.parse(card)).catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
