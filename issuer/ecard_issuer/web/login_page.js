// Looks every second and a half whether there is something new to show, and then loads the page again. It holds no
// secret and can make nothing: the cookie is out of its reach, and every decision is the server's.
(() => {
  const page = document.querySelector("main[data-version]");
  if (!page) return;
  const look = async () => {
    try {
      const answer = await fetch(page.dataset.state, { cache: "no-store", credentials: "same-origin" });
      if (answer.status === 404 || (answer.ok && (await answer.json()).version !== page.dataset.version)) {
        location.reload();
        return;
      }
    } catch {
      // no network for a moment: look again
    }
    setTimeout(look, 1500);
  };
  setTimeout(look, 1500);
})();
