// The panel: the block under the pointer or locked, the frame, the whole file.
"use strict";

function table(rows) {
  const body = make("tbody");
  for (const [name, value, note] of rows) {
    const cell = make("td", {}, value instanceof Node ? value : `${value}`);
    if (note) cell.append(make("span", { className: "soft" }, ` ${note}`));
    body.append(make("tr", {}, make("th", { scope: "row" }, name), cell));
  }
  return make("table", { className: "facts" }, body);
}

function swatch(colour, label) {
  const mark = make("i", { className: "swatch" });
  mark.style.background = colour;
  return make("span", { className: "key" }, mark, label);
}

const QUARTERS = (v) => (v / 4).toFixed(2).replace(/\.?0+$/, "") || "0";

/** All syntax of the block at a sample, as rows of a table. */
function syntaxOf(blocks, x, y) {
  const [row, column] = blocks.macroblock(x, y);
  const k = row * blocks.columns + column;
  const type = blocks.type(x, y);
  const rows = [
    ["Sample", `${x}, ${y}`],
    ["Macroblock", `${column}, ${row}`, `number ${k}`],
    ["Type", swatch(TYPE_COLOURS[type] || "#888", type)],
  ];
  if (type !== "I_PCM") {
    const change = blocks.changes()[k];
    rows.push([
      "QP luma",
      blocks.at("mb/qp_y", x, y),
      Number.isNaN(change) ? "first of its slice" : `${change > 0 ? "+" : ""}${change}`,
    ]);
    if (blocks.has("mb/qp_cb"))
      rows.push(["QP Cb, Cr", `${blocks.at("mb/qp_cb", x, y)}, ${blocks.at("mb/qp_cr", x, y)}`]);
  }
  rows.push(["Transform", blocks.named("tu/y", blocks.at("tu/y", x, y))]);
  const cbp = blocks.at("mb/cbp", x, y);
  if (cbp !== undefined)
    rows.push([
      "Coded blocks",
      `${cbp}`,
      `luma ${(cbp & 15).toString(2).padStart(4, "0")}, chroma ${cbp >> 4}`,
    ]);
  rows.push(["Slice", blocks.at("mb/slice", x, y)]);
  if (blocks.fields)
    rows.push(["Field", blocks.at("mb/field", x, y) ? (row & 1 ? "bottom" : "top") : "no"]);
  if (blocks.at("mb/concealed", x, y)) rows.push(["Concealed", "yes: invented by the decoder"]);
  return [
    ...rows,
    ...intraRows(blocks, x, y, type),
    ...motionRows(blocks, x, y),
    ...bitRows(blocks, x, y),
  ];
}

function intraRows(blocks, x, y, type) {
  const mode = blocks.at("intra/luma", x, y),
    chroma = blocks.at("intra/chroma", x, y);
  if (mode === undefined || mode < 0) return [];
  const names = type === "I_16x16" ? INTRA16 : INTRA4;
  const rows = [["Intra luma", mode, names[mode] || ""]];
  if (chroma >= 0) rows.push(["Intra chroma", chroma, INTRA_CHROMA[chroma] || ""]);
  return rows;
}

function motionRows(blocks, x, y) {
  const rows = [];
  for (const list of [0, 1]) {
    const reference = blocks.at("motion/ref", x, y, list);
    if (reference === undefined || reference === -1) continue;
    const vector = [0, 1].map((part) => blocks.at("motion/mv", x, y, list, part));
    const label = reference === -2 ? "not in this file" : `frame ${reference}`;
    rows.push([`List ${list}`, swatch(referenceColour(reference, blocks.index), label)]);
    rows.push([
      `Vector ${list}`,
      vector.map(QUARTERS).join(", "),
      `samples (${vector.join(", ")} quarters)`,
    ]);
  }
  return rows;
}

function bitRows(blocks, x, y) {
  const rows = [];
  for (const [path, name] of [
    ["mb/bits", "Bits"],
    ["cu/bits", "Bits"],
    ...Object.entries(BIT_KINDS).map(([p, n]) => [p, `Bits, ${n}`]),
    ["ctu/bits", "Bits, CTU"],
  ]) {
    const value = blocks.at(path, x, y);
    if (value !== undefined)
      rows.push([name, (value / app.bitUnit).toFixed(app.bitUnit > 1 ? 1 : 0)]);
  }
  return rows;
}

