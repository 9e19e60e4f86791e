// The tools above the stage: views, planes, colours, lines, comparing, saving, playing.
"use strict";

function choice(box, label, entries, chosen, pick) {
  const focused = [...box.children].indexOf(document.activeElement),
    scrolled = box.scrollLeft;
  box.replaceChildren(make("span", { className: "label" }, label));
  for (const [value, { title, key, off, text }] of entries) {
    const button = make(
      "button",
      { title: [text, key && `key ${key}`, off].filter(Boolean).join(", ") },
      title,
    );
    button.setAttribute("aria-pressed", chosen(value));
    if (off) button.classList.add("off");
    button.addEventListener("click", () => pick(value));
    box.append(button);
  }
  if (focused >= 0) box.children[focused]?.focus({ preventScroll: true });
  box.scrollLeft = scrolled;
  const pressed = box.querySelector('[aria-pressed="true"]'),
    right = pressed && pressed.offsetLeft + pressed.offsetWidth - box.offsetLeft;
  if (
    pressed &&
    (right > box.scrollLeft + box.clientWidth ||
      pressed.offsetLeft - box.offsetLeft < box.scrollLeft)
  )
    box.scrollLeft = right - box.clientWidth + 24;
}

function buildTools(app) {
  const button = (text, title, act) => {
    const made = make("button", { title, ariaLabel: title }, text);
    made.addEventListener("click", act);
    return made;
  };
  $("transport").append(
    button("|\u2039", "First frame (Home)", () => app.go(app.from)),
    button("\u2039", "Frame before (left arrow)", () => app.go(app.state.frame - 1)),
    button("\u25b6", "Play and stop (space)", () => play(app)),
    button("\u203a", "Next frame (right arrow)", () => app.go(app.state.frame + 1)),
    button("\u203a|", "Last frame (End)", () => app.go(app.to - 1)),
  );
  $("actions").append(
    button("PNG", "What is seen, as a picture", savePicture),
    button("CSV", "Blocks in sight, samples, or frames, as a table", () => saveTable(app)),
    button("\u25d0", "Dark or light", toggleTheme),
    button("?", "Keys and help (?)", () => showHelp()),
  );
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
  const title = ({ title: text }, name) =>
    name === "other" && files[1]?.kind === "restored" ? "Restored" : text;
  const views = Object.entries(VIEWS)
    .map(([name, v]) => [
      name,
      { ...v, title: title(v, name), off: stored(name, files) ? "" : "not in this file" },
    ])
    .filter(([, v]) => !v.other || files[1]);
  choice(
    $("views"),
    "View",
    views,
    (v) => v === state.view || (state.mode !== "one" && v === state.right),
    (v) => pickView(app, v),
  );
  choice(
    $("planes"),
    "Plane",
    [
      ["colour", { title: "Colour" }],
      ["y", { title: "Y" }],
      ["cb", { title: "Cb" }],
      ["cr", { title: "Cr" }],
    ].slice(0, files[0].chroma === "4:0:0" ? 2 : 4),
    (v) => v === state.plane,
    (v) => app.set({ plane: v }),
  );
  const signed = [state.view, state.mode === "one" ? state.view : state.right].some(
    (v) => VIEWS[v].signed,
  );
  $("gains").hidden = !signed;
  choice(
    $("gains"),
    "Gain",
    [1, 2, 4, 8, 16, 32].map((g) => [g, { title: `${g}x`, key: "g, G" }]),
    (v) => v === state.gain,
    (v) => app.set({ gain: v }),
  );
  choice(
    $("modes"),
    "Compare",
    Object.entries(MODES).map(([m, [title, key]]) => [m, { title, key }]),
    (v) => v === state.mode,
    (v) => pickMode(app, v),
  );
  const has = (map) => !map || files[0].maps.includes(map);
  const off = ({ from }) => (has(from) ? "" : "not in this file");
  choice(
    $("fills"),
    "Colour",
    Object.entries(FILLS).map(([n, f]) => [n, { ...f, off: off(f) }]),
    (v) => v === state.fill,
    (v) => app.set({ fill: v }),
  );
  if (state.fill !== "none") $("fills").append(alphaSlider(app));
  if (state.fill === "bits")
    choice(
      $("fills").appendChild(make("span", { className: "group" })),
      "",
      [
        [1, { title: "log" }],
        [0, { title: "linear" }],
      ],
      (v) => v === state.log,
      (v) => app.set({ log: v }),
    );
  const lines = state.lines.split(",");
  choice(
    $("lines"),
    "Lines",
    Object.entries(LINES).map(([n, l]) => [n, { ...l, off: off(l) }]),
    (v) => lines.includes(v),
    (v) => toggleLine(app, v),
  );
  if (app.blocks === null) for (const id of ["fills", "lines"]) $(id).hidden = true;
}

function alphaSlider(app) {
  const slider = make("input", {
    type: "range",
    min: 0.1,
    max: 1,
    step: 0.05,
    value: app.state.alpha,
    title: "How strong",
    ariaLabel: "How strong",
  });
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
  app.set(
    mode !== "one" &&
      ((state.mode === "one" && state.right === DEFAULTS.right) || state.right === state.view)
      ? { mode, right }
      : { mode },
  );
}

function saveTable(app) {
  const pane = app.panes[0],
    shown = app.views[pane.view];
  if (app.state.tab === "time") save(fileName("frames.csv"), csv(frameRows()));
  else if (pane.scale >= 26 && shown) {
    const which = Math.max(0, PLANE_NAMES.indexOf(app.state.plane));
    const plane = shown.planes[Math.min(which, shown.planes.length - 1)];
    save(
      fileName(`${pane.view}.csv`),
      csv(sampleRows(plane, pane.box, shown.at, shown.file.coded)),
    );
  } else if (app.blocks) save(fileName("blocks.csv"), csv(app.blocks.rowsOf(pane.box)));
  else save(fileName("frames.csv"), csv(frameRows()));
}

function toggleTheme() {
  const root = document.documentElement,
    dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  app.draw();
}

async function play(app) {
  app.playing = !app.playing;
  const rate = String(app.files[0].attrs.frame_rate || "25/1")
    .split("/")
    .map(Number);
  const wait = Math.max(10, (1000 * (rate[1] || 1)) / rate[0]) || 40;
  while (app.playing && app.state.frame < app.to - 1) {
    const began = performance.now();
    await app.go(app.state.frame + 1);
    await new Promise((resolve) =>
      setTimeout(resolve, Math.max(0, wait - performance.now() + began)),
    );
  }
  app.playing = false;
}
