// Finding: zoom, search and pins of the viewer.
(function () {
  "use strict";
  const { Viewer, STEPS } = window.GlyphViewer;
  const WAIT_MS = 250, MAX_TRIES = 8;

  Object.assign(Viewer.prototype, {
    // -- zoom ---------------------------------------------------------------------------------

    // Zoom 0 fits the width.
    scale() {
      if (this.zoom) { return this.zoom; }
      const widest = Math.max(...this.view.pages.map((page) => page[0]));
      return Math.max(0.1, Math.min((this.pages.clientWidth - 34) / widest, 1.5));
    },

    setZoom(zoom) {
      const number = this.view ? this.pageInSight() : 0;
      this.zoom = zoom;
      this.resize();
      if (this.view) { this.scrollToPage(number, true); }
    },

    step(by) {
      if (!this.view) { return; }
      const now = this.scale();
      const next = by > 0 ? STEPS.find((each) => each > now * 1.01) : STEPS.findLast((each) => each < now * 0.99);
      if (next) { this.setZoom(next); }
    },

    resize() {
      if (!this.view) { return; }
      const scale = this.scale();
      this.sheets.forEach((sheet, i) => { sheet.style.width = scale * this.view.pages[i][0] + "px"; });
      this.pages.classList.toggle("gv-near", scale >= 2);
      this.level.textContent = Math.round(100 * scale) + "%";
      this.drawPins();
    },

    // -- search -------------------------------------------------------------------------------

    search() {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(async () => {
        const words = this.query.value.trim(), view = this.view;
        this.hits = []; this.hit = -1;
        if (words && view) {
          const reply = await fetch(`/playground/views/${view.name}/find?q=${encodeURIComponent(words)}`);
          if (!reply.ok || view !== this.view || words !== this.query.value.trim()) { return; }
          this.hits = await reply.json();
        }
        if (this.hits.length) { this.turnHit(1); return; }
        this.found.textContent = words ? "none" : "";
        this.pin([]);
      }, WAIT_MS);
    },

    turnHit(step) {
      const count = this.hits.length;
      if (!count) { return; }
      this.hit = (this.hit + step + count) % count;
      this.found.textContent = `${this.hit + 1} of ${count.toLocaleString("en")}`;
      this.pin([this.hits[this.hit]]);
    },

    // -- pins ---------------------------------------------------------------------------------

    // Pin places ({page, start, end}) until others are, and go to the first.
    async pin(places) {
      this.pins = places;
      this.drawPins();
      if (!places.length) { return; }
      const number = places[0].page;
      for (const each of places) { this.fillSheet(each.page); await this.fillBlock(each.page); }
      if (this.pins !== places) { return; }
      for (let tries = 0; tries < MAX_TRIES && this.pins === places; tries++) {
        // Far away the heights are guesses until they are laid out.
        this.drawPins();
        this.bringIn(this.text, number, "gv-pin");
        this.bringIn(this.pages, number, "gv-pin");
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      }
      const held = this.held(number);
      if (held) { this.status.textContent = `Page ${number + 1}: ${held.text.slice(places[0].start, places[0].end)}`; }
    },

    drawPins() {
      if (!this.view) { return; }
      this.erase("pin");
      for (const place of this.pins) { this.draw(place.page, place.start, place.end, "pin"); }
    },
  });

  // Anything that says where it stands leads there.
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("[data-places]");
    if (!link || !window.glyphViewer) { return; }
    event.preventDefault();
    document.getElementById("glyph-viewer").scrollIntoView({ block: "nearest", behavior: "smooth" });
    window.glyphViewer.pin(JSON.parse(link.dataset.places));
  });
})();