/** Displayed row of a row in macroblock order, in the column of macroblocks of `x`. */
function displayedRow(blocks, x, row) {
  const mb = Math.floor(row / 16),
    column = Math.floor(x / 16);
  if (!blocks.fields || !blocks.field.data[mb * blocks.columns + column]) return row;
  return (mb >> 1) * 32 + 2 * (row & 15) + (mb & 1);
}

function numbers(title, plane, blocks, { side, left, row }, tone) {
  const body = make("tbody");
  for (let y = 0; y < side; y++) {
    const line = make("tr");
    for (let x = 0; x < side; x++) {
      const at = displayedRow(blocks, left, row + y) * plane.shape[1] + left + x;
      const value = plane.data[at];
      line.append(
        make("td", { className: tone && value ? (value < 0 ? "below" : "above") : "" }, `${value}`),
      );
    }
    body.append(line);
  }
  return make(
    "figure",
    { className: `numbers side${side}` },
    make("figcaption", {}, title),
    make("table", {}, body),
  );
}

/** The block in numbers: levels, prediction + residual = before deblocking, decoded. */
function blockNumbers(blocks, x, y, views) {
  const whole = blocks.unit(x, y).side,
    unit = whole > 8 ? blocks.square(x, y, 3) : blocks.unit(x, y);
  const one = (title, view, tone) => {
    const plane = views[view]?.planes[0];
    return plane
      ? numbers(title, plane, blocks, unit, tone)
      : make("p", { className: "soft" }, `${title}: not in this file`);
  };
  const sum = make("div", { className: `sum side${unit.side}` });
  sum.append(
    one("Prediction", "prediction"),
    one("+ residual", "residual", true),
    one("= sum, clipped", "before"),
  );
  const rest = make("div", { className: `sum side${unit.side}` });
  rest.append(one(`Levels, ${whole}x${whole}`, "level", true), one("Decoded", "decoded"));
  const part = whole > 8 ? "8x8 samples of " : "";
  return [make("h3", {}, `Luma of ${part}the ${whole}x${whole} block`), sum, rest];
}

function bars(title, entries, colour) {
  const most = Math.max(1, ...entries.map(([, count]) => count));
  const total = entries.reduce((sum, [, count]) => sum + count, 0) || 1;
  const list = make("div", { className: "bars" });
  for (const [name, count] of entries) {
    const bar = make("i");
    bar.style.width = `${(100 * count) / most}%`;
    bar.style.background = colour(name);
    const share = (100 * count) / total;
    list.append(
      make("span", {}, name),
      make("div", {}, bar),
      make("b", {}, `${share < 10 ? share.toFixed(1) : share.toFixed(0)} %`),
    );
  }
  return [make("h3", {}, title), list];
}

function counted(data, name) {
  const counts = new Map();
  for (const v of data) counts.set(v, (counts.get(v) || 0) + 1);
  return [...counts].sort((a, b) => a[0] - b[0]).map(([v, n]) => [name(v), n]);
}

/** Histograms of a frame. */
function histograms(blocks) {
  const out = [],
    { maps, enums } = blocks;
  const named = (path) => (v) => blocks.named(path, v);
  out.push(
    ...bars(
      "Macroblock types",
      counted(maps["mb/type"].data, named("mb/type")),
      (n) => TYPE_COLOURS[n] || "#888",
    ),
  );
  if (maps["tu/y"]) {
    out.push(
      ...bars(
        "Transforms, 4x4 blocks",
        counted(maps["tu/y"].data, named("tu/y")),
        (n) => UNIT_COLOURS[n.replace("_bypass", "")] || "#888",
      ),
    );
  }
  const pcm = Number(Object.entries(enums["mb/type"]).find(([, n]) => n === "I_PCM")[0]);
  const qp = maps["mb/qp_y"].data.filter((_, k) => maps["mb/type"].data[k] !== pcm);
  out.push(
    ...bars(
      "QP luma",
      counted(qp, (v) => `${v}`),
      () => "var(--accent)",
    ),
  );
  return out;
}

