// Keys, pointers, the list of keys.
"use strict";

function helpText() {
  const rows = [
    ["\u2190 \u2192", "a frame back or on; with Shift ten"],
    ["Home End", "first and last frame"],
    ["PgUp PgDn", "IDR or IRAP picture before and after"],
    ["Space", "play and stop"],
    ...Object.values(VIEWS).map((v) => [v.key, `${v.title.toLowerCase()}: ${v.text}`]),
    ...Object.values(FILLS).map((f) => [
      f.key,
      f.title === "None"
        ? "no colours"
        : `colour blocks: ${f.title[0].toLowerCase() === "q" ? f.title : f.title.toLowerCase()}`,
    ]),
    ...Object.values(LINES).map((l) => [l.key, `draw ${l.title.toLowerCase()}`]),
    ...Object.values(MODES).map(([title, key]) => [key, `compare: ${title.toLowerCase()}`]),
    ["g G", "gain up and down"],
    ["+ - z", "zoom in, out, whole picture"],
    ["[ ]", "second file a frame earlier or later"],
    ["Esc", "unlock the block"],
    ["?", "this list"],
  ];
  const list = make("dl");
  for (const [key, text] of rows)
    list.append(make("div", {}, make("dt", {}, key), make("dd", {}, text)));
  const close = make("button", { className: "wide" }, "Close");
  close.addEventListener("click", () => $("help").close());
  return [
    make("h2", {}, "Keys"),
    list,
    make(
      "p",
      { className: "soft" },
      "Wheel or two fingers zoom, dragging moves, a click locks a block. From 26 pixels a sample its number is written in it. The address keeps the state: copy it to come back.",
    ),
    close,
  ];
}

function showHelp() {
  $("help").showModal();
}

function keyJump(app, way) {
  const keys = app.columns["frames/keyframe"]?.data;
  let k = app.state.frame + way;
  while (keys && k > app.from && k < app.to - 1 && !keys[k]) k += way;
  app.go(k);
}

function zoomBy(app, factor, clientX, clientY) {
  const stage = app.canvas.getBoundingClientRect();
  const x = clientX === undefined ? stage.width / 2 : clientX - stage.left,
    y = clientY === undefined ? stage.height / 2 : clientY - stage.top;
  const pane = app.panes.findLast((p) => x >= p.left && x < p.left + p.width) || app.panes[0];
  const px = clientX === undefined ? pane.left + pane.width / 2 : x;
  const scale = Math.max(0.1, Math.min(64, pane.scale * factor));
  const sx = (px - pane.x) / pane.scale,
    sy = (y - pane.y) / pane.scale;
  Object.assign(app.state, {
    zoom: scale,
    x: sx - (px - pane.left - pane.width / 2) / scale,
    y: sy - (y - pane.height / 2) / scale,
  });
  app.toFragment();
  drawStage(app);
}

function pressed(app, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.target instanceof HTMLInputElement) return;
  const { key } = event,
    { state } = app,
    far = event.shiftKey ? 10 : 1;
  const gains = [1, 2, 4, 8, 16, 32],
    gain = gains.indexOf(state.gain);
  const acts = {
    ArrowRight: () => app.go(state.frame + far),
    ArrowLeft: () => app.go(state.frame - far),
    Home: () => app.go(app.from),
    End: () => app.go(app.to - 1),
    PageDown: () => keyJump(app, 1),
    PageUp: () => keyJump(app, -1),
    " ": () => play(app),
    "?": showHelp,
    Escape: () => app.set({ lock: "" }),
    "+": () => zoomBy(app, 1.5),
    "=": () => zoomBy(app, 1.5),
    "-": () => zoomBy(app, 1 / 1.5),
    z: () => app.set({ zoom: 0 }),
    g: () => app.set({ gain: gains[Math.min(gains.length - 1, gain + 1)] }),
    G: () => app.set({ gain: gains[Math.max(0, gain - 1)] }),
    "[": () => app.set({ offset: state.offset - 1 }),
    "]": () => app.set({ offset: state.offset + 1 }),
  };
  for (const [name, { key: k, other }] of Object.entries(VIEWS))
    if (!other || app.files[1]) acts[k] = () => pickView(app, name);
  for (const [name, { key: k }] of Object.entries(FILLS))
    acts[k] = () => app.set({ fill: state.fill === name ? "none" : name });
  for (const [name, { key: k }] of Object.entries(LINES)) acts[k] = () => toggleLine(app, name);
  for (const [name, [, k]] of Object.entries(MODES)) acts[k] = () => pickMode(app, name);
  if (!Object.hasOwn(acts, key)) return;
  event.preventDefault();
  acts[key]();
}

