// The page: state, what is loaded, what is drawn, keys and pointers.
"use strict";

const DEFAULTS = {
  frame: 0, view: "decoded", right: "prediction", plane: "colour", mode: "one", fill: "none", lines: "", gain: 4,
  alpha: 0.6, zoom: 0, x: 0, y: 0, lock: "", tab: "block", edge: 0.5, offset: 0, log: 1,
};
const MODES = { one: ["One", "o"], wipe: ["Wipe", "w"], side: ["Side by side", "e"] };
const $ = (id) => document.getElementById(id);

class App {
  constructor() {
    this.store = new Store();
    this.columns = {};
    this.course = {};
    this.courseDone = 0;
    this.panes = [];
    this.hover = null;
    this.canvas = $("picture");
    this.drawn = new Map();
    this.step = 0;
  }

  async start() {
    this.about = await this.store.about();
    this.files = this.about.files;
    const [from, to] = this.about.range || [0, this.files[0].count];
    Object.assign(this, { from, to });
    const units = this.about.fields["mb/bits"]?.[1] || "";
    this.bitUnit = units.includes("1/256") ? 256 : 1;
    this.columns = (await this.store.read("columns/0")).arrays;
    this.otherColumns = this.files[1] ? (await this.store.read("columns/1")).arrays : {};
    if (this.files[1]) Object.assign(DEFAULTS, { mode: "wipe", right: "other" });
    this.state = { ...DEFAULTS, frame: from, ...this.fromFragment() };
    this.mostBytes = this.columns["frames/bytes"]?.data.reduce((a, b) => Math.max(a, b), 1);
    this.strip = new Strip($("strip"), (k) => this.go(k));
    this.curves = new Curves((k) => this.go(k));
    $("name").textContent = this.files.map((f) => f.name).join("  |  ");
    document.title = `${this.files[0].name} - davd-view`;
    this.ready = true;
    buildTools(this);
    listen(this);
    await this.load();
    this.followCourse();
  }

