"""The contrast of texts and focus rings with what is around them, as the browser shows them.

`CONTRAST` defines functions in JavaScript, to be put before an expression that uses them.
"""

CONTRAST = """
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const pen = canvas.getContext("2d", {willReadFrequently: true});
const over = (colors) => {
  pen.fillStyle = "#fff"; pen.fillRect(0, 0, 1, 1);
  for (const color of colors) { pen.fillStyle = color; pen.fillRect(0, 0, 1, 1); }
  return pen.getImageData(0, 0, 1, 1).data;
};
const luminance = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map(v => v / 255).map(v =>
    v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const ratio = (below, above) => {
  const [a, b] = [over(below), over([...below, above])].map(luminance);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const backgrounds = (element) => {
  const found = [];
  for (let e = element; e; e = e.parentElement) found.unshift(getComputedStyle(e).backgroundColor);
  return found;
};
// WCAG 2.2, "Contrast (Minimum)": 4.5 to 1, or 3 to 1 for large text. Lists what falls short.
const faintTexts = (root) => {
  const faint = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const found = ratio(backgrounds(element), style.color);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (found < (large ? 3 : 4.5)) faint.push(`${node.data.trim()}: ${found.toFixed(2)}`);
  }
  return faint;
};
const nameOf = (e) => e.name || e.textContent.trim() || e.outerHTML.slice(0, 80);
// WCAG 2.2, "Non-text Contrast": 3 to 1 between a ring and what is around it.
const faintRing = (e) => {
  const style = getComputedStyle(e);
  const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  if (!seen) return [`${nameOf(e)}: no ring`];
  const found = ratio(backgrounds(e.parentElement), style.outlineColor);
  return found < 3 ? [`${nameOf(e)}: ring ${found.toFixed(2)}`] : [];
};
// The same for the border by which a box to type in, or to tick, is seen.
const faintBorder = (e) => {
  const found = ratio(backgrounds(e.parentElement), getComputedStyle(e).borderTopColor);
  return found < 3 ? [`${nameOf(e)}: border ${found.toFixed(2)}`] : [];
};
"""

TOO_FAINT = f"() => {{ {CONTRAST} return faintTexts(document.body); }}"

FAINT_BORDERS = f"""() => {{ {CONTRAST}
  return [...document.querySelectorAll("input:not([type=hidden]), textarea")]
    .flatMap(faintBorder);
}}"""

FAINT_TEXT_OF = f"e => {{ {CONTRAST} return faintTexts(e); }}"
"""For one element, such as that under the pointer."""

FAINT_FOCUS_OF = f"e => {{ {CONTRAST} return [...faintTexts(e), ...faintRing(e)]; }}"
