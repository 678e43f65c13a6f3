/* probe.js - goes into a copy of the page: points at things in it, and leaves what it found in an element of its own */
(() => {
  const errors = [];
  addEventListener("error", (event) => errors.push(String(event.message)));
  document.addEventListener("securitypolicyviolation", (event) => errors.push(`refused: ${event.blockedURI}`));

  function cells() {
    const found = {};
    for (const group of document.querySelectorAll("#heat g.cells")) {
      found[group.dataset.region] = Array.from(group.children, (rect) =>
        [Number(rect.dataset.row), Number(rect.dataset.column), rect.getAttribute("class")]);
    }
    return found;
  }

  function tip() {
    const element = document.getElementById("tip");
    return element.hidden ? null : Array.from(element.children, (line) => line.textContent);
  }

  function point(element) {
    const box = element.getBoundingClientRect();
    const svg = element.closest("svg");
    svg.dispatchEvent(new PointerEvent("pointermove",
      { bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
    const told = tip();
    svg.dispatchEvent(new PointerEvent("pointerleave"));
    return told;
  }

  function press(key) {
    document.querySelector("#heat svg").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    return tip();
  }

  /* Texts of one picture that lie over each other, or leave the window. */
  function collisions() {
    const found = [];
    for (const svg of document.querySelectorAll("svg")) {
      const texts = Array.from(svg.querySelectorAll("text"), (text) => [text.textContent, text.getBoundingClientRect()]);
      texts.forEach(([words, box], index) => {
        if (box.left < 0 || box.right > innerWidth) {
          found.push(`outside: ${words}`);
        }
        for (const [other, second] of texts.slice(index + 1)) {
          if (box.left < second.right - 1 && second.left < box.right - 1 && box.top < second.bottom - 3 &&
              second.top < box.bottom - 3) {
            found.push(`${words} / ${other}`);
          }
        }
      });
    }
    return found;
  }

  addEventListener("load", () => {
    const found = { title: document.title, cells: cells(), tips: {} };
    for (const rect of document.querySelectorAll("#heat g.cells rect")) {
      if (Object.keys(found.tips).length < 50) {
        found.tips[`${rect.parentElement.dataset.region} ${rect.dataset.row} ${rect.dataset.column}`] = point(rect);
      }
    }
    found.tipBefore = tip();
    found.keys = ["Home", "ArrowRight", "ArrowRight", "ArrowDown", "Escape"].map(press);
    found.charts = Array.from(document.querySelectorAll("#charts svg"), point);
    document.querySelector("#metric input[value=bytes]").click();
    found.bytes = cells();
    found.legend = document.getElementById("legend").getAttribute("aria-label");
    document.querySelector("details").open = true;
    found.text = document.body.innerText;
    found.scripts = document.scripts.length;
    found.images = document.images.length;
    found.damage = document.getElementById("damage") && document.getElementById("damage").innerText;
    found.torn = document.getElementById("torn") && document.getElementById("torn").innerText;
    found.collisions = collisions();
    found.overflow = document.documentElement.scrollWidth - innerWidth;
    found.errors = errors;
    const element = document.createElement("pre");
    element.id = "probe";
    element.textContent = btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(found))));
    document.body.append(element);
  });
})();