  fromFragment() {
    const found = {};
    for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
      if (!Object.hasOwn(DEFAULTS, name)) continue;
      const value = typeof DEFAULTS[name] === "number" ? Number(text) : text;
      if (!Number.isNaN(value)) found[name] = value;
    }
    for (const [name, known] of [["view", VIEWS], ["right", VIEWS], ["fill", FILLS], ["mode", MODES], ["tab", TABS]]) {
      if (name in found && !Object.hasOwn(known, found[name])) delete found[name];
    }
    if ("frame" in found) found.frame = Math.round(Math.max(this.from, Math.min(this.to - 1, found.frame)));
    return found;
  }

  toFragment() {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(this.state)) {
      if (value !== DEFAULTS[name]) query.set(name, typeof value === "number" ? `${Math.round(value * 1000) / 1000}` : value);
    }
    history.replaceState(null, "", `#${query}`);
  }

  /** Change the state, then load and draw what that asks for. */
  set(changes) {
    Object.assign(this.state, changes);
    this.toFragment();
    refreshTools(this);
    return this.load();
  }

  go(index) {
    return this.set({ frame: Math.max(this.from, Math.min(this.to - 1, index)) });
  }

  otherIndex(index) {
    const own = this.otherColumns["frames/index"]?.data;
    const found = own ? own.findIndex((v) => Number(v) === index) : index + this.state.offset;
    return this.files[1] && found >= 0 && found < this.files[1].count ? found : -1;
  }

  /** What has to be here for a frame to be drawn, as [file, index, group]. */
  wanted(index, all) {
    const { state } = this, other = this.otherIndex(index);
    const views = state.mode === "one" ? [state.view] : [state.view, state.right];
    const groups = new Set(["0/maps"]);
    for (const view of views) for (const [file, group] of needed(view)) groups.add(`${file}/${group}`);
    if (all && state.lock) for (const group of ["decoded", "prediction", "residual", "level"]) groups.add(`0/${group}`);
    if (views.includes("other") && this.files[1]?.maps.length) groups.add("1/maps");
    const asked = [...groups].map((name) => [Number(name[0]), name.slice(2)]);
    return asked
      .filter(([file, group]) => this.files[file] && (group === "maps" ? this.files[file].maps.length : this.files[file].groups.includes(group)))
      .map(([file, group]) => [file, file ? other : index, group]).filter(([, k]) => k >= 0);
  }

  async load() {
    const step = ++this.step, index = this.state.frame, began = performance.now();
    const wanted = this.wanted(index, true);
    try {
      const arrays = await Promise.all(wanted.map((w) => this.store.frame(...w)));
      if (step !== this.step) return;
      const groups = Object.fromEntries(wanted.map(([file, , group], k) => [`${file}/${group}`, arrays[k]]));
      this.adopt(index, groups);
      this.say("");
    } catch (error) {
      if (step === this.step) this.say(`Frame ${index} cannot be read: ${error.message}`);
      return;
    }
    this.draw();
    this.took = performance.now() - began;
    document.documentElement.dataset.frame = `${index}`;
    document.documentElement.dataset.took = this.took.toFixed(1);
    this.ahead(step);
  }

  /** Ask for the frames that will probably be wanted next, one after the other. */
  async ahead(step) {
    const way = this.last !== undefined && this.state.frame < this.last ? -1 : 1;
    this.last = this.state.frame;
    for (let k = 1; k <= 4; k++) {
      const index = this.state.frame + way * k;
      if (index < this.from || index >= this.to) return;
      try {
        await Promise.all(this.wanted(index, true).map((w) => this.store.frame(...w)));
      } catch {
        return;
      }
      if (step !== this.step) return;
    }
  }

  adopt(index, groups) {
    this.groups = groups;
    this.maps = groups["0/maps"] || {};
    this.blocks = this.maps["mb/type"] ? new Blocks(index, this.files[0], this.maps, this.about.enums) : null;
    const other = groups["1/maps"];
    this.otherBlocks = other && other["mb/type"] ? new Blocks(this.otherIndex(index), this.files[1], other, this.about.enums) : null;
    this.views = {};
    this.pictures = {};
    for (const view of Object.keys(VIEWS)) {
      if (needed(view).every(([file, group]) => groups[`${file}/${group}`])) {
        const shown = viewPlanes(view, this.files, groups, this.maps["mb/field"]);
        if (shown) this.views[view] = shown;
      }
    }
    this.strip.show(index);
  }

  /** Canvas with the pixels of a view of this frame. */
  picture(view) {
    const key = `${view} ${this.state.plane} ${this.state.gain}`;
    if (!this.views[view]) return null;
    this.pictures[key] ||= drawView(view, this.views[view], this.state.plane, this.state.gain);
    return this.pictures[key];
  }

  references() {
    const map = this.maps?.["motion/ref"];
    if (!map) return [];
    this.referencesOf ||= new WeakMap();
    if (!this.referencesOf.has(map)) this.referencesOf.set(map, [...new Set(map.data)].filter((v) => v >= 0).slice(0, 32));
    return this.referencesOf.get(map);
  }

  async followCourse() {
    const { count } = this.files[0];
    for (let ended = false; !ended; ) {
      const { meta, arrays } = await this.store.read(`course/0/${this.courseDone}`).catch(() => ({ meta: { ended: true }, arrays: {} }));
      const part = Object.values(arrays)[0]?.data.length || 0;
      for (const [name, { data }] of Object.entries(arrays)) {
        (this.course[name] ||= new Float32Array(count)).set(data, this.courseDone || meta.first || 0);
      }
      this.courseDone = (this.courseDone || meta.first || 0) + part;
      ended = meta.ended !== false;
      this.strip.draw();
      if (this.state.tab === "time") showPanel(this);
      if (!ended) await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  say(text) {
    $("message").textContent = text;
    $("message").hidden = !text;
  }

  draw() {
    drawStage(this);
    this.strip.draw();
    showPanel(this);
    showWhere(this);
  }
}

// ---- the stage: panes, zoom, lines

/** Places of the panes in the stage, and the view in each. */
function layPanes(app) {
  const width = app.canvas.clientWidth, height = app.canvas.clientHeight, { mode, view, right } = app.state;
  const half = Math.floor(width / 2);
  if (mode === "side") return [{ view, left: 0, width: half - 1, height }, { view: right, left: half + 1, width: width - half - 1, height }];
  const whole = { view, left: 0, width, height };
  if (mode === "wipe") return [whole, { ...whole, view: right, cut: app.state.edge * width }];
  return [whole];
}

/** Scale (CSS pixels a sample) and place of the coded picture in a pane. */
function placeIn(app, pane) {
  const { width, height, left, top } = app.files[0], { state } = app;
  const fit = Math.min(pane.width / width, pane.height / height) * 0.98;
  const scale = state.zoom || (fit > 1 ? Math.max(1, fit) : fit);
  const cx = state.zoom ? state.x : left + width / 2, cy = state.zoom ? state.y : top + height / 2;
  return { scale, x: pane.left + pane.width / 2 - cx * scale, y: pane.height / 2 - cy * scale };
}

function drawStage(app) {
  const { canvas } = app, ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const context = canvas.getContext("2d");
  app.panes = layPanes(app);
  const missing = [];
  for (const pane of app.panes) {
    context.save();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.beginPath();
    context.rect(pane.cut ?? pane.left, 0, pane.cut === undefined ? pane.width : pane.width - pane.cut, pane.height);
    context.clip();
    if (pane.cut !== undefined) context.clearRect(pane.cut, 0, pane.width, pane.height);
    if (!drawPane(app, context, pane, ratio)) missing.push(pane);
    context.restore();
  }
  showTags(app, missing);
  showLegend(app);
}

function drawPane(app, context, pane, ratio) {
  const { scale, x, y } = placeIn(app, pane), shown = app.views[pane.view];
  Object.assign(pane, { scale, x, y });
  const blocks = pane.view === "other" ? app.otherBlocks : app.blocks, at = shown?.at || [0, 0];
  const box = [(pane.left - x) / scale, -y / scale, (pane.left + pane.width - x) / scale, (pane.height - y) / scale];
  pane.box = box;
  const picture = app.picture(pane.view);
  context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
  context.imageSmoothingEnabled = scale * ratio < 1;
  if (picture) {
    const [height, width] = shown.file.coded;
    context.drawImage(picture, at[0], at[1], width, height);
  }
  context.translate(...at);
  if (blocks) drawOverlays(app, context, blocks, box, scale);
  context.translate(-at[0], -at[1]);
  dimCropped(app, context);
  if (scale >= 26 && shown) drawNumbers(app, context, shown, box, scale);
  drawLock(app, context, scale);
  return Boolean(picture);
}

function drawOverlays(app, context, blocks, box, scale) {
  const { state } = app, [height, width] = blocks.file.coded;
  const options = { qpRange: app.qpRange(), logBits: state.log === 1, bitUnit: app.bitUnit };
  const key = `${state.fill} ${JSON.stringify(options)}`;
  blocks.fillsMade ||= {};
  if (!(key in blocks.fillsMade)) {
    const fill = fillOf(state.fill, blocks, options);
    blocks.fillsMade[key] = fill && { fill, canvas: fillCanvas(fill, blocks) };
  }
  app.filled = blocks.fillsMade[key];
  if (app.filled) {
    context.imageSmoothingEnabled = false;
    context.globalAlpha = state.alpha;
    context.drawImage(app.filled.canvas, 0, 0, width, height);
    context.globalAlpha = 1;
  }
  for (const name of state.lines.split(",").filter((n) => Object.hasOwn(LINES, n) && blocks.has(LINES[n].from))) {
    context.lineWidth = Math.max(1, Math.min(2, scale / 6)) / scale;
    DRAW[name](context, blocks, box);
  }
}

App.prototype.qpRange = function () {
  const { qp_low: low, qp_high: high } = this.course;
  if (!low || this.courseDone < Math.min(8, this.to - this.from)) return null;
  if (this.rangeAt === this.courseDone) return this.range;
  const done = [...Array(this.courseDone).keys()].slice(this.from);
  this.range = [done.reduce((a, k) => Math.min(a, low[k]), 99), done.reduce((a, k) => Math.max(a, high[k]), -99)];
  this.rangeAt = this.courseDone;
  return this.range;
};

/** Darken what a player cuts off. */
function dimCropped(app, context) {
  const { left, top, width, height, coded } = app.files[0];
  context.beginPath();
  context.rect(0, 0, coded[1], coded[0]);
  context.rect(left, top, width, height);
  context.fillStyle = "#0009";
  context.fill("evenodd");
}

function drawNumbers(app, context, shown, box, scale) {
  const which = Math.max(0, PLANE_NAMES.indexOf(app.state.plane)), plane = shown.planes[Math.min(which, shown.planes.length - 1)];
  const down = shown.file.coded[0] / plane.shape[0], across = shown.file.coded[1] / plane.shape[1];
  context.font = `${Math.min(13, scale / 3) / scale}px ui-monospace, monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 2.5 / scale;
  context.strokeStyle = "#000a";
  context.fillStyle = "#fff";
  const first = (v, at, step) => Math.max(0, Math.floor((v - at) / step));
  for (let y = first(box[1], shown.at[1], down); y < plane.shape[0] && y * down + shown.at[1] < box[3]; y++) {
    for (let x = first(box[0], shown.at[0], across); x < plane.shape[1] && x * across + shown.at[0] < box[2]; x++) {
      const text = `${plane.data[y * plane.shape[1] + x]}`, px = (x + 0.5) * across + shown.at[0], py = (y + 0.5) * down + shown.at[1];
      context.strokeText(text, px, py);
      context.fillText(text, px, py);
    }
  }
}

function lockOf(app) {
  const [x, y] = app.state.lock.split(",").map(Number);
  const [height, width] = app.files[0].coded;
  return app.state.lock && x >= 0 && y >= 0 && x < width && y < height ? { x: Math.floor(x), y: Math.floor(y) } : null;
}

function drawLock(app, context, scale) {
  const lock = lockOf(app);
  if (!lock || !app.blocks) return;
  const [row, column] = app.blocks.macroblock(lock.x, lock.y);
  app.blocks.column = column;
  const [top, height] = app.blocks.span(row, 0, 16);
  context.lineWidth = 2.5 / scale;
  context.strokeStyle = "#ff2d78";
  context.strokeRect(column * 16, top, 16, height);
  const unit = unitAt(app.blocks, lock.x, lock.y);
  const [unitTop, unitHeight] = app.blocks.span(row, unit.row - row * 16, unit.side);
  context.lineWidth = 1.5 / scale;
  context.strokeStyle = "#fff";
  context.strokeRect(unit.left, unitTop, unit.side, unitHeight);
}

function showTags(app, missing) {
  const { mode } = app.state, { left, right } = { left: $("left-tag"), right: $("right-tag") };
  const title = (view) => (view === "other" && app.files[1] ? app.files[1].name : VIEWS[view].title);
  const absent = (view) => missing.some((pane) => pane.view === view);
  const why = (view) => {
    if (!absent(view)) return "";
    if (!stored(view, app.files)) return needed(view).some(([f]) => f && !app.files[f]) ? ": no second file" : ": not in this file";
    return needed(view).some(([f]) => f) ? ": no such frame, or another size" : ": cannot be shown";
  };
  left.textContent = title(app.state.view) + why(app.state.view);
  right.textContent = title(app.state.right) + why(app.state.right);
  right.hidden = mode === "one";
  $("edge").hidden = mode !== "wipe";
  $("edge").style.left = `${100 * app.state.edge}%`;
}

function showLegend(app) {
  const legend = $("legend"), { filled, state } = app;
  legend.replaceChildren();
  if (state.fill !== "none" && !app.blocks?.has(FILLS[state.fill].from)) {
    legend.append(make("span", { className: "soft" }, `${FILLS[state.fill].title}: not in this file`));
    return;
  }
  if (!filled || state.fill === "none") return;
  const { fill } = filled;
  if (fill.scale) {
    const bar = make("i", { className: "scale" });
    bar.style.background = `linear-gradient(to right, ${SCALES[fill.scale].join(",")})`;
    const text = (v) => Number((fill.shown ? fill.shown(v) : v).toFixed(1)).toString();
    legend.append(make("span", {}, text(fill.low)), bar, make("span", {}, `${text(fill.high)} ${fill.unit}`));
  } else for (const [name, colour] of fill.legend || []) legend.append(swatch(colour, name));
}

// ---- the panel

const TABS = { block: "Block", frame: "Frame", time: "Over time", file: "File" };

function showPanel(app) {
  const panel = $("panel"), { tab } = app.state;
  for (const button of $("tabs").children) button.setAttribute("aria-selected", button.dataset.tab === tab);
  if (tab === "time") return app.curves.render(panel);
  if (tab === "file") return panel.replaceChildren(...app.files.map(fileFacts));
  if (!app.blocks) return panel.replaceChildren(make("p", { className: "soft" }, "Pictures alone: this file says nothing of blocks."));
  if (tab === "frame") return panel.replaceChildren(table(frameFacts(app)), ...histograms(app.blocks));
  const lock = lockOf(app), at = lock || app.hover;
  if (!at) return panel.replaceChildren(make("p", { className: "soft" }, "Point at a block to see its syntax; click to lock it and see its numbers."));
  const parts = [table(syntaxOf(app.blocks, at.x, at.y))];
  if (lock) {
    const button = make("button", { className: "wide" }, "Unlock this block (Esc)");
    button.addEventListener("click", () => app.set({ lock: "" }));
    parts.unshift(button);
    parts.push(...blockNumbers(app.blocks, at.x, at.y, app.views));
  }
  panel.replaceChildren(...parts);
}

function frameFacts(app) {
  const k = app.state.frame, value = (name) => app.columns[`frames/${name}`]?.data[k];
  const type = app.about.enums["frames/picture_type"][value("picture_type")];
  const rows = [["Frame", k, "in display order"], ["Type", swatch(FRAME_COLOURS[type] || "#888", type)],
    ["Decoded as", value("decode_order")], ["Time", `${value("time")?.toFixed(3)} s`], ["PicOrderCnt", value("poc")],
    ["IDR picture", value("keyframe") ? "yes" : "no"]];
  for (const name of ["bytes", "bits"]) rows.push([name[0].toUpperCase() + name.slice(1), (value(name) ?? (app.course[name]?.[k] || undefined))?.toLocaleString("en") ?? "not in this file"]);
  const refers = app.references();
  rows.push(["Refers to", app.maps["motion/ref"] ? refers.toSorted((a, b) => a - b).join(", ") || "none" : "not in this file"]);
  if (value("concealed") || app.course.concealed?.[k]) rows.push(["Concealed", "in part: invented by the decoder"]);
  if (app.took) rows.push(["Shown in", `${app.took.toFixed(0)} ms`]);
  return rows;
}

function showWhere(app) {
  const k = app.state.frame, time = app.columns["frames/time"]?.data[k];
  const type = app.about.enums["frames/picture_type"]?.[app.columns["frames/picture_type"]?.data[k]] || "";
  $("where").textContent = `frame ${k} of ${app.files[0].count}${type ? `, ${type}` : ""}${time === undefined ? "" : `, ${time.toFixed(2)} s`}`;
}

// ---- the tools

function choice(box, label, entries, chosen, pick) {
  const focused = [...box.children].indexOf(document.activeElement), scrolled = box.scrollLeft;
  box.replaceChildren(make("span", { className: "label" }, label));
  for (const [value, { title, key, off, text }] of entries) {
    const button = make("button", { title: [text, key && `key ${key}`, off].filter(Boolean).join(", ") }, title);
    button.setAttribute("aria-pressed", chosen(value));
    if (off) button.classList.add("off");
    button.addEventListener("click", () => pick(value));
    box.append(button);
  }
  if (focused >= 0) box.children[focused]?.focus({ preventScroll: true });
  box.scrollLeft = scrolled;
  const pressed = box.querySelector('[aria-pressed="true"]'), right = pressed && pressed.offsetLeft + pressed.offsetWidth - box.offsetLeft;
  if (pressed && (right > box.scrollLeft + box.clientWidth || pressed.offsetLeft - box.offsetLeft < box.scrollLeft)) box.scrollLeft = right - box.clientWidth + 24;
}

function buildTools(app) {
  const button = (text, title, act) => {
    const made = make("button", { title, ariaLabel: title }, text);
    made.addEventListener("click", act);
    return made;
  };
  $("transport").append(
    button("|\u2039", "First frame (Home)", () => app.go(app.from)), button("\u2039", "Frame before (left arrow)", () => app.go(app.state.frame - 1)),
    button("\u25b6", "Play and stop (space)", () => play(app)), button("\u203a", "Next frame (right arrow)", () => app.go(app.state.frame + 1)),
    button("\u203a|", "Last frame (End)", () => app.go(app.to - 1)));
  $("actions").append(
    button("PNG", "What is seen, as a picture", savePicture), button("CSV", "Blocks in sight, samples, or frames, as a table", () => saveTable(app)),
    button("\u25d0", "Dark or light", toggleTheme), button("?", "Keys and help (?)", () => showHelp()));
  for (const [name, title] of Object.entries(TABS)) {
    const tab = make("button", { role: "tab" }, title);
    tab.dataset.tab = name;
    tab.addEventListener("click", () => app.set({ tab: name }));
    $("tabs").append(tab);
  }
  $("help").append(...helpText());
  refreshTools(app);
}

function refreshTools(app) {
  const { state, files } = app;
  const title = ({ title: text }, name) => (name === "other" && files[1]?.kind === "restored" ? "Restored" : text);
  const views = Object.entries(VIEWS).map(([name, v]) => [name, { ...v, title: title(v, name), off: stored(name, files) ? "" : "not in this file" }])
    .filter(([, v]) => !v.other || files[1]);
  choice($("views"), "View", views, (v) => v === state.view || (state.mode !== "one" && v === state.right), (v) => pickView(app, v));
  choice($("planes"), "Plane", [["colour", { title: "Colour" }], ["y", { title: "Y" }], ["cb", { title: "Cb" }], ["cr", { title: "Cr" }]]
    .slice(0, files[0].chroma === "4:0:0" ? 2 : 4), (v) => v === state.plane, (v) => app.set({ plane: v }));
  const signed = [state.view, state.mode === "one" ? state.view : state.right].some((v) => VIEWS[v].signed);
  $("gains").hidden = !signed;
  choice($("gains"), "Gain", [1, 2, 4, 8, 16, 32].map((g) => [g, { title: `${g}x`, key: "g, G" }]), (v) => v === state.gain, (v) => app.set({ gain: v }));
  choice($("modes"), "Compare", Object.entries(MODES).map(([m, [title, key]]) => [m, { title, key }]), (v) => v === state.mode, (v) => pickMode(app, v));
  const has = (map) => !map || files[0].maps.includes(map);
  const off = ({ from }) => (has(from) ? "" : "not in this file");
  choice($("fills"), "Colour", Object.entries(FILLS).map(([n, f]) => [n, { ...f, off: off(f) }]), (v) => v === state.fill, (v) => app.set({ fill: v }));
  if (state.fill !== "none") $("fills").append(alphaSlider(app));
  if (state.fill === "bits") choice($("fills").appendChild(make("span", { className: "group" })), "", [[1, { title: "log" }], [0, { title: "linear" }]], (v) => v === state.log, (v) => app.set({ log: v }));
  const lines = state.lines.split(",");
  choice($("lines"), "Lines", Object.entries(LINES).map(([n, l]) => [n, { ...l, off: off(l) }]), (v) => lines.includes(v), (v) => toggleLine(app, v));
  if (app.blocks === null) for (const id of ["fills", "lines"]) $(id).hidden = true;
}

function alphaSlider(app) {
  const slider = make("input", { type: "range", min: 0.1, max: 1, step: 0.05, value: app.state.alpha, title: "How strong", ariaLabel: "How strong" });
  slider.addEventListener("input", () => {
    app.state.alpha = Number(slider.value);
    app.toFragment();
    drawStage(app);
  });
  return slider;
}

function toggleLine(app, name) {
  const lines = new Set(app.state.lines.split(",").filter(Boolean));
  if (!lines.delete(name)) lines.add(name);
  app.set({ lines: [...lines].join() });
}

/** A view for the left; in a comparison, the one shown on the left goes to the right. */
function pickView(app, view) {
  const { state } = app;
  if (state.mode !== "one" && view !== state.view) app.set({ view, right: state.view });
  else app.set({ view });
}

function pickMode(app, mode) {
  const { state, files } = app;
  const choices = [files[1] ? "other" : "prediction", "prediction", "decoded"];
  const right = choices.find((v) => v !== state.view && stored(v, files)) || state.right;
  app.set(mode !== "one" && (state.mode === "one" && state.right === DEFAULTS.right || state.right === state.view) ? { mode, right } : { mode });
}

function saveTable(app) {
  const pane = app.panes[0], shown = app.views[pane.view];
  if (app.state.tab === "time") save(fileName("frames.csv"), csv(frameRows()));
  else if (pane.scale >= 26 && shown) {
    const which = Math.max(0, PLANE_NAMES.indexOf(app.state.plane));
    const plane = shown.planes[Math.min(which, shown.planes.length - 1)];
    save(fileName(`${pane.view}.csv`), csv(sampleRows(plane, pane.box, shown.at, shown.file.coded)));
  } else if (app.blocks) save(fileName("blocks.csv"), csv(blockRows(app.blocks, pane.box)));
  else save(fileName("frames.csv"), csv(frameRows()));
}

function toggleTheme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  app.draw();
}

async function play(app) {
  app.playing = !app.playing;
  const rate = String(app.files[0].attrs.frame_rate || "25/1").split("/").map(Number);
  const wait = Math.max(10, (1000 * (rate[1] || 1)) / rate[0]) || 40;
  while (app.playing && app.state.frame < app.to - 1) {
    const began = performance.now();
    await app.go(app.state.frame + 1);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, wait - performance.now() + began)));
  }
  app.playing = false;
}

// ---- keys, pointers

function helpText() {
  const rows = [["\u2190 \u2192", "a frame back or on; with Shift ten"], ["Home End", "first and last frame"], ["PgUp PgDn", "IDR picture before and after"],
    ["Space", "play and stop"], ...Object.values(VIEWS).map((v) => [v.key, `${v.title.toLowerCase()}: ${v.text}`]),
    ...Object.values(FILLS).map((f) => [f.key, f.title === "None" ? "no colours" : `colour blocks: ${f.title[0].toLowerCase() === "q" ? f.title : f.title.toLowerCase()}`]),
    ...Object.values(LINES).map((l) => [l.key, `draw ${l.title.toLowerCase()}`]),
    ...Object.values(MODES).map(([title, key]) => [key, `compare: ${title.toLowerCase()}`]),
    ["g G", "gain up and down"], ["+ - z", "zoom in, out, whole picture"], ["[ ]", "second file a frame earlier or later"], ["Esc", "unlock the block"], ["?", "this list"]];
  const list = make("dl");
  for (const [key, text] of rows) list.append(make("div", {}, make("dt", {}, key), make("dd", {}, text)));
  const close = make("button", { className: "wide" }, "Close");
  close.addEventListener("click", () => $("help").close());
  return [make("h2", {}, "Keys"), list, make("p", { className: "soft" }, "Wheel or two fingers zoom, dragging moves, a click locks a block. From 26 pixels a sample its number is written in it. The address keeps the state: copy it to come back."), close];
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
  const x = clientX === undefined ? stage.width / 2 : clientX - stage.left, y = clientY === undefined ? stage.height / 2 : clientY - stage.top;
  const pane = app.panes.findLast((p) => x >= p.left && x < p.left + p.width) || app.panes[0];
  const px = clientX === undefined ? pane.left + pane.width / 2 : x;
  const scale = Math.max(0.1, Math.min(64, pane.scale * factor));
  const sx = (px - pane.x) / pane.scale, sy = (y - pane.y) / pane.scale;
  Object.assign(app.state, { zoom: scale, x: sx - (px - pane.left - pane.width / 2) / scale, y: sy - (y - pane.height / 2) / scale });
  app.toFragment();
  drawStage(app);
}

function pressed(app, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.target instanceof HTMLInputElement) return;
  const { key } = event, { state } = app, far = event.shiftKey ? 10 : 1;
  const gains = [1, 2, 4, 8, 16, 32], gain = gains.indexOf(state.gain);
  const acts = {
    ArrowRight: () => app.go(state.frame + far), ArrowLeft: () => app.go(state.frame - far), Home: () => app.go(app.from), End: () => app.go(app.to - 1),
    PageDown: () => keyJump(app, 1), PageUp: () => keyJump(app, -1), " ": () => play(app), "?": showHelp, Escape: () => app.set({ lock: "" }),
    "+": () => zoomBy(app, 1.5), "=": () => zoomBy(app, 1.5), "-": () => zoomBy(app, 1 / 1.5), z: () => app.set({ zoom: 0 }),
    g: () => app.set({ gain: gains[Math.min(gains.length - 1, gain + 1)] }), G: () => app.set({ gain: gains[Math.max(0, gain - 1)] }),
    "[": () => app.set({ offset: state.offset - 1 }), "]": () => app.set({ offset: state.offset + 1 }),
  };
  for (const [name, { key: k, other }] of Object.entries(VIEWS)) if (!other || app.files[1]) acts[k] = () => pickView(app, name);
  for (const [name, { key: k }] of Object.entries(FILLS)) acts[k] = () => app.set({ fill: state.fill === name ? "none" : name });
  for (const [name, { key: k }] of Object.entries(LINES)) acts[k] = () => toggleLine(app, name);
  for (const [name, [, k]] of Object.entries(MODES)) acts[k] = () => pickMode(app, name);
  if (!Object.hasOwn(acts, key)) return;
  event.preventDefault();
  acts[key]();
}

/** Luma sample of the coded picture under a pointer, and its pane. */
function sampleAt(app, event) {
  const stage = app.canvas.getBoundingClientRect(), x = event.clientX - stage.left, y = event.clientY - stage.top;
  const pane = app.panes.findLast((p) => x >= (p.cut ?? p.left) && x < p.left + p.width) || app.panes[0];
  const [height, width] = app.files[0].coded;
  const sx = Math.floor((x - pane.x) / pane.scale), sy = Math.floor((y - pane.y) / pane.scale);
  return sx >= 0 && sy >= 0 && sx < width && sy < height ? { x: sx, y: sy, pane, left: x, top: y } : null;
}

function showTip(app, at) {
  const tip = $("tip");
  tip.hidden = !at;
  if (!at) return;
  const shown = app.views[at.pane.view], values = shown ? valuesAt(shown, at.x, at.y) : [];
  const lines = [`${at.x}, ${at.y}   ${values.map(([n, v]) => `${n} ${v}`).join("  ")}`];
  if (app.blocks) {
    const type = app.blocks.type(at.x, at.y);
    lines.push([type, type !== "I_PCM" && `QP ${app.blocks.at("mb/qp_y", at.x, at.y)}`, app.blocks.named("tu/y", app.blocks.at("tu/y", at.x, at.y))].filter(Boolean).join("  "));
  }
  tip.replaceChildren(...lines.map((text) => make("div", {}, text)));
  const { clientWidth } = $("stage");
  tip.style.left = `${Math.min(at.left + 16, clientWidth - tip.offsetWidth - 6)}px`;
  tip.style.top = `${at.top > 80 ? at.top - tip.offsetHeight - 12 : at.top + 18}px`;
}

function listen(app) {
  const stage = $("stage"), fingers = new Map();
  let press = null;
  document.addEventListener("keydown", (e) => pressed(app, e));
  window.addEventListener("hashchange", () => app.set({ ...DEFAULTS, frame: app.from, ...app.fromFragment() }));
  new ResizeObserver(() => app.ready && app.blocks !== undefined && app.draw()).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.draw());
  stage.addEventListener("wheel", (e) => {
    e.preventDefault();
    zoomBy(app, Math.exp(-e.deltaY / 400), e.clientX, e.clientY);
  }, { passive: false });
  stage.addEventListener("pointerdown", (e) => {
    fingers.set(e.pointerId, e);
    stage.setPointerCapture(e.pointerId);
    press = { x: e.clientX, y: e.clientY, moved: fingers.size > 1, edge: e.target.closest("#edge") !== null };
  });
  stage.addEventListener("pointermove", (e) => moved(app, e, fingers, press));
  stage.addEventListener("pointerup", (e) => {
    fingers.delete(e.pointerId);
    if (press && !press.moved && !press.edge) {
      const at = sampleAt(app, e), lock = lockOf(app);
      const same = at && lock && (at.x >> 2) === (lock.x >> 2) && (at.y >> 2) === (lock.y >> 2);
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
    return zoomBy(app, apart() / Math.max(1, was), (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
  } else if (press?.moved) {
    const pane = app.panes[0];
    const middle = [(pane.left + pane.width / 2 - pane.x) / pane.scale, (pane.height / 2 - pane.y) / pane.scale];
    Object.assign(app.state, {
      zoom: pane.scale, x: middle[0] - (event.clientX - before.clientX) / pane.scale, y: middle[1] - (event.clientY - before.clientY) / pane.scale,
    });
  }
  app.toFragment();
  drawStage(app);
}

const app = new App();
app.start().catch((error) => app.say(`${error.message || error}`));
