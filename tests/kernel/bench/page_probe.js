// What test_page.py asks of a page, once it has been laid out.
(() => {
  const numbers = (colour) => {
    const found = colour.match(/[\d.]+/g).map(Number);
    return found.length === 3 ? [...found, 1] : found;
  };
  const over = (front, back) => {
    const [r, g, b, a] = front;
    return [r, g, b].map((value, at) => value * a + back[at] * (1 - a)).concat(1);
  };
  // The relative luminance and the contrast of WCAG 2.2, 1.4.3.
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ancestors = (element) => {
    const found = [];
    for (let at = element; at; at = at.parentElement) found.push(at);
    return found;
  };
  const ground = (element) =>
    ancestors(element)
      .reverse()
      .map((each) => numbers(getComputedStyle(each).backgroundColor))
      .reduce((back, front) => over(front, back), [255, 255, 255, 1]);
  const ink = (element) => {
    const style = getComputedStyle(element);
    const colour = numbers(element instanceof SVGElement ? style.fill : style.color);
    const opacity = ancestors(element).reduce((all, each) => all * Number(getComputedStyle(each).opacity), 1);
    return [...colour.slice(0, 3), colour[3] * opacity];
  };
  const isShown = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && !element.closest("title, desc, style, .unseen");
  };
  const texts = () => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      if (walker.currentNode.data.trim() && isShown(walker.currentNode.parentElement)) found.push(walker.currentNode);
    }
    return found;
  };

  return {
    title: () => document.title,
    words: () => texts().map((each) => each.data).join("\n"),
    ground: () => ground(document.body),
    overflow: () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    // What sticks out of the page at its sides, but for what scrolls by itself.
    escaped: () =>
      [...document.body.querySelectorAll("*")]
        .filter((each) => !each.closest(".scrolled, .unseen") && isShown(each))
        .filter((each) => {
          const box = each.getBoundingClientRect();
          return box.left < -0.5 || box.right > document.documentElement.clientWidth + 0.5;
        })
        .map((each) => each.tagName),
    drawings: () =>
      [...document.querySelectorAll("svg")]
        .filter((each) => getComputedStyle(each).display !== "none" && each.parentElement.getClientRects().length)
        .map((each) => {
          const box = each.getBoundingClientRect();
          return {
            width: box.width,
            height: box.height,
            shapes: each.querySelectorAll("line, rect, circle, text").length,
            named: each.getAttribute("aria-hidden") === "true" || Boolean(each.querySelector(":scope > title")?.textContent),
          };
        }),
    pale: (least) =>
      texts()
        .map((each) => {
          const element = each.parentElement;
          const back = ground(element);
          return { words: each.data.trim(), contrast: contrast(over(ink(element), back), back) };
        })
        .filter((each) => each.contrast < least),
  };
})()
