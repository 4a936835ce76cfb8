// Sugar: everything works without it. Keys, whole rows as links, shift-select, the palette, and a warning before a session ends.
"use strict";
(() => {
  const all = (what, within = document) => [...within.querySelectorAll(what)];
  const one = (id) => document.getElementById(id);
  const store = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } }, set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window keeps nothing */ } } };
  const rows = all("tr[data-href]");
  let here = -1;

  const fault = one("fault");
  if (fault) fault.focus();

  rows.forEach((row) => row.addEventListener("click", (event) => {
    if (event.target.closest("a, button, input, label") || String(getSelection())) return;
    location.assign(row.dataset.href);
  }));

  const boxes = all('input[name="row"]');
  let last = null;
  boxes.forEach((box, at) => box.addEventListener("click", (event) => {
    if (event.shiftKey && last !== null) boxes.slice(Math.min(last, at), Math.max(last, at) + 1).forEach((other) => { other.checked = box.checked; });
    last = at;
  }));

  // A form is handed in once; the server knows it too.
  all("form[method=post]").forEach((form) => form.addEventListener("submit", () => setTimeout(() => all("button", form).forEach((button) => { button.disabled = true; }), 0)));

  const palette = one("palette");
  const ways = palette ? all("li", palette) : [];
  let chosen = 0;
  const choose = () => {
    const open = ways.filter((way) => !way.hidden);
    open.forEach((way, at) => way.firstChild.classList.toggle("here", at === chosen));
    return open;
  };
  if (palette) {
    const words = one("palette-q");
    words.addEventListener("input", () => {
      ways.forEach((way) => { way.hidden = !way.textContent.toLowerCase().includes(words.value.toLowerCase()); });
      chosen = 0;
      choose();
    });
    words.addEventListener("keydown", (event) => {
      const open = choose();
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        chosen = open.length ? (chosen + (event.key === "ArrowDown" ? 1 : open.length - 1)) % open.length : 0;
        choose();
        event.preventDefault();
      } else if (event.key === "Enter" && open.length) {
        event.preventDefault();
        location.assign(open[chosen].firstChild.href);
      }
    });
  }
  const off = one("keys-off");
  if (off) {
    off.checked = store.get("keys") === "off";
    off.addEventListener("change", () => store.set("keys", off.checked ? "off" : "on"));
  }

  let going = false;
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && palette) {
      event.preventDefault();
      if (!palette.open) palette.showModal();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") || store.get("keys") === "off") return;
    if (going) {
      going = false;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) location.assign(link.href);
      return;
    }
    if (event.key === "g") going = true;
    else if (event.key === "/" && one("find")) { event.preventDefault(); one("find").focus(); }
    else if (event.key === "?" && one("keys")) one("keys").showModal();
    else if ((event.key === "j" || event.key === "k") && rows.length) {
      if (here >= 0) rows[here].classList.remove("here");
      here = Math.min(Math.max(here + (event.key === "j" ? 1 : -1), 0), rows.length - 1);
      rows[here].classList.add("here");
      rows[here].scrollIntoView({ block: "nearest" });
      const link = rows[here].querySelector("a");
      if (link) link.focus({ preventScroll: true });
    } else if (event.key === "x" && here >= 0) {
      const box = rows[here].querySelector("input[name=row]");
      if (box) box.checked = !box.checked;
    }
  });

  // Passkeys: asked for by the server, made or used by the device, handed in with the form.
  const able = Boolean(window.PublicKeyCredential && PublicKeyCredential.parseCreationOptionsFromJSON);
  const by = one("by-passkey");
  if (by && able && (location.hostname === "localhost" || location.protocol === "https:")) {
    by.hidden = false;
    by.addEventListener("submit", (event) => {
      if (by.credential.value) return;
      event.preventDefault();
      fetch("/signin/passkey").then((answer) => answer.json())
        .then((asked) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) }))
        .then((found) => { by.credential.value = JSON.stringify(found); by.submit(); }, () => location.reload());
    });
  }
  const making = document.querySelector('form input[name="act"][value="passkey"]');
  if (making && able) {
    const form = making.form;
    form.addEventListener("submit", (event) => {
      if (form.credential.value) return;
      event.preventDefault();
      fetch("/me/passkey").then((answer) => answer.text())
        .then((text) => JSON.parse(new DOMParser().parseFromString(text, "text/html").querySelector("main pre").textContent))
        .then((asked) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) }))
        .then((made) => { form.credential.value = JSON.stringify(made); form.submit(); }, () => form.submit());
    });
  }

  const idle = Number(document.body.dataset.idle || 0);
  if (idle && one("idle")) {
    let timer = 0;
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => one("idle").showModal(), (idle / 2) * 1000); };
    wait();
    one("stay").addEventListener("click", () => fetch("/me", { headers: { Accept: "text/html" } }).then(wait));
  }
})();
