// Marks: what of the viewer follows pointer, keys, search and answers.
(function () {
  "use strict";
  const { Viewer, make, REACH_PX } = window.GlyphViewer;
  const ROLES = { line: "gv-line", word: "gv-on", pin: "gv-pin" };

  Object.assign(Viewer.prototype, {
    // -- pointing -----------------------------------------------------------------------------

    pointAtPage(event) {
      const sheet = event.target.closest(".gv-sheet");
      if (!sheet) { this.mark(-1, -1); return; }
      const number = Number(sheet.dataset.page) - 1, held = this.held(number);
      if (!held) { return; }
      const at = sheet.getBoundingClientRect(), scale = this.view.pages[number][0] / at.width;
      this.mark(number, wordUnder(held.words, (event.clientX - at.left) * scale, (event.clientY - at.top) * scale),
        this.text);
    },

    pointAtText(event) {
      const block = event.target.closest(".gv-block");
      const number = block ? Number(block.dataset.page) - 1 : -1, held = this.held(number);
      const offset = held && held.node ? offsetUnder(held.node, event.clientX, event.clientY) : -1;
      this.mark(offset < 0 ? -1 : number, offset < 0 ? -1 : wordHolding(held.words, offset), this.pages);
    },

    // Mark a word on its page and in the text; `follow` is the pane that scrolls to it.
    mark(number, word, follow) {
      if (word < 0) { number = -1; }
      if (number === this.page && word === this.word) { return; }
      this.page = number; this.word = word;
      this.erase("line"); this.erase("word");
      this.status.textContent = this.status.dataset.hint || "";
      if (number < 0) { return; }
      const held = this.held(number), [first, last] = lineAround(held.words, word);
      const [start, end] = held.words.slice(6 * word, 6 * word + 2);
      this.draw(number, held.words[6 * first], held.words[6 * last + 1], "line");
      this.draw(number, start, end, "word");
      this.status.textContent = `Page ${number + 1}: ${held.text.slice(start, end)}`;
      if (follow) { this.bringIn(follow, number, "gv-on"); }
    },

    erase(role) {
      this.root.querySelectorAll("." + ROLES[role]).forEach((old) => old.remove());
    },

    // Draw boxes over characters [start, end) of a page, there and in the text.
    draw(number, start, end, role) {
      const held = this.held(number), sheet = this.sheets[number], block = this.blocks[number];
      if (!held) { return; }
      const [width, height] = this.view.pages[number], text = held.text.slice(start, end);
      for (const [left, top, right, bottom] of boxesOf(held.words, start, end)) {
        const box = make("span", { class: "gv-box " + ROLES[role], "data-text": text });
        box.style.cssText = `left:${100 * left / width}%;top:${100 * top / height}%;` +
          `width:${100 * (right - left) / width}%;height:${100 * (bottom - top) / height}%`;
        sheet.append(box);
      }
      if (!held.node) { return; }
      const range = document.createRange(), frame = block.getBoundingClientRect();
      range.setStart(held.node, start);
      range.setEnd(held.node, end);
      for (const rect of range.getClientRects()) {
        const box = make("span", { class: "gv-box " + ROLES[role], "data-text": text });
        box.style.cssText = `left:${rect.left - frame.left}px;top:${rect.top - frame.top}px;` +
          `width:${rect.width}px;height:${rect.height}px`;
        block.append(box);
      }
    },

    bringIn(pane, number, style) {
      const owner = pane === this.text ? this.blocks[number] : this.sheets[number];
      const box = owner.querySelector("." + style);
      if (!box) {
        if (pane === this.text) { this.fillBlock(number); } else { this.fillSheet(number); }
        pane.scrollTop = owner.offsetTop - pane.offsetTop - 20;
        return;
      }
      const at = box.getBoundingClientRect(), frame = pane.getBoundingClientRect();
      if (at.top < frame.top + 8 || at.bottom > frame.bottom - 8) { pane.scrollTop += at.top - frame.top - frame.height / 3; }
      if (at.left < frame.left || at.right > frame.right) { pane.scrollLeft += at.left - frame.left - frame.width / 3; }
    },

    // -- keys ---------------------------------------------------------------------------------

    async key(event, pane) {
      if (event.ctrlKey || event.metaKey || event.altKey) { return; }
      const acts = {
        ArrowRight: () => this.walk(1), ArrowLeft: () => this.walk(-1),
        ArrowDown: () => this.climb(1), ArrowUp: () => this.climb(-1),
        PageDown: () => this.leaf(1), PageUp: () => this.leaf(-1),
        Home: () => this.stand(Math.max(this.page, 0), 0), End: () => this.stand(Math.max(this.page, 0), -1),
        "+": () => this.step(1), "-": () => this.step(-1), "0": () => this.setZoom(0),
        Escape: () => { this.mark(-1, -1); this.pin([]); },
      };
      if (!(event.key in acts) || !this.view) { return; }
      event.preventDefault();
      await acts[event.key]();
    },

    // Stand on a word of a page; -1 is its last.
    async stand(number, word) {
      const held = await this.fillBlock(number);
      if (!held) { return; }
      this.fillSheet(number);
      const count = held.words.length / 6;
      this.mark(number, word < 0 ? count - 1 : Math.min(word, count - 1), this.text);
      this.bringIn(this.pages, number, "gv-on");
    },

    walk(step) {
      if (this.page < 0) { return this.stand(this.pageInSight(), 0); }
      const count = this.held(this.page).words.length / 6, next = this.word + step;
      if (next >= 0 && next < count) { return this.stand(this.page, next); }
      return this.leaf(step, step < 0 ? -1 : 0);
    },

    climb(step) {
      if (this.page < 0) { return this.stand(this.pageInSight(), 0); }
      const words = this.held(this.page).words, [first, last] = lineAround(words, this.word);
      const edge = step > 0 ? last + 1 : first - 1;
      if (edge < 0 || edge >= words.length / 6) { return this.leaf(step, step < 0 ? -1 : 0); }
      const x = words[6 * this.word + 2], [from, to] = lineAround(words, edge);
      let best = from;
      for (let i = from; i <= to; i++) {
        if (Math.abs(words[6 * i + 2] - x) < Math.abs(words[6 * best + 2] - x)) { best = i; }
      }
      return this.stand(this.page, best);
    },

    leaf(step, word = 0) {
      const number = (this.page < 0 ? this.pageInSight() : this.page) + step;
      return number < 0 || number >= this.sheets.length ? undefined : this.stand(number, word);
    },

    pageInSight() { return Math.max(this.sheets.findIndex((sheet) => this.isBelowTop(sheet)), 0); },

    tellPage() { if (document.activeElement !== this.goto) { this.goto.value = this.pageInSight() + 1; } },

    scrollToPage(number, quietly) {
      number = Math.min(Math.max(number, 0), this.sheets.length - 1);
      this.pages.scrollTop = this.sheets[number].offsetTop - this.pages.offsetTop - 12;
      this.text.scrollTop = this.blocks[number].offsetTop - this.text.offsetTop;
      if (!quietly) { this.fillSheet(number); this.fillBlock(number); }
    },
  });

  function wordUnder(words, x, y) {
    let best = -1, least = REACH_PX;
    for (let i = 0; 6 * i < words.length; i++) {
      const [left, top, right, bottom] = words.slice(6 * i + 2, 6 * i + 6);
      if (y < top || y >= bottom) { continue; }
      const away = x < left ? left - x : Math.max(x - right, 0);
      if (away < least) { best = i; least = away; }
    }
    return best;
  }

  function wordHolding(words, offset) {
    for (let i = 0; 6 * i < words.length; i++) {
      if (words[6 * i] <= offset && offset < words[6 * i + 1]) { return i; }
    }
    return -1;
  }

  // Return the first and last word of the line that a word stands on.
  function lineAround(words, word) {
    const count = words.length / 6, top = words[6 * word + 3];
    let first = word, last = word;
    while (first > 0 && words[6 * first - 3] === top) { first--; }
    while (last + 1 < count && words[6 * last + 9] === top) { last++; }
    return [first, last];
  }

  // Return one box a line for characters [start, end).
  function boxesOf(words, start, end) {
    const boxes = [];
    for (let i = 0; 6 * i < words.length; i++) {
      if (words[6 * i + 1] <= start || words[6 * i] >= end) { continue; }
      const [left, top, right, bottom] = words.slice(6 * i + 2, 6 * i + 6), last = boxes[boxes.length - 1];
      if (last && last[1] === top && last[3] === bottom) {
        last[0] = Math.min(last[0], left);
        last[2] = Math.max(last[2], right);
      } else { boxes.push([left, top, right, bottom]); }
    }
    return boxes;
  }

  function offsetUnder(node, x, y) {
    let found = null;
    if (document.caretPositionFromPoint) {
      const at = document.caretPositionFromPoint(x, y);
      found = at && { node: at.offsetNode, offset: at.offset };
    } else if (document.caretRangeFromPoint) {
      const at = document.caretRangeFromPoint(x, y);
      found = at && { node: at.startContainer, offset: at.startOffset };
    }
    if (!found || found.node !== node) { return -1; }
    // The caret stands between two characters; the pointer is over one of them.
    const range = document.createRange();
    for (const offset of [found.offset, found.offset - 1]) {
      if (offset < 0 || offset >= node.length) { continue; }
      range.setStart(node, offset);
      range.setEnd(node, offset + 1);
      const at = range.getBoundingClientRect();
      if (at.left <= x && x <= at.right && at.top <= y && y <= at.bottom) { return offset; }
    }
    return -1;
  }
})();
