// Viewer: pages beside their text; pointing at one marks the other. Pages come when they are seen.
// A word is six numbers: start, end (characters on the page), left, top, right, bottom (pixels).
(function () {
  "use strict";
  const STEPS = [0.1, 0.15, 0.25, 0.35, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4];
  const SEEN_MARGIN = "800px 0px", KEEP_PAGES = 60, REACH_PX = 5;
  let viewer = null;

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) { element.setAttribute(name, value); }
    element.append(...children);
    return element;
  }

  function button(label, sign, act) {
    const found = make("button", { type: "button", class: "gv-tool", "aria-label": label, title: label }, sign);
    found.addEventListener("click", act);
    return found;
  }

  // Return a promise of text and words of a page, null where they are gone; it bears them as `held` once here.
  function fetchWords(view, number) {
    const promise = fetch(`/playground/views/${view.name}/pages/${number + 1}.json`)
      .then((reply) => (reply.ok ? reply.json() : null))
      .then((held) => (promise.held = held && Object.assign(held, { promise })));
    return promise;
  }

  function makeImage(view, number) {
    const [width, height] = view.pages[number];
    return make("img", { src: `/playground/views/${view.name}/pages/${number + 1}.png`, width, height,
      alt: `Page ${number + 1}`, draggable: "false" });
  }

  // Number of page and a word of it; -1 where none is marked.
  class Viewer {
    constructor(root) {
      this.root = root;
      this.page = -1; this.word = -1; this.zoom = 0; this.pins = []; this.hits = []; this.hit = -1;
      this.serial = 0;
      this.build();
    }

    build() {
      this.title = make("strong", { class: "gv-title" });
      this.level = make("output", { class: "gv-level" });
      this.goto = make("input", { type: "number", min: 1, value: 1, class: "gv-goto", "aria-label": "Page" });
      this.count = make("span", { class: "gv-soft" });
      this.query = make("input", { type: "search", class: "gv-find", placeholder: "Find", "aria-label": "Find in the text" });
      this.found = make("output", { class: "gv-soft gv-found" });
      this.text = make("div", { class: "gv-text", tabindex: 0, role: "region", "aria-label": "Text; arrow keys go from word to word" });
      this.pages = make("div", { class: "gv-pages", tabindex: 0, role: "region", "aria-label": "Pages; arrow keys go from word to word, plus and minus zoom" });
      this.status = make("div", { class: "gv-status", role: "status", "aria-live": "polite" });
      this.status.dataset.hint = this.status.textContent =
        "Point at a word, on a page or in the text, to see the other. Arrow keys go from word to word.";
      const bar = make("div", { class: "gv-bar", role: "toolbar", "aria-label": "Viewer" },
        this.title, this.query, this.found,
        button("Previous hit", "\u2191", () => this.turnHit(-1)), button("Next hit", "\u2193", () => this.turnHit(1)),
        make("span", { class: "gv-gap" }), this.goto, this.count,
        button("Smaller", "\u2212", () => this.step(-1)), this.level, button("Larger", "+", () => this.step(1)),
        button("Fit to width", "Fit", () => this.setZoom(0)), button("Original pixels", "1:1", () => this.setZoom(1)));
      this.root.replaceChildren(bar, make("div", { class: "gv-panes" }, this.text, this.pages), this.status);
      this.goto.addEventListener("change", () => this.scrollToPage(Number(this.goto.value) - 1));
      this.query.addEventListener("input", () => this.search());
      this.query.addEventListener("keydown", (event) => {
        if (event.key === "Enter") { event.preventDefault(); this.turnHit(event.shiftKey ? -1 : 1); }
      });
      this.pages.addEventListener("pointermove", (event) => this.pointAtPage(event));
      this.text.addEventListener("pointermove", (event) => this.pointAtText(event));
      for (const pane of [this.pages, this.text]) {
        pane.addEventListener("pointerleave", () => this.mark(-1, -1));
        pane.addEventListener("keydown", (event) => this.key(event, pane));
      }
      this.pages.addEventListener("scroll", () => this.tellPage(), { passive: true });
      this.pages.addEventListener("wheel", (event) => {
        if (event.ctrlKey) { event.preventDefault(); this.step(event.deltaY < 0 ? 1 : -1); }
      }, { passive: false });
      new ResizeObserver(() => this.resize()).observe(this.pages);
    }

    // -- a view -------------------------------------------------------------------------------

    async show(name) {
      const serial = ++this.serial;
      const reply = await fetch(`/playground/views/${name}`);
      if (!reply.ok || serial !== this.serial) { return; }
      const view = await reply.json(), before = this.view;
      const stay = before && before.title === view.title ? this.textShare() : 0;
      const first = Math.floor(stay * view.pages.length);
      // What was shown stays until the pages to be seen are here, so that no pane is ever blank.
      const ready = await this.fetchFirst(view, first);
      if (serial !== this.serial) { return; }
      if (this.watch) { this.watch.disconnect(); }
      this.view = view;
      this.page = -1; this.word = -1; this.pins = [];
      this.known = new Map(ready.map(({ number, words }) => [number, words]));
      this.title.textContent = view.title;
      this.title.title = view.title;
      this.count.textContent = `of ${view.pages.length.toLocaleString("en")}`;
      this.goto.max = view.pages.length;
      this.watch = new IntersectionObserver((seen) => seen.forEach((each) => this.seen(each)),
        { root: null, rootMargin: SEEN_MARGIN });
      this.sheets = view.pages.map(([width, height], i) => {
        const sheet = make("div", { class: "gv-sheet", "data-page": i + 1 });
        sheet.style.aspectRatio = `${width} / ${height}`;
        return sheet;
      });
      this.blocks = view.pages.map(([, , length], i) => {
        const block = make("div", { class: "gv-block", "data-page": i + 1, dir: "auto" });
        block.style.containIntrinsicSize = `auto ${Math.max(60, Math.round(length / 3))}px`;
        return block;
      });
      for (const { number, image, words } of ready) {
        this.sheets[number].append(image);
        if (words.held) { this.setText(number, words.held); }
      }
      this.text.classList.toggle("gv-code", view.code);
      this.pages.replaceChildren(...this.sheets);
      this.text.replaceChildren(...this.blocks);
      this.resize();
      for (const each of [...this.sheets, ...this.blocks]) { this.watch.observe(each); }
      this.scrollToPage(first, true);
      this.root.dataset.view = name;
      if (this.query.value) { this.search(); }
    }

    // Return the two pages from `first` on that exist, with image and words fetched.
    async fetchFirst(view, first) {
      const ready = [first, first + 1].filter((number) => number < view.pages.length).map((number) =>
        ({ number, image: makeImage(view, number), words: fetchWords(view, number) }));
      await Promise.allSettled(ready.flatMap(({ image, words }) => [image.decode(), words]));
      return ready;
    }

    textShare() {
      const first = this.sheets.findIndex((sheet) => this.isBelowTop(sheet));
      return first < 0 ? 0 : first / this.sheets.length;
    }

    isBelowTop(sheet) {
      return sheet.offsetTop + sheet.offsetHeight - this.pages.offsetTop > this.pages.scrollTop + 40;
    }

    seen(entry) {
      const number = Number(entry.target.dataset.page) - 1;
      if (!entry.isIntersecting) { return; }
      if (entry.target.classList.contains("gv-sheet")) { this.fillSheet(number); } else { this.fillBlock(number); }
    }

    fillSheet(number) {
      const sheet = this.sheets[number];
      if (sheet.querySelector("img")) { return; }
      sheet.append(makeImage(this.view, number));
      this.words(number);
    }

    async fillBlock(number) {
      const held = await this.words(number);
      if (held && this.known.get(number) === held.promise && !held.node) {
        this.setText(number, held);
        this.drawPins();
      }
      return held;
    }

    setText(number, held) {
      held.node = document.createTextNode(held.text);
      this.blocks[number].append(held.node);
    }

    // Return text and words of a page; of many pages those asked for last are kept.
    words(number) {
      if (this.known.has(number)) { return this.known.get(number); }
      const promise = fetchWords(this.view, number);
      this.known.set(number, promise);
      for (const old of this.known.keys()) {
        if (this.known.size <= KEEP_PAGES) { break; }
        if (old !== this.page && Math.abs(old - number) > 4) { this.forget(old); }
      }
      return promise;
    }

    forget(number) {
      const height = this.blocks[number].offsetHeight;
      this.known.delete(number);
      this.sheets[number].replaceChildren();
      this.blocks[number].replaceChildren();
      this.blocks[number].style.containIntrinsicSize = `auto ${height}px`;
      for (const element of [this.sheets[number], this.blocks[number]]) {
        this.watch.unobserve(element);
        this.watch.observe(element);
      }
    }

    held(number) { const promise = this.known.get(number); return promise && promise.held; }
  }

  window.GlyphViewer = { Viewer, make, STEPS, REACH_PX };
  window.glyphShow = function (name) {
    const root = document.getElementById("glyph-viewer");
    if (!root || !name) { return; }
    if (!viewer || viewer.root !== root) { viewer = window.glyphViewer = new Viewer(root); }
    viewer.show(name);
  };
})();
