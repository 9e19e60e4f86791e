// Colours over the blocks, by one of their values.
"use strict";

/** What fills the blocks: {colour(k) -> pixel of map entry k, map, list, legend}. */
function fillOf(name, blocks, options) {
  const { from } = FILLS[name];
  const map = blocks.maps[from];
  if (name === "none" || !map) return null;
  const make = blocks.hevc ? HEVC_MAKE : H264_MAKE;
  return { map, from, list: name === "ref1" ? 1 : 0, ...make[name](blocks, map, options, name) };
}

const H264_MAKE = {
  type: typeFill,
  tu: unitFill,
  qp: qpFill,
  delta: changeFill,
  bits: bitsFill,
  kinds: kindFill,
  ref0: referenceFill,
  ref1: referenceFill,
  intra: intraFill,
  skip: skipFill,
  slice: sliceFill,
  field: flagFill,
  concealed: flagFill,
};

function coded(colours, names) {
  const pixels = {};
  for (const [value, label] of Object.entries(names))
    if (colours[label]) pixels[value] = pixel(rgba(colours[label]));
  return pixels;
}

function present(map, names, colours) {
  const found = new Set(map.data);
  return Object.entries(names)
    .filter(([v]) => found.has(Number(v)))
    .map(([, n]) => [n, colours(n)])
    .filter(([, c]) => c);
}

function typeFill(blocks, map) {
  const pixels = coded(TYPE_COLOURS, blocks.enums["mb/type"]);
  return {
    colour: (k) => pixels[map.data[k]] || 0,
    legend: present(map, blocks.enums["mb/type"], (n) => TYPE_COLOURS[n]),
  };
}

function unitFill(blocks, map) {
  const colour = (name) => UNIT_COLOURS[name.replace("_bypass", "")];
  const names = blocks.enums["tu/y"];
  const pixels = Object.fromEntries(
    Object.entries(names).map(([v, n]) => [v, colour(n) ? pixel(rgba(colour(n))) : 0]),
  );
  return { colour: (k) => pixels[map.data[k]] || 0, legend: present(map, names, colour) };
}

function scaleFill(values, low, high, scale, unit, every) {
  const table = RAMPS[scale],
    span = Math.max(high - low, 1e-9);
  const colour = (k) =>
    Number.isNaN(values[k])
      ? 0
      : table[Math.max(0, Math.min(255, Math.round((255 * (every(values[k]) - low)) / span)))];
  return { colour, scale, low, high, unit };
}

function qpFill(blocks, map, { qpRange }) {
  const pcm = Object.entries(blocks.enums["mb/type"]).find(([, n]) => n === "I_PCM")[0];
  const values = Float32Array.from(map.data, (v, k) =>
    blocks.maps["mb/type"].data[k] == pcm ? NaN : v,
  );
  const real = values.filter((v) => !Number.isNaN(v));
  const ends = [
    real.reduce((a, b) => Math.min(a, b), 51),
    real.reduce((a, b) => Math.max(a, b), -99),
  ];
  const [low, high] = qpRange || ends;
  return scaleFill(values, low, Math.max(high, low + 1), "qp", "QP", (v) => v);
}

function changeFill(blocks) {
  const values = blocks.changes();
  let most = 2;
  for (const v of values) if (Math.abs(v) > most) most = Math.abs(v);
  return scaleFill(values, -most, most, "change", "QP", (v) => v);
}

function bitsFill(blocks, map, { logBits, bitUnit }) {
  const every = logBits ? (v) => Math.log2(1 + v / bitUnit) : (v) => v / bitUnit;
  let most = 1;
  for (const v of map.data) most = Math.max(most, every(v));
  const shown = logBits ? (v) => 2 ** v - 1 : undefined;
  return {
    ...scaleFill(map.data, 0, most, "heat", logBits ? "bits, logarithmic" : "bits", every),
    shown,
  };
}

function kindFill(blocks) {
  const kinds = Object.keys(BIT_KINDS).filter((path) => blocks.has(path));
  const colours = kinds.map((path) => pixel(rgba(KIND_COLOURS[BIT_KINDS[path]])));
  const values = kinds.map((path) => blocks.maps[path].data);
  const colour = (k) => {
    let best = 0;
    for (let n = 1; n < values.length; n++) if (values[n][k] > values[best][k]) best = n;
    return values[best][k] ? colours[best] : 0;
  };
  return {
    colour,
    legend: kinds.map((path) => [`most for ${BIT_KINDS[path]}`, KIND_COLOURS[BIT_KINDS[path]]]),
  };
}

function referenceFill(blocks, map, options, name) {
  const pixels = new Map(),
    half = map.data.length / 2,
    first = name === "ref1" ? half : 0;
  for (const v of new Set(map.data.subarray(first, first + half))) {
    pixels.set(v, v === -1 ? 0 : pixel(rgba(referenceColour(v, blocks.index))));
  }
  const legend = [...pixels.keys()]
    .filter((v) => v !== -1)
    .sort((a, b) => a - b)
    .map((v) => [v === -2 ? "not in this file" : `frame ${v}`, referenceColour(v, blocks.index)]);
  return { colour: (k) => pixels.get(map.data[k]) || 0, legend };
}

function intraFill(blocks, map) {
  const pixels = SERIES.map((c) => pixel(rgba(c)));
  const ninth = pixel(rgba("#c0c4cc"));
  const found = new Set(map.data);
  const legend = INTRA4.map((n, v) => [`${v} ${n}`, SERIES[v] || "#c0c4cc"]).filter((_, v) =>
    found.has(v),
  );
  return { colour: (k) => (map.data[k] < 0 ? 0 : pixels[map.data[k]] || ninth), legend };
}

function skipFill(blocks, map) {
  const names = blocks.enums["mb/type"],
    on = pixel(rgba("#8b93a7"));
  const skipped = new Set(
    Object.entries(names)
      .filter(([, n]) => n.endsWith("_Skip"))
      .map(([v]) => Number(v)),
  );
  return { colour: (k) => (skipped.has(map.data[k]) ? on : 0), legend: [["skipped", "#8b93a7"]] };
}

function sliceFill(blocks, map, options, name) {
  const pixels = SERIES.map((c) => pixel(rgba(c)));
  const found = [...new Set(map.data)].sort((a, b) => a - b);
  return {
    colour: (k) => pixels[map.data[k] & 7],
    legend: found.slice(0, 12).map((v) => [`${name} ${v}`, SERIES[v & 7]]),
  };
}

function flagFill(blocks, map, options, name) {
  const on = pixel(rgba(name === "field" ? "#a98bf5" : "#e5484d"));
  return {
    colour: (k) => (map.data[k] ? on : 0),
    legend: [
      [
        name === "field" ? "field macroblock" : "concealed",
        name === "field" ? "#a98bf5" : "#e5484d",
      ],
    ],
  };
}

/** A canvas with one pixel per block; with fields, one row per displayed row. */
function fillCanvas(fill, blocks) {
  const { height, width, place } = blocks.cells(fill);
  const out = new Uint32Array(height * width);
  for (let y = 0, k = 0; y < height; y++)
    for (let x = 0; x < width; x++, k++) out[k] = fill.colour(place(y, x));
  const canvas = make("canvas", { width, height });
  canvas
    .getContext("2d")
    .putImageData(new ImageData(new Uint8ClampedArray(out.buffer), width, height), 0, 0);
  return canvas;
}
