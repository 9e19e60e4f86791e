// The stage: panes, zoom, overlays, legend.
"use strict";

/** Places of the panes in the stage, and the view in each. */
function layPanes(app) {
  const width = app.canvas.clientWidth,
    height = app.canvas.clientHeight,
    { mode, view, right } = app.state;
  const half = Math.floor(width / 2);
  if (mode === "side")
    return [
      { view, left: 0, width: half - 1, height },
      { view: right, left: half + 1, width: width - half - 1, height },
    ];
  const whole = { view, left: 0, width, height };
  if (mode === "wipe") return [whole, { ...whole, view: right, cut: app.state.edge * width }];
  return [whole];
}

/** Scale (CSS pixels a sample) and place of the coded picture in a pane. */
function placeIn(app, pane) {
  const { width, height, left, top } = app.files[0],
    { state } = app;
  const fit = Math.min(pane.width / width, pane.height / height) * 0.98;
  const scale = state.zoom || (fit > 1 ? Math.max(1, fit) : fit);
  const cx = state.zoom ? state.x : left + width / 2,
    cy = state.zoom ? state.y : top + height / 2;
  return { scale, x: pane.left + pane.width / 2 - cx * scale, y: pane.height / 2 - cy * scale };
}

function drawStage(app) {
  const { canvas } = app,
    ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  const context = canvas.getContext("2d");
  app.panes = layPanes(app);
  const missing = [];
  for (const pane of app.panes) {
    context.save();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.beginPath();
    context.rect(
      pane.cut ?? pane.left,
      0,
      pane.cut === undefined ? pane.width : pane.width - pane.cut,
      pane.height,
    );
    context.clip();
    if (pane.cut !== undefined) context.clearRect(pane.cut, 0, pane.width, pane.height);
    if (!drawPane(app, context, pane, ratio)) missing.push(pane);
    context.restore();
  }
  showTags(app, missing);
  showLegend(app);
}

function drawPane(app, context, pane, ratio) {
  const { scale, x, y } = placeIn(app, pane),
    shown = app.views[pane.view];
  Object.assign(pane, { scale, x, y });
  const blocks = pane.view === "other" ? app.otherBlocks : app.blocks,
    at = shown?.at || [0, 0];
  const box = [
    (pane.left - x) / scale,
    -y / scale,
    (pane.left + pane.width - x) / scale,
    (pane.height - y) / scale,
  ];
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
  const { state } = app,
    [height, width] = blocks.file.coded;
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
  for (const name of state.lines
    .split(",")
    .filter((n) => Object.hasOwn(LINES, n) && blocks.has(LINES[n].from))) {
    context.lineWidth = Math.max(1, Math.min(2, scale / 6)) / scale;
    (blocks.hevc ? HEVC_DRAW : DRAW)[name](context, blocks, box);
  }
}

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
  const which = Math.max(0, PLANE_NAMES.indexOf(app.state.plane)),
    plane = shown.planes[Math.min(which, shown.planes.length - 1)];
  const down = shown.file.coded[0] / plane.shape[0],
    across = shown.file.coded[1] / plane.shape[1];
  context.font = `${Math.min(13, scale / 3) / scale}px ui-monospace, monospace`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 2.5 / scale;
  context.strokeStyle = "#000a";
  context.fillStyle = "#fff";
  const first = (v, at, step) => Math.max(0, Math.floor((v - at) / step));
  for (
    let y = first(box[1], shown.at[1], down);
    y < plane.shape[0] && y * down + shown.at[1] < box[3];
    y++
  ) {
    for (
      let x = first(box[0], shown.at[0], across);
      x < plane.shape[1] && x * across + shown.at[0] < box[2];
      x++
    ) {
      const text = `${plane.data[y * plane.shape[1] + x]}`,
        px = (x + 0.5) * across + shown.at[0],
        py = (y + 0.5) * down + shown.at[1];
      context.strokeText(text, px, py);
      context.fillText(text, px, py);
    }
  }
}

function lockOf(app) {
  const [x, y] = app.state.lock.split(",").map(Number);
  const [height, width] = app.files[0].coded;
  return app.state.lock && x >= 0 && y >= 0 && x < width && y < height
    ? { x: Math.floor(x), y: Math.floor(y) }
    : null;
}

function drawLock(app, context, scale) {
  const lock = lockOf(app);
  if (!lock || !app.blocks) return;
  context.lineWidth = 2.5 / scale;
  context.strokeStyle = "#ff2d78";
  context.strokeRect(...app.blocks.outline(lock.x, lock.y));
  context.lineWidth = 1.5 / scale;
  context.strokeStyle = "#fff";
  context.strokeRect(...app.blocks.unitOutline(lock.x, lock.y));
}

function showTags(app, missing) {
  const { mode } = app.state,
    { left, right } = { left: $("left-tag"), right: $("right-tag") };
  const title = (view) =>
    view === "other" && app.files[1] ? app.files[1].name : VIEWS[view].title;
  const absent = (view) => missing.some((pane) => pane.view === view);
  const why = (view) => {
    if (!absent(view)) return "";
    if (!stored(view, app.files))
      return needed(view).some(([f]) => f && !app.files[f])
        ? ": no second file"
        : ": not in this file";
    return needed(view).some(([f]) => f) ? ": no such frame, or another size" : ": cannot be shown";
  };
  left.textContent = title(app.state.view) + why(app.state.view);
  right.textContent = title(app.state.right) + why(app.state.right);
  right.hidden = mode === "one";
  $("edge").hidden = mode !== "wipe";
  $("edge").style.left = `${100 * app.state.edge}%`;
}

function showLegend(app) {
  const legend = $("legend"),
    { filled, state } = app;
  legend.replaceChildren();
  if (state.fill !== "none" && !app.blocks?.has(FILLS[state.fill].from)) {
    legend.append(
      make("span", { className: "soft" }, `${FILLS[state.fill].title}: not in this file`),
    );
    return;
  }
  if (!filled || state.fill === "none") return;
  const { fill } = filled;
  if (fill.scale) {
    const bar = make("i", { className: "scale" });
    bar.style.background = `linear-gradient(to right, ${SCALES[fill.scale].join(",")})`;
    const text = (v) => Number((fill.shown ? fill.shown(v) : v).toFixed(1)).toString();
    legend.append(
      make("span", {}, text(fill.low)),
      bar,
      make("span", {}, `${text(fill.high)} ${fill.unit}`),
    );
  } else for (const [name, colour] of fill.legend || []) legend.append(swatch(colour, name));
}
