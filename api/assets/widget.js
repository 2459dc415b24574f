// The chat widget. <script src="https://HOST/widget.js" data-tenant="TENANT" async></script>
// No dependencies; everything is inside a shadow root, so the page's styles and ours do not meet.
(() => {
  "use strict";
  const script = document.currentScript;
  const tenant = script && script.dataset.tenant;
  if (!tenant || window.switchboardWidget) return;
  window.switchboardWidget = true;
  const base = new URL(script.dataset.host || script.src, location.href).origin;
  const api = `${base}/api/public/widgets/${encodeURIComponent(tenant)}`;
  const key = `switchboard-widget:${tenant}`;

  // What a visitor keeps: the token of their session, whether the panel is open, and what they said that has not been answered yet.
  const kept = { pending: [], ...(() => { try { return JSON.parse(localStorage.getItem(key)); } catch { return {}; } })() };
  const keep = (changes) => {
    Object.assign(kept, changes);
    try { localStorage.setItem(key, JSON.stringify(kept)); } catch { /* private browsing: it lasts as long as the page */ }
  };

  const CSS = `
    :host { all: initial; --main: #2563eb; --on-main: #fff; }
    * { box-sizing: border-box; font-family: system-ui, sans-serif; }
    button { font: inherit; cursor: pointer; border: 0; }
    :focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
    .open { position: fixed; bottom: 20px; width: 56px; height: 56px; border-radius: 50%; background: var(--main); color: var(--on-main);
            box-shadow: 0 4px 16px #0004; z-index: 2147483000; display: grid; place-items: center; }
    .open svg { width: 26px; height: 26px; fill: currentColor; }
    .unread { position: absolute; top: -2px; right: -2px; min-width: 20px; height: 20px; border-radius: 10px; background: #dc2626; color: #fff;
              font-size: 12px; line-height: 20px; padding: 0 5px; }
    .panel { position: fixed; bottom: 88px; width: 370px; height: min(560px, calc(100vh - 110px)); background: #fff; color: #111827; border-radius: 14px;
             box-shadow: 0 10px 40px #0005; display: flex; flex-direction: column; overflow: hidden; z-index: 2147483001; }
    .right { right: 20px; } .left { left: 20px; }
    [hidden] { display: none !important; }
    header { background: var(--main); color: var(--on-main); padding: 14px 16px; display: flex; align-items: center; gap: 8px; }
    h2 { font-size: 16px; margin: 0; flex: 1; }
    .close { background: transparent; color: inherit; font-size: 22px; line-height: 1; padding: 4px 8px; border-radius: 6px; }
    .close:focus-visible { outline-color: var(--on-main); }
    .log { flex: 1; overflow-y: auto; padding: 14px; display: flex; flex-direction: column; gap: 8px; margin: 0; list-style: none; }
    .log li { max-width: 85%; padding: 9px 12px; border-radius: 12px; font-size: 14px; line-height: 1.45; white-space: pre-wrap; overflow-wrap: anywhere; }
    .them { background: #f3f4f6; align-self: flex-start; }
    .me { background: var(--main); color: var(--on-main); align-self: flex-end; }
    .state { min-height: 22px; padding: 0 14px 4px; font-size: 13px; color: #4b5563; }
    .state.bad { color: #b91c1c; }
    .state button { background: none; color: inherit; text-decoration: underline; padding: 0; }
    form { display: flex; gap: 8px; padding: 10px; border-top: 1px solid #e5e7eb; }
    textarea { flex: 1; resize: none; border: 1px solid #9ca3af; border-radius: 8px; padding: 8px 10px; font-size: 16px; height: 42px; max-height: 120px; color: inherit; background: #fff; }
    .send { background: var(--main); color: var(--on-main); border-radius: 8px; padding: 0 14px; font-size: 14px; }
    .name { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    @media (max-width: 480px) { .panel { inset: 0; width: 100%; height: 100%; border-radius: 0; } }
    @media (prefers-reduced-motion: no-preference) { .dots { animation: pulse 1.2s infinite; } @keyframes pulse { 50% { opacity: .35; } } }`;

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const badge = make("span", { class: "unread", hidden: "" });
  const opener = make("button", { class: "open", type: "button", "aria-haspopup": "dialog", "aria-expanded": "false" });
  opener.innerHTML = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3C6.5 3 2 6.8 2 11.5c0 2.3 1.1 4.4 2.9 5.9L4 21l4.3-1.5c1.2.3 2.4.5 3.7.5 5.5 0 10-3.8 10-8.5S17.5 3 12 3z"/></svg>';
  opener.append(badge);
  const heading = make("h2", { id: "title" });
  const closer = make("button", { class: "close", type: "button", "aria-label": "Close the chat" }, "×");
  const log = make("ul", { class: "log", role: "log", "aria-live": "polite", "aria-labelledby": "title", tabindex: "0" });
  const state = make("div", { class: "state", role: "status" });
  const label = make("label", { class: "name", for: "words" }, "Your message");
  const words = make("textarea", { id: "words", rows: "1", maxlength: "4096" });
  const sender = make("button", { class: "send", type: "submit" }, "Send");
  const form = make("form", {}, label, words, sender);
  const panel = make("div", { class: "panel", role: "dialog", "aria-labelledby": "title", hidden: "" }, make("header", {}, heading, closer), log, state, form);
  const style = make("style");
  style.textContent = CSS;
  root.append(style, opener, panel);

  const shown = new Map(); // message id -> its element
  let unread = 0;

  const say = (text, bad = false, again = null) => {
    state.classList.toggle("bad", bad);
    state.replaceChildren(text);
    if (again) {
      const button = make("button", { type: "button" }, "Try again");
      button.addEventListener("click", again);
      state.append(" ", button);
    }
  };
  const typing = (who) => { say(""); state.append(make("span", { class: "dots" }, `${who} is typing…`)); };

  const show = (id, mine, text) => {
    let item = shown.get(id);
    if (!item) {
      item = make("li", { class: mine ? "me" : "them" });
      shown.set(id, item);
      log.append(item);
    }
    // Screen readers are told who speaks; the text is never markup.
    item.replaceChildren(make("span", { class: "name" }, mine ? "You: " : `${heading.textContent}: `), text);
    log.scrollTop = log.scrollHeight;
    return item;
  };
  const forget = (id) => { const item = shown.get(id); if (item) { item.remove(); shown.delete(id); } };

  const notice = () => {
    if (!panel.hidden) return;
    unread += 1;
    badge.textContent = String(unread);
    badge.hidden = false;
    opener.setAttribute("aria-label", `Open the chat, ${unread} new`);
  };

  const toggle = (open) => {
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    keep({ open });
    if (open) {
      unread = 0;
      badge.hidden = true;
      opener.setAttribute("aria-label", "Close the chat");
      log.scrollTop = log.scrollHeight;
      words.focus();
    } else {
      opener.setAttribute("aria-label", "Open the chat");
      opener.focus();
    }
  };

  class Refused extends Error {
    constructor(status, detail) { super(detail || `HTTP ${status}`); this.status = status; }
  }

  const call = async (path, options = {}) => {
    const headers = { ...(options.body ? { "content-type": "application/json" } : {}), ...(options.headers || {}) };
    if (kept.token) headers["x-widget-token"] = kept.token;
    const response = await fetch(api + path, { ...options, headers, credentials: "omit" });
    if (!response.ok) {
      const body = await response.json().catch(() => ({}));
      throw new Refused(response.status, body.detail);
    }
    return response;
  };

  // Server-sent events of a response: calls hear(event, data) for each.
  const events = async (response, hear) => {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      let end;
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const block = rest.slice(0, end);
        rest = rest.slice(end + 2);
        const field = (name) => block.split("\n").filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2)).join("\n");
        if (field("event")) hear(field("event"), JSON.parse(field("data") || "{}"));
      }
    }
  };

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  const renew = async () => {
    const config = await (await call("/config")).json();
    keep({ token: config.widget_token, session: config.session_id });
    return config;
  };

  // Says something, and shows the answer as it comes. The same name makes a repetition harmless. False: there is no connection.
  const ask = async ({ name, text }) => {
    const draft = `draft:${name}`;
    for (let attempt = 0; ; attempt += 1) {
      let over = false;
      try {
        const body = JSON.stringify({ session_id: kept.session, message: text, message_id: name });
        const response = await call("/chat", { method: "POST", body, headers: { accept: "text/event-stream" } });
        typing(heading.textContent);
        let said = "";
        await events(response, (event, data) => {
          if (event === "session") {
            if (shown.has(name)) shown.set(data.message_id, shown.get(name));
          } else if (event === "start") {
            said = "";
            forget(draft);
          } else if (event === "token") {
            attempt = 0;
            said += data.text;
            show(draft, false, said);
          } else if (event === "message" && data.status !== "pending") {
            over = true;
            forget(draft);
            if (data.message) {
              if (!shown.has(data.message.id)) notice();
              show(data.message.id, false, data.message.content);
            }
            say(data.message || data.status === "active" ? "" : "A person will answer you here.");
          } else if (event === "error") {
            throw new Refused(data.status_code, data.detail);
          }
        });
      } catch (error) {
        if (error instanceof Refused && error.status === 401) {
          await renew().catch(() => {});
        } else if (error instanceof Refused && error.status < 500 && error.status !== 429) {
          say(`This could not be sent: ${error.message}`, true);
          return true;
        }
      }
      if (over) return true;
      if (attempt >= 5) {
        say("No connection.", true, run);
        return false;
      }
      say("Connecting again…");
      await pause(Math.min(1000 * 2 ** attempt, 15000) * (0.5 + Math.random() / 2));
    }
  };

  // One thing after the other, in the order in which they were said.
  let running = false;
  const run = async () => {
    if (running) return;
    running = true;
    while (kept.pending.length && await ask(kept.pending[0])) keep({ pending: kept.pending.slice(1) });
    running = false;
    if (!kept.pending.length) catchUp();
  };

  // What people say without being asked, for as long as the page is open.
  const listen = async () => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const response = await call("/events", { headers: { accept: "text/event-stream" } });
        await events(response, (event, data) => {
          attempt = 0;
          if (event === "ready") {
            catchUp();
          } else if (event === "message" && data.role === "assistant" && !kept.pending.length && !shown.has(data.id)) {
            show(data.id, false, data.content);
            say("");
            notice();
          } else if (event === "typing" && !kept.pending.length) {
            if (data.started) typing("Somebody"); else say("");
          }
        });
      } catch (error) {
        if (error instanceof Refused && error.status === 401) await renew().catch(() => {});
        else if (error instanceof Refused && error.status === 403) return;
      }
      await pause(Math.min(1000 * 2 ** attempt, 30000) * (0.5 + Math.random() / 2));
    }
  };

  // Shows what was said meanwhile. Nothing else would show it later, so trouble that passes is waited out.
  const catchUp = async () => {
    for (let attempt = 0; attempt < 6; attempt += 1) {
      try {
        const { messages } = await (await call("/messages")).json();
        for (const message of messages) show(message.id, message.role === "user", message.content);
        return;
      } catch (error) {
        if (error instanceof Refused && error.status < 500 && error.status !== 429) return;
        await pause(Math.min(1000 * 2 ** attempt, 15000) * (0.5 + Math.random() / 2));
      }
    }
  };

  opener.addEventListener("click", () => toggle(panel.hidden));
  closer.addEventListener("click", () => toggle(false));
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") toggle(false); });
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = words.value.trim();
    if (!text) return;
    words.value = "";
    const name = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    show(name, true, text);
    keep({ pending: [...kept.pending, { name, text }] });
    run();
  });

  const dark = (color) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.36;
  };

  const start = async () => {
    const config = await renew();
    if (!config.enabled) return;
    host.style.setProperty("--main", config.primary_color);
    host.style.setProperty("--on-main", dark(config.primary_color) ? "#fff" : "#111827");
    heading.textContent = config.title;
    words.placeholder = config.placeholder;
    const side = config.position === "bottom-left" ? "left" : "right";
    opener.classList.add(side);
    panel.classList.add(side);
    opener.setAttribute("aria-label", "Open the chat");
    if (config.welcome_message) show("welcome", false, config.welcome_message);
    document.body.append(host);
    await catchUp();
    if (kept.open) toggle(true);
    listen();
    for (const { name, text } of kept.pending) {
      // It may be among what was said already.
      const before = [...shown.values()].some((item) => item.classList.contains("me") && item.lastChild.textContent === text);
      if (!before) show(name, true, text);
    }
    run();
  };
  const begin = () => start().catch((error) => console.warn(`The chat is not available: ${error.message}`));
  if (document.body) begin(); else addEventListener("DOMContentLoaded", begin);
})();
