// The page: state, what is loaded, what is drawn, keys and pointers.
"use strict";

const DEFAULTS = {
  frame: 0,
  view: "decoded",
  right: "prediction",
  plane: "colour",
  mode: "one",
  fill: "none",
  lines: "",
  gain: 4,
  alpha: 0.6,
  zoom: 0,
  x: 0,
  y: 0,
  lock: "",
  tab: "block",
  edge: 0.5,
  offset: 0,
  log: 1,
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
    this.codec = this.files[0].attrs.codec === "hevc" ? "hevc" : "h264";
    chooseCodec(this.codec);
    const [from, to] = this.about.range || [0, this.files[0].count];
    Object.assign(this, { from, to });
    const units = this.about.fields[FILLS.bits.from]?.[1] || "";
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
    for (const [name, known] of [
      ["view", VIEWS],
      ["right", VIEWS],
      ["fill", FILLS],
      ["mode", MODES],
      ["tab", TABS],
    ]) {
      if (name in found && !Object.hasOwn(known, found[name])) delete found[name];
    }
    if ("frame" in found)
      found.frame = Math.round(Math.max(this.from, Math.min(this.to - 1, found.frame)));
    return found;
  }

  /** Keep the state in the address, a moment later: browsers take their time over it. */
  toFragment() {
    clearTimeout(this.noting);
    this.noting = setTimeout(() => history.replaceState(null, "", `#${this.fragment()}`), 120);
  }

  fragment() {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(this.state)) {
      const text = typeof value === "number" ? `${Math.round(value * 1000) / 1000}` : value;
      if (value !== DEFAULTS[name]) query.set(name, text);
    }
    return query;
  }

  /** Change the state, then load and draw what that asks for. */
  set(changes) {
    Object.assign(this.state, changes);
    this.toFragment();
    if (Object.keys(changes).some((name) => name !== "frame")) refreshTools(this);
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
    const { state } = this,
      other = this.otherIndex(index);
    const views = state.mode === "one" ? [state.view] : [state.view, state.right];
    const groups = new Set(["0/maps"]);
    for (const view of views)
      for (const [file, group] of needed(view)) groups.add(`${file}/${group}`);
    if (all && state.lock)
      for (const group of ["decoded", "prediction", "residual", "level"]) groups.add(`0/${group}`);
    if (views.includes("other") && this.files[1]?.maps.length) groups.add("1/maps");
    const asked = [...groups].map((name) => [Number(name[0]), name.slice(2)]);
    return asked
      .filter(
        ([file, group]) =>
          this.files[file] &&
          (group === "maps"
            ? this.files[file].maps.length
            : this.files[file].groups.includes(group)),
      )
      .map(([file, group]) => [file, file ? other : index, group])
      .filter(([, k]) => k >= 0);
  }

  async load() {
    const step = ++this.step,
      index = this.state.frame,
      began = performance.now();
    const wanted = this.wanted(index, true);
    try {
      const arrays = await Promise.all(wanted.map((w) => this.store.frame(...w)));
      if (step !== this.step) return;
      const groups = Object.fromEntries(
        wanted.map(([file, , group], k) => [`${file}/${group}`, arrays[k]]),
      );
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
    const { enums } = this.about;
    this.blocks = blocksOf(index, this.files[0], this.maps, enums);
    this.otherBlocks = blocksOf(this.otherIndex(index), this.files[1], groups["1/maps"], enums);
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
    const key = `${this.state.plane} ${this.state.gain}`;
    if (!this.views[view]) return null;
    if (this.pictures[view]?.key !== key) {
      const canvas = drawView(view, this.views[view], this.state.plane, this.state.gain);
      this.pictures[view] = { key, canvas };
    }
    return this.pictures[view].canvas;
  }

  references() {
    const map = this.maps?.["motion/ref"];
    if (!map) return [];
    this.referencesOf ||= new WeakMap();
    if (!this.referencesOf.has(map))
      this.referencesOf.set(map, [...new Set(map.data)].filter((v) => v >= 0).slice(0, 32));
    return this.referencesOf.get(map);
  }

  async followCourse() {
    const { count } = this.files[0];
    for (let ended = false; !ended;) {
      const { meta, arrays } = await this.store
        .read(`course/0/${this.courseDone}`)
        .catch(() => ({ meta: { ended: true }, arrays: {} }));
      const part = Object.values(arrays)[0]?.data.length || 0;
      for (const [name, { data }] of Object.entries(arrays)) {
        (this.course[name] ||= new Float32Array(count)).set(
          data,
          this.courseDone || meta.first || 0,
        );
      }
      this.courseDone = (this.courseDone || meta.first || 0) + part;
      ended = meta.ended !== false;
      this.strip.draw();
      if (this.state.tab === "time") showPanel(this);
      if (!ended) await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  /** Least and greatest QP of the video as far as it is known; null: too little. */
  qpRange() {
    const { qp_low: low, qp_high: high } = this.course;
    if (!low || this.courseDone < Math.min(8, this.to - this.from)) return null;
    if (this.rangeAt === this.courseDone) return this.range;
    const done = [...Array(this.courseDone).keys()].slice(this.from);
    this.range = [
      done.reduce((a, k) => Math.min(a, low[k]), 99),
      done.reduce((a, k) => Math.max(a, high[k]), -99),
    ];
    this.rangeAt = this.courseDone;
    return this.range;
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

const app = new App();
app.start().catch((error) => app.say(`${error.message || error}`));
