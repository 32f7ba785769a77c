// What is on the page now, or in its open dialog: size, line and contrast of every text, sizes of everything that is touched.
() => {
  const rgb = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const light = ([r, g, b]) =>
    [r, g, b]
      .map((value) => value / 255)
      .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const ratio = (one, other) => {
    const [more, less] = [light(one), light(other)].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  };
  const behind = (from) => {
    for (let node = from; node; node = node.parentElement) {
      const { backgroundColor, backgroundImage } = getComputedStyle(node);
      if (backgroundImage !== 'none') return rgb(backgroundImage.match(/rgb[^)]*\)/)[0]);
      if (rgb(backgroundColor)[3] > 0.5) return rgb(backgroundColor);
    }
    return [255, 255, 255, 1];
  };
  const root = document.querySelector('dialog[open]') ?? document.body;
  const seen = (node) => node.offsetHeight > 1 && !node.closest('.unseen, [aria-hidden=true]');
  const speaks = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const texts = [...root.querySelectorAll('*')].filter((node) => seen(node) && speaks(node) && node.tagName !== 'OPTION');
  const controls = [...root.querySelectorAll('button, summary, select, input:not([type=file])')].filter(seen);
  const touched = (node) => {
    if (node.matches('[type=checkbox]')) return node.closest('label');
    return node.matches('[type=radio]') ? node.closest('label').querySelector('span') : node;
  };
  return {
    texts: texts.map((node) => {
      const { fontSize, lineHeight, color } = getComputedStyle(node);
      const size = parseFloat(fontSize);
      const contrast = ratio(rgb(color), behind(node));
      return { text: node.textContent.trim().slice(0, 20), size, line: parseFloat(lineHeight) / size, contrast };
    }),
    targets: controls.map((node) => {
      const { width, height } = touched(node).getBoundingClientRect();
      return [node.id || node.name || node.textContent.slice(0, 12), width, height];
    }),
    edges: controls
      .filter((node) => node.matches('button'))
      .map((node) => ratio(rgb(getComputedStyle(node).borderTopColor), behind(node.parentElement))),
    wider: document.documentElement.scrollWidth - innerWidth,
  };
}
