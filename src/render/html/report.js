"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("bw-data").textContent);
  // As names stand in the page: without what would turn the text around them.
  const clean = (name) =>
    name.replace(/[\n\t\r]/g, " ").replace(/[\u202A-\u202E\u2066-\u2069\uFFFE\uFFFF\p{Cc}]/gu, "\uFFFD");
  const services = data.services;
  for (const it of services) it.name = clean(it.name);
  for (const it of data.calls) { it.caller = clean(it.caller); it.dependency = clean(it.dependency); }
  const place = new Map(services.map((it, i) => [it.name, i]));
  const controls = { min: byId("bw-min"), flow: byId("bw-flow"), t: byId("bw-t"), q: byId("bw-q") };
  const panel = byId("bw-panel"), status = byId("bw-status"), play = byId("bw-play");
  const table = byId("bw-services");
  const rows = table ? [...table.tBodies[0].rows] : [];
  const boxes = [...document.querySelectorAll(".bw-box")];
  const edges = [...document.querySelectorAll(".bw-edge")];
  const nameOf = (row) => row.cells[0].textContent;
  // What is shown, all of it kept in the address.
  const state = { s: "", min: 0, flow: "", t: 1000, q: "", sort: "" };

  const make = (tag, text, parent) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };
  const percent = (p) => {
    const value = p * 100;
    return (value === 0 || value >= 10 ? value.toFixed(0) : value.toPrecision(2)) + "%";
  };
  const duration = (s) =>
    s < 60 ? s.toFixed(s < 10 ? 1 : 0) + " s"
    : s < 5400 ? (s / 60).toFixed(s < 600 ? 1 : 0) + " min"
    : s < 172800 ? (s / 3600).toFixed(1) + " h" : (s / 86400).toFixed(1) + " d";

  // The slider gives the first minutes as much room as the later hours.
  const bend = Math.max(Math.min(60, data.until_s / 10), 1e-9);
  const timeAt = (t) => bend * Math.expm1(t / 1000 * Math.log1p(data.until_s / bend));
  const levels = [.1, .25, .5, .75, .9, .95];
  // P(failed by t): straight lines between the known quantiles of the time of first failure.
  const failedBy = (it, t) => {
    const first = it.first_s;
    if (!first || !first.length) return 0;
    let from = 0, low = 0;
    for (let i = 0; i < first.length; i++) {
      if (t < first[i]) return it.failed * (low + (levels[i] - low) * (t - from) / (first[i] - from));
      from = first[i]; low = levels[i];
    }
    const rest = data.until_s > from && from > 0 ? Math.min(1, (t - from) / (data.until_s - from)) : 1;
    return it.failed * (low + (1 - low) * rest);
  };

  const sortBy = (of, column, direction) => {
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent.toLowerCase() : Number(cell.dataset.v);
    };
    const list = [...of.tBodies[0].rows].map((row, i) => [key(row), i, row]);
    list.sort((a, b) => (a[0] < b[0] ? -direction : a[0] > b[0] ? direction : a[1] - b[1]));
    of.tBodies[0].append(...list.map((it) => it[2]));
    [...of.tHead.rows[0].cells].forEach((th, i) => {
      if (i === column) th.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    });
  };
  const sortable = (of) => {
    [...of.tHead.rows[0].cells].forEach((th, column) => {
      const button = make("button", th.textContent);
      button.type = "button";
      th.replaceChildren(button);
      button.addEventListener("click", () => {
        const usual = th.classList.contains("n") ? "descending" : "ascending";
        const now = th.getAttribute("aria-sort");
        const next = now === null ? usual : now === "ascending" ? "descending" : "ascending";
        state.sort = [of.id, column, next === "ascending" ? 1 : -1].join(".");
        apply();
      });
    });
  };

  // The service of a name such as `storefront/checkout`; members of an `any_of` are joined by `|`.
  const isOf = (written, name) =>
    written.split("|").some((it) => it === name || it.startsWith(name + "/"));
  const callLine = (call, other, list) => {
    const held = Object.entries(call.held || {}).sort((a, b) => b[1] - a[1]);
    const parts = ["got through " + percent(call.passed)];
    for (const [guard, share] of held) parts.push(guard + " held " + percent(share));
    const item = make("li", undefined, list);
    make("bdi", other, item);
    item.append(": " + parts.join(", "));
  };
  const calls = (title, list, other) => {
    if (!list.length) return;
    make("h3", title, panel);
    const ul = make("ul", undefined, panel);
    list.sort((a, b) => b.passed - a.passed);
    for (const call of list.slice(0, 12)) callLine(call, other(call), ul);
    if (list.length > 12) make("li", "and " + (list.length - 12) + " more", ul);
  };
  const fact = (list, what, said) => { make("dt", what, list); make("dd", said, list); };
  const show = (name) => {
    panel.replaceChildren();
    const it = services[place.get(name)];
    panel.hidden = !it;
    if (!it) return;
    make("bdi", name, make("h2", undefined, panel));
    const list = make("dl", undefined, panel);
    fact(list, "fails in", percent(it.failed) + " of trials");
    fact(list, "degraded or worse in", percent(it.degraded));
    if (it.first_s && it.first_s.length) {
      const [p10, , p50, , p90] = it.first_s;
      fact(list, "first fails after", duration(p50) + " (8 of 10 trials: " + duration(p10) + " to " + duration(p90) + ")");
      if (state.t < 1000) {
        const t = timeAt(state.t);
        fact(list, "failed by " + duration(t), percent(failedBy(it, t)));
      }
    }
    for (const reason of it.waiting || []) fact(list, "waits in", percent(reason.p) + ": " + clean(reason.text));
    const over = (it.flows || []).map((i) => data.flows[i]);
    fact(list, "flows over it", over.length ? over.slice(0, 12).join(", ") + (over.length > 12 ? " and " + (over.length - 12) + " more" : "") : "none");
    calls("Failure reaches it from", data.calls.filter((c) => isOf(c.caller, name)), (c) => c.dependency);
    calls("Failure goes on to", data.calls.filter((c) => isOf(c.dependency, name)), (c) => c.caller);
    const close = make("button", "Close", panel);
    close.type = "button";
    close.id = "bw-close";
    close.addEventListener("click", () => select(""));
  };
  let opener = null;
  const select = (name) => {
    if (name) opener = document.activeElement;
    state.s = name === state.s ? "" : name;
    apply();
    if (state.s) panel.focus({ preventScroll: true });
    else if (opener && opener.focus) opener.focus({ preventScroll: true });
  };

  // What failure came through on its way to a service, in the picture.
  const causes = (name) => {
    const seen = new Set([name]);
    const open = [name];
    while (open.length) {
      const to = open.pop();
      for (const edge of edges) {
        const { from, to: at, passed } = edge.dataset;
        if (at === to && Number(passed) > 0 && !seen.has(from)) { seen.add(from); open.push(from); }
      }
    }
    return seen;
  };

  const passes = (it) =>
    it.failed >= state.min / 100 && (state.flow === "" || (it.flows || []).includes(Number(state.flow)));
  let byColumn = false;
  const addColumn = () => {
    byColumn = true;
    const th = make("th", "failed by then", table.tHead.rows[0]);
    th.scope = "col";
    th.className = "n";
    for (const row of rows) make("td", "", row).className = "n";
  };
  let applied = "";
  const apply = () => {
    const isReplay = Boolean(controls.t) && state.t < 1000;
    const t = isReplay ? timeAt(state.t) : 0;
    if (isReplay && !byColumn) addColumn();
    const wanted = state.q.toLowerCase();
    let shown = 0, likely = 0;
    for (const row of rows) {
      const it = services[place.get(nameOf(row))];
      const isShown = (!it || passes(it)) && row.textContent.toLowerCase().includes(wanted);
      row.hidden = !isShown;
      row.classList.toggle("sel", Boolean(state.s) && nameOf(row) === state.s);
      if (isShown) shown++;
      if (it && byColumn) {
        const by = isReplay ? failedBy(it, t) : it.failed;
        if (by >= .5) likely++;
        const cell = row.cells[row.cells.length - 1];
        cell.textContent = percent(by);
        cell.dataset.v = by;
      }
    }
    const path = state.s && boxes.some((it) => it.dataset.name === state.s) ? causes(state.s) : null;
    const visible = (name) => {
      const it = services[place.get(name)];
      return (!it || passes(it)) && (!path || path.has(name));
    };
    const weight = (name) => {
      const it = services[place.get(name)];
      if (!isReplay || !it) return 1;
      return it.failed > 0 ? .15 + .85 * failedBy(it, t) / it.failed : .3;
    };
    for (const box of boxes) {
      const name = box.dataset.name;
      box.classList.toggle("faint", !visible(name));
      box.classList.toggle("sel", name === state.s);
      box.setAttribute("opacity", weight(name).toFixed(2));
    }
    for (const edge of edges) {
      const { from, to } = edge.dataset;
      edge.classList.toggle("faint", !(visible(from) && visible(to)));
      edge.setAttribute("opacity", Math.min(weight(from), weight(to)).toFixed(2));
    }
    if (controls.min) byId("bw-min-out").textContent = state.min + "%";
    if (controls.t) byId("bw-t-out").textContent = isReplay ? "+" + duration(t) : "all of it";
    let said = shown + " of " + rows.length + " rows shown";
    if (isReplay) said += "; failed by +" + duration(t) + " in at least half of the trials: " + likely + " of " + services.length + " services";
    if (status && status.textContent !== said) status.textContent = said;
    for (const key of ["min", "flow", "t", "q"]) {
      if (controls[key] && controls[key].value !== String(state[key])) controls[key].value = state[key];
    }
    if (state.sort !== applied) {
      applied = state.sort;
      const [id, column, direction] = state.sort.split(".");
      const of = byId(id);
      if (of && of.tHead && of.tHead.rows[0].cells[Number(column)]) sortBy(of, Number(column), direction === "-1" ? -1 : 1);
    }
    if (panel) show(state.s);
    write();
  };

  const usual = { ...state };
  const write = () => {
    const hash = new URLSearchParams();
    for (const key of Object.keys(usual)) if (String(state[key]) !== String(usual[key])) hash.set(key, state[key]);
    const text = hash.toString();
    if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  };
  const read = () => {
    const hash = new URLSearchParams(location.hash.slice(1));
    const number = (key, most) => {
      const value = hash.has(key) ? Number(hash.get(key)) : usual[key];
      return Number.isFinite(value) ? Math.min(Math.max(Math.round(value), 0), most) : usual[key];
    };
    for (const key of ["s", "flow", "q", "sort"]) state[key] = hash.get(key) ?? "";
    state.min = number("min", 100);
    state.t = number("t", 1000);
    if (!data.flows[Number(state.flow)]) state.flow = "";
  };

  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    if (play) play.textContent = "Play";
  };
  if (play) {
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (state.t >= 1000) state.t = 0;
      play.textContent = "Stop";
      const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const step = () => {
        state.t = Math.min(1000, state.t + (isCalm ? 100 : 10));
        apply();
        if (state.t >= 1000) stop();
      };
      timer = setInterval(step, isCalm ? 1000 : 100);
      apply();
    });
  }
  for (const key of ["min", "flow", "t", "q"]) {
    const control = controls[key];
    if (!control) continue;
    control.addEventListener("input", () => {
      if (key === "t") stop();
      state[key] = key === "min" || key === "t" ? Number(control.value) : control.value;
      apply();
    });
  }
  if (panel) {
    for (const box of boxes) {
      if (!place.has(box.dataset.name)) continue;
      box.classList.add("on");
      box.setAttribute("tabindex", "0");
      box.setAttribute("role", "button");
      box.setAttribute("aria-label", box.querySelector("title")?.textContent ?? box.dataset.name);
      // The children of an image cannot be reached by a screen reader.
      box.ownerSVGElement.setAttribute("role", "group");
      box.addEventListener("click", () => select(box.dataset.name));
      box.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        select(box.dataset.name);
      });
    }
    for (const row of rows) {
      const cell = row.cells[0], name = nameOf(row);
      if (!place.has(name)) continue;
      const button = make("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => select(name));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && state.s) select("");
    });
  }
  document.querySelectorAll("table").forEach(sortable);
  if (rows.length > 30) table.parentElement.classList.add("tall");
  addEventListener("hashchange", () => { read(); apply(); });
  const bar = byId("bw-controls");
  if (bar) bar.hidden = false;
  read();
  apply();
})();
