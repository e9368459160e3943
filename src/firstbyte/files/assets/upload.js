// The upload page: a small client of tus 1.0 (https://tus.io/protocols/resumable-upload) with what shows its work.
(() => {
  "use strict";
  const MIB = 1024 * 1024;
  const [SMALLEST, FIRST, LARGEST] = [MIB / 4, MIB, 16 * MIB]; // bytes of one request: what is sent again when it breaks
  const AT_ONCE = 3;
  const WAITS = [500, 1000, 2000, 4000, 8000]; // ms before each further try
  const TUS = { "Tus-Resumable": "1.0.0", Accept: "application/json" };

  const section = document.getElementById("upload");
  const list = section.querySelector("ul");
  const status = section.querySelector("[role=status]");
  const folder = location.pathname.replace(/[^/]*$/, "");
  const uploads = new Set();
  const queue = []; // those that wait, and some that did
  const counts = { waiting: 0, running: 0, cancelled: 0, failed: 0, done: 0 };
  let bytes = 0; // of all

  // -- one request

  class Refused extends Error {}

  function ask(upload, method, url, headers, body) {
    return new Promise((resolve, reject) => {
      const request = (upload.request = new XMLHttpRequest());
      request.open(method, url);
      for (const [name, value] of Object.entries({ ...TUS, ...headers })) request.setRequestHeader(name, value);
      if (body) request.upload.onprogress = (event) => upload.show(upload.offset + event.loaded);
      request.onerror = () => reject(new Error("the connection broke"));
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      request.onload = () => {
        if (request.status < 300) return resolve(request);
        let detail = request.statusText;
        try {
          detail = JSON.parse(request.responseText).detail || detail;
        } catch {}
        // What another try may answer otherwise is no refusal; neither is another offset than was thought.
        const passing = [423, 429, 460, 500, 502, 503, 504].includes(request.status);
        const moved = request.status == 409 && request.getResponseHeader("Upload-Offset");
        const gone = request.status == 404 && upload.url;
        const error = new (passing || moved || gone ? Error : Refused)(detail);
        error.status = request.status;
        reject(error);
      };
      request.send(body);
    });
  }

  const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

  async function checksum(chunk) {
    if (!window.crypto?.subtle) return {}; // which pages have only over TLS and on this machine
    const digest = await crypto.subtle.digest("SHA-256", await chunk.arrayBuffer());
    return { "Upload-Checksum": "sha256 " + base64(new Uint8Array(digest)) };
  }

  // -- one file

  class Upload {
    constructor(file, path) {
      this.file = file;
      this.path = path; // with the folders that were chosen or dropped
      this.offset = 0; // bytes that the server has
      this.chunk = FIRST;
      this.key = ["firstbyte-upload", folder, path, file.size, file.lastModified].join("|");
      this.url = localStorage.getItem(this.key);
      this.row = document.getElementById("upload-row").content.firstElementChild.cloneNode(true);
      this.bar = this.row.querySelector("progress");
      this.note = this.row.querySelector("small");
      this.row.querySelector("b").textContent = path;
      this.bar.ariaLabel = path;
      for (const button of this.row.querySelectorAll("button")) button.ariaLabel = `${button.textContent} ${path}`;
      this.row.querySelector(".cancel").onclick = () => this.cancel();
      this.row.querySelector(".resume").onclick = () => this.set("waiting");
      this.row.querySelector(".discard").onclick = () => this.discard();
      list.append(this.row);
      this.set("waiting");
    }

    set(state, text = "") {
      this.become(state);
      if (state == "waiting") queue.push(this);
      this.row.dataset.state = state;
      this.text = text;
      this.show(this.offset);
      next();
    }

    become(state) {
      if (this.state) counts[this.state]--;
      if (state) counts[state]++;
      this.state = state;
    }

    show(sent) {
      this.bar.value = this.file.size ? sent / this.file.size : this.state == "done" ? 1 : 0;
      const percent = Math.floor(this.bar.value * 100);
      const note = this.text || (this.state == "done" ? "" : `${percent} %`);
      this.note.textContent = [size(this.file.size), this.state == "running" ? "" : this.state, note]
        .filter(Boolean)
        .join(" · ");
    }

    async run() {
      this.set("running");
      for (let tries = 0; ; ) {
        const before = this.offset;
        try {
          await this.send();
          this.forget();
          return this.set("done");
        } catch (error) {
          if (error.name == "AbortError") return this.set("cancelled");
          if (error.status == 404 && this.url) {
            this.forget(); // the server has given it up: from the start
            this.offset = 0;
          } else if (error instanceof Refused) return this.set("failed", error.message);
          if (this.offset > before) tries = 0;
          if (tries == WAITS.length) return this.set("failed", error.message);
          this.text = `${error.message}; trying again`;
          this.show(this.offset);
          await new Promise((wake) => setTimeout((this.wake = wake), WAITS[tries++]));
          if (this.state != "running") return this.set("cancelled");
          this.text = "";
        }
      }
    }

    async send() {
      if (this.url) {
        const answer = await ask(this, "HEAD", this.url);
        this.offset = Number(answer.getResponseHeader("Upload-Offset"));
        if (this.offset == this.file.size) return this.found(answer);
      } else {
        const encode = (text) => base64(new TextEncoder().encode(text));
        const headers = {
          "Upload-Length": this.file.size,
          "Upload-Metadata": `filename ${encode(this.file.name)},relativePath ${encode(this.path)}`,
        };
        if (this.file.size && this.file.size <= FIRST) {
          Object.assign(headers, { "Content-Type": "application/offset+octet-stream" }, await checksum(this.file));
          return this.found(await ask(this, "POST", folder, headers, this.file));
        }
        const answer = await ask(this, "POST", folder, headers);
        if (!this.file.size) return this.found(answer);
        // Beside this page, which may be behind a proxy that has taken something off the path.
        this.url = folder + answer.getResponseHeader("Location").split("/").slice(-2).join("/");
        localStorage.setItem(this.key, this.url); // for the same file, chosen again after the page was left
      }
      while (this.offset < this.file.size) {
        const begun = Date.now();
        const chunk = this.file.slice(this.offset, this.offset + this.chunk);
        const headers = { "Upload-Offset": this.offset, "Content-Type": "application/offset+octet-stream" };
        Object.assign(headers, await checksum(chunk));
        if (this.state != "running") throw new DOMException("cancelled", "AbortError");
        const answer = await ask(this, "PATCH", this.url, headers, chunk);
        this.offset = Number(answer.getResponseHeader("Upload-Offset"));
        if (this.offset == this.file.size) this.found(answer);
        const seconds = (Date.now() - begun) / 1000;
        if (seconds < 1) this.chunk = Math.min(LARGEST, this.chunk * 2);
        if (seconds > 4) this.chunk = Math.max(SMALLEST, this.chunk / 2);
      }
    }

    found(answer) {
      this.offset = this.file.size;
      const place = answer.getResponseHeader("Content-Location");
      if (!place) return;
      const link = document.createElement("a");
      link.href = place;
      link.textContent = decodeURIComponent(place.split("/").pop());
      const name = this.row.querySelector("b");
      name.replaceChildren(link);
      if (link.textContent != this.file.name) name.append(` (${this.path})`);
    }

    cancel() {
      if (this.state == "waiting") return this.set("cancelled");
      this.become("cancelled");
      this.request?.abort();
      this.wake?.();
    }

    async discard() {
      const { url } = this;
      this.forget();
      this.row.remove();
      this.become(null);
      uploads.delete(this);
      bytes -= this.file.size;
      next();
      for (const wait of url ? WAITS : []) {
        const error = await ask(this, "DELETE", url).catch((error) => error);
        if (error.status != 423) return; // else the server has not seen yet that it was cancelled
        await new Promise((wake) => setTimeout(wake, wait));
      }
    }

    forget() {
      this.url = null;
      localStorage.removeItem(this.key);
    }
  }

  // -- all of them

  let shown = 0; // how many were done when the listing was last made anew

  function next() {
    while (queue.length && counts.running < AT_ONCE) {
      const upload = queue.shift();
      if (upload.state == "waiting") upload.run();
    }
    const { done, running } = counts;
    status.textContent = uploads.size ? `${done} of ${uploads.size} uploaded, ${size(bytes)} in all` : "";
    if (!running && done > shown && (shown = done)) refresh();
  }

  async function refresh() {
    if (!document.querySelector("main table")) return; // a page without the listing
    const page = new DOMParser().parseFromString(await (await fetch(location)).text(), "text/html");
    for (const part of ["main", "footer"]) document.querySelector(part).replaceWith(page.querySelector(part));
    window.dispatchEvent(new Event("firstbyte:listing"));
  }

  function size(bytes) {
    const units = ["B", "KB", "MB", "GB", "TB"];
    const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
    const number = bytes / 1024 ** power;
    return `${power && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[power]}`;
  }

  function add(file, path) {
    uploads.add(new Upload(file, path || file.webkitRelativePath || file.name));
    bytes += file.size;
    next();
  }

  // -- where files come from

  for (const input of section.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      for (const file of [...input.files]) add(file);
      input.value = "";
    });
  }

  async function walk(entry) {
    const path = entry.fullPath.slice(1);
    if (entry.isFile) return entry.file((file) => add(file, path));
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
      if (!some.length) return;
      for (const each of some) await walk(each);
    }
  }

  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0;
  addEventListener("dragenter", (event) => carriesFiles(event) && document.body.classList.toggle("dropping", ++depth > 0));
  addEventListener("dragleave", (event) => carriesFiles(event) && document.body.classList.toggle("dropping", --depth > 0));
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dropping");
    const items = [...event.dataTransfer.items].filter((item) => item.kind == "file");
    const entries = items.map((item) => item.webkitGetAsEntry?.() || item.getAsFile());
    for (const entry of entries) entry instanceof File ? add(entry) : walk(entry);
  });

  addEventListener("beforeunload", (event) => counts.running && event.preventDefault());
  // Not while something is being uploaded, which may well be what has changed.
  addEventListener("firstbyte:reload", (event) => uploads.size && event.preventDefault());
  section.classList.add("scripted");
})();
