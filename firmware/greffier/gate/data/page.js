"use strict";
// The page asks once a second what runs, and sends each key with an id of its own until it is answered.
(() => {
  const $ = (id) => document.getElementById(id);
  const words = $("words").dataset;
  const keys = [...document.querySelectorAll("#keys button")];
  const camel = (name) => name.replace(/[_-](.)/g, (_, letter) => letter.toUpperCase());
  const fill = (text, fields) => text.replace(/\{(\w+)\}/g, (_, name) => fields[name] ?? "");
  const rest = (ms) => new Promise((done) => setTimeout(done, ms));
  let calls = [];
  let chosen = "";

  const say = (word, key) => { $("said").textContent = fill(words[word], { key }); };
  const put = (place, text) => { if (place.textContent !== text) place.textContent = text; };

  function fresh() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
  }

  async function post(path, value) {
    return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify(value), credentials: "same-origin", signal: AbortSignal.timeout(12000) });
  }

  async function tell(button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    const key = button.textContent;
    const fact = { id: fresh(), call: chosen, fact: button.dataset.fact, value: JSON.parse(button.dataset.value) };
    say("sending", key);
    for (let round = 0; round < 5; round += 1) {
      try {
        const answer = await post("/v1/facts", fact);
        if (answer.status === 201 || answer.status === 200) return say("taken", key);
        if (answer.status === 202) return say("late", key);
        if (answer.status !== 429 && answer.status !== 503) return say("refused", key);
      } catch { /* the same fact is told again */ }
      await rest(1000 * (round + 1));
    }
    return say("failed", key);
  }

  function describe(call) {
    const since = new Date(call.since).toLocaleTimeString(document.documentElement.lang);
    const text = fill(words.running, { line: call.line, since });
    return call.paused ? `${text} – ${words.paused}` : text;
  }

  function choose() {
    if (!calls.some((one) => one.call === chosen)) chosen = calls.length ? calls[0].call : "";
    const current = calls.find((one) => one.call === chosen);
    put($("call"), current ? describe(current) : words.none);
    for (const button of keys) {
      const idle = !current || (button.dataset.key === "card" && current.paused)
        || (button.dataset.key === "resume" && !current.paused);
      button.setAttribute("aria-disabled", String(idle));
    }
    const box = $("choice");
    box.hidden = calls.length < 2;
    const shown = calls.map((one) => one.call).join();
    if (box.dataset.shown === shown) return;
    box.dataset.shown = shown;
    box.replaceChildren(...calls.map((one) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.type = "radio"; input.name = "call"; input.checked = one.call === chosen;
      input.addEventListener("change", () => { chosen = one.call; choose(); });
      label.append(input, ` ${describe(one)}`);
      return label;
    }));
  }

  function show(orders) {
    $("orders").hidden = !orders.length;
    const shown = orders.map((one) => one.id).join();
    const list = $("order-list");
    if (list.dataset.shown === shown) return;
    list.dataset.shown = shown;
    list.replaceChildren(...orders.map((one) => {
      const item = document.createElement("li");
      item.append(fill(words[camel(one.action)], { line: one.line }));
      for (const [outcome, word] of [["done", words.done], ["failed", words.impossible]]) {
        const button = document.createElement("button");
        button.type = "button"; button.textContent = word;
        button.addEventListener("click", () => { post(`/v1/orders/${one.id}`, { outcome }).catch(() => {}); });
        item.append(button);
      }
      return item;
    }));
  }

  async function look() {
    for (;;) {
      try {
        const answer = await fetch("/v1/desk", { credentials: "same-origin", signal: AbortSignal.timeout(12000) });
        if (answer.status === 401) { location.reload(); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        const found = await answer.json();
        calls = found.calls;
        choose();
        show(found.orders);
      } catch {
        calls = [];
        choose();
        put($("call"), words.offline);
      }
      await rest(document.hidden ? 3000 : 1000);
    }
  }

  for (const button of keys) button.addEventListener("click", () => tell(button));
  look();
})();