/** What the file says of itself. */
function fileFacts(file) {
  const a = file.attrs,
    wanted = [
      "source",
      "codec",
      "profile_idc",
      "level_idc",
      "frame_rate",
      "encoder",
      "verified",
      "first_frame",
      "sample_aspect_ratio",
      "rotation",
      "davd_version",
      "version",
      "checkpoint",
    ];
  const rows = [
    ["File", file.name],
    ["Frames", file.count],
    ["Size", `${file.width} x ${file.height}`, `coded ${file.coded[1]} x ${file.coded[0]}`],
    ["Samples", `${file.chroma}, ${file.depth[0]} bit`],
    ["Colour", `${a.color_matrix}, ${a.color_range} range`],
    ["Planes", file.groups.join(", ") || "none"],
  ];
  for (const name of wanted)
    if (a[name] !== undefined && a[name] !== "") rows.push([name.replaceAll("_", " "), a[name]]);
  return table(rows);
}

const TABS = { block: "Block", frame: "Frame", time: "Over time", file: "File" };

function showPanel(app) {
  const panel = $("panel"),
    { tab } = app.state;
  for (const button of $("tabs").children)
    button.setAttribute("aria-selected", button.dataset.tab === tab);
  if (tab === "time") return app.curves.render(panel);
  if (tab === "file") return panel.replaceChildren(...app.files.map(fileFacts));
  if (!app.blocks)
    return panel.replaceChildren(
      make("p", { className: "soft" }, "Pictures alone: this file says nothing of blocks."),
    );
  if (tab === "frame")
    return panel.replaceChildren(table(frameFacts(app)), ...app.blocks.histograms());
  const lock = lockOf(app),
    at = lock || app.hover;
  if (!at)
    return panel.replaceChildren(
      make(
        "p",
        { className: "soft" },
        "Point at a block to see its syntax; click to lock it and see its numbers.",
      ),
    );
  const parts = [table(app.blocks.syntax(at.x, at.y))];
  if (lock) {
    const button = make("button", { className: "wide" }, "Unlock this block (Esc)");
    button.addEventListener("click", () => app.set({ lock: "" }));
    parts.unshift(button);
    parts.push(...blockNumbers(app.blocks, at.x, at.y, app.views));
  }
  panel.replaceChildren(...parts);
}

function frameFacts(app) {
  const k = app.state.frame,
    value = (name) => app.columns[`frames/${name}`]?.data[k];
  const type = app.about.enums["frames/picture_type"][value("picture_type")];
  const rows = [
    ["Frame", k, "in display order"],
    ["Type", swatch(FRAME_COLOURS[type] || "#888", type)],
    ["Decoded as", value("decode_order")],
    ["Time", `${value("time")?.toFixed(3)} s`],
    ["PicOrderCnt", value("poc")],
    [app.codec === "hevc" ? "IRAP picture" : "IDR picture", value("keyframe") ? "yes" : "no"],
  ];
  const hash = app.about.enums["frames/hash"]?.[value("hash")];
  if (hash) rows.push(["Picture hash", hash.toLowerCase()]);
  for (const name of ["bytes", "bits"])
    rows.push([
      name[0].toUpperCase() + name.slice(1),
      (value(name) ?? (app.course[name]?.[k] || undefined))?.toLocaleString("en") ??
        "not in this file",
    ]);
  const refers = app.references();
  rows.push([
    "Refers to",
    app.maps["motion/ref"]
      ? refers.toSorted((a, b) => a - b).join(", ") || "none"
      : "not in this file",
  ]);
  if (value("concealed") || app.course.concealed?.[k])
    rows.push(["Concealed", "in part: invented by the decoder"]);
  if (app.took) rows.push(["Shown in", `${app.took.toFixed(0)} ms`]);
  return rows;
}

function showWhere(app) {
  const k = app.state.frame,
    time = app.columns["frames/time"]?.data[k];
  const type =
    app.about.enums["frames/picture_type"]?.[app.columns["frames/picture_type"]?.data[k]] || "";
  $("where").textContent =
    `frame ${k} of ${app.files[0].count}${type ? `, ${type}` : ""}${time === undefined ? "" : `, ${time.toFixed(2)} s`}`;
}
