// The page fetches a ticket when the card asks for one: at the beginning, and before a session ends.
const card = document.querySelector('ecard-code');

const open = async () => {
  const answer = await fetch('/ticket', { method: 'POST' });
  const { ticket, detail = '' } = await answer.json();
  card.hidden = !answer.ok;
  document.getElementById('fault').textContent = detail;
  if (answer.ok) card.ticket = ticket;
};

card.addEventListener('ecard:ticket', open);
customElements.whenDefined('ecard-code').then(open);
