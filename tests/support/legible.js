// What is hard to read or to operate on a page, in words: WCAG 2.2, 1.4.3 (AA) and 4.1.2.
() => {
  const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const color = (text) => { const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number); return [red, green, blue, alpha]; };
  const over = (top, below) => [0, 1, 2].map((each) => top[each] * top[3] + below[each] * (1 - top[3]));
  const behind = (node) => {
    const layers = [];
    for (let each = node; each; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.backgroundImage !== 'none') return null; // a picture: nobody can tell
      layers.unshift(color(style.backgroundColor));
      if (layers[0][3] === 1) break;
    }
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || !node.checkVisibility() || node.closest('option, datalist, :disabled')) continue;
    const below = behind(node);
    if (!below) continue;
    const style = getComputedStyle(node);
    const [light, dark] = [luminance(over(color(style.color), below)), luminance(below)].sort((one, other) => other - one);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) found.add(`contrast ${ratio.toFixed(2)} of “${text.slice(0, 30)}”`);
  }
  for (const node of document.querySelectorAll('input, select, textarea, button, a[href]')) {
    const isNamed = node.labels?.length || node.getAttribute('aria-label') || node.textContent.trim();
    if (node.checkVisibility() && !isNamed) found.add(`no name: ${node.outerHTML.slice(0, 80)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.add(`id twice: ${id}`);
  return [...found];
}