/** Luma sample of the coded picture under a pointer, and its pane. */
function sampleAt(app, event) {
  const stage = app.canvas.getBoundingClientRect(),
    x = event.clientX - stage.left,
    y = event.clientY - stage.top;
  const pane =
    app.panes.findLast((p) => x >= (p.cut ?? p.left) && x < p.left + p.width) || app.panes[0];
  const [height, width] = app.files[0].coded;
  const sx = Math.floor((x - pane.x) / pane.scale),
    sy = Math.floor((y - pane.y) / pane.scale);
  return sx >= 0 && sy >= 0 && sx < width && sy < height
    ? { x: sx, y: sy, pane, left: x, top: y }
    : null;
}

function showTip(app, at) {
  const tip = $("tip");
  tip.hidden = !at;
  if (!at) return;
  const shown = app.views[at.pane.view],
    values = shown ? valuesAt(shown, at.x, at.y) : [];
  const lines = [`${at.x}, ${at.y}   ${values.map(([n, v]) => `${n} ${v}`).join("  ")}`];
  if (app.blocks) {
    lines.push(app.blocks.tip(at.x, at.y).filter(Boolean).join("  "));
  }
  tip.replaceChildren(...lines.map((text) => make("div", {}, text)));
  const { clientWidth } = $("stage");
  tip.style.left = `${Math.min(at.left + 16, clientWidth - tip.offsetWidth - 6)}px`;
  tip.style.top = `${at.top > 80 ? at.top - tip.offsetHeight - 12 : at.top + 18}px`;
}

function listen(app) {
  const stage = $("stage"),
    fingers = new Map();
  let press = null;
  document.addEventListener("keydown", (e) => pressed(app, e));
  window.addEventListener("hashchange", () =>
    app.set({ ...DEFAULTS, frame: app.from, ...app.fromFragment() }),
  );
  new ResizeObserver(() => app.ready && app.blocks !== undefined && app.draw()).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.draw());
  stage.addEventListener(
    "wheel",
    (e) => {
      e.preventDefault();
      zoomBy(app, Math.exp(-e.deltaY / 400), e.clientX, e.clientY);
    },
    { passive: false },
  );
  stage.addEventListener("pointerdown", (e) => {
    fingers.set(e.pointerId, e);
    stage.setPointerCapture(e.pointerId);
    press = {
      x: e.clientX,
      y: e.clientY,
      moved: fingers.size > 1,
      edge: e.target.closest("#edge") !== null,
    };
  });
  stage.addEventListener("pointermove", (e) => moved(app, e, fingers, press));
  stage.addEventListener("pointerup", (e) => {
    fingers.delete(e.pointerId);
    if (press && !press.moved && !press.edge) {
      const at = sampleAt(app, e),
        lock = lockOf(app);
      const same = at && lock && at.x >> 2 === lock.x >> 2 && at.y >> 2 === lock.y >> 2;
      if (at) app.set({ lock: same ? "" : `${at.x},${at.y}`, tab: "block" });
    }
    press = null;
  });
  stage.addEventListener("pointercancel", (e) => fingers.delete(e.pointerId));
  stage.addEventListener("pointerleave", () => {
    app.hover = null;
    showTip(app, null);
  });
}

function moved(app, event, fingers, press) {
  const before = fingers.get(event.pointerId);
  if (!before) {
    app.hover = sampleAt(app, event);
    showTip(app, app.hover);
    if (app.state.tab === "block" && !app.state.lock) showPanel(app);
    return;
  }
  const apart = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };
  const was = fingers.size > 1 ? apart() : 0;
  fingers.set(event.pointerId, event);
  if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > 4) press.moved = true;
  if (press?.edge) {
    const box = app.canvas.getBoundingClientRect();
    app.state.edge = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  } else if (fingers.size > 1) {
    const [a, b] = [...fingers.values()];
    return zoomBy(
      app,
      apart() / Math.max(1, was),
      (a.clientX + b.clientX) / 2,
      (a.clientY + b.clientY) / 2,
    );
  } else if (press?.moved) {
    const pane = app.panes[0];
    const middle = [
      (pane.left + pane.width / 2 - pane.x) / pane.scale,
      (pane.height / 2 - pane.y) / pane.scale,
    ];
    Object.assign(app.state, {
      zoom: pane.scale,
      x: middle[0] - (event.clientX - before.clientX) / pane.scale,
      y: middle[1] - (event.clientY - before.clientY) / pane.scale,
    });
  }
  app.toFragment();
  drawStage(app);
}
