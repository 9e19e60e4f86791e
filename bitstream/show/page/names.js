// Names and colours: views, overlays, values of the maps.
"use strict";

const VIEWS = {
  decoded: { key: "1", title: "Decoded", needs: ["decoded"], text: "what a player shows" },
  prediction: {
    key: "2",
    title: "Prediction",
    needs: ["prediction"],
    text: "before the residual is added",
  },
  residual: {
    key: "3",
    title: "Residual",
    needs: ["residual"],
    signed: 1,
    text: "what was sent on top of the prediction",
  },
  before: {
    key: "4",
    title: "Before deblocking",
    needs: ["prediction", "residual"],
    text: "prediction + residual, clipped",
  },
  level: {
    key: "5",
    title: "Levels",
    needs: ["level"],
    signed: 16,
    text: "coefficients as they are coded",
  },
  difference: {
    key: "6",
    title: "Difference",
    needs: ["decoded"],
    other: true,
    signed: 1,
    text: "second file less decoded",
  },
  other: {
    key: "7",
    title: "Second file",
    needs: [],
    other: true,
    text: "the file to compare with",
  },
};

// Fill: a colour per block. `from` names the map, for both codecs or by codec.
const FILLS = {
  none: { key: "0", title: "None" },
  type: {
    key: "t",
    title: { h264: "Type", hevc: "Mode" },
    from: { h264: "mb/type", hevc: "cu/mode" },
  },
  size: { key: "h", title: "Size", from: { hevc: "cu/size" } },
  part: { key: "y", title: "Partition", from: { hevc: "cu/part" } },
  tu: { key: "u", title: "Transform", from: { h264: "tu/y", hevc: "tu/kind" } },
  tusize: { key: "j", title: "Transform size", from: { hevc: "tu/size" } },
  qp: { key: "q", title: "QP", from: { h264: "mb/qp_y", hevc: "qp/y" } },
  delta: { key: "d", title: "QP change", from: { h264: "mb/qp_y" } },
  bits: { key: "b", title: "Bits", from: { h264: "mb/bits", hevc: "cu/bits" } },
  kinds: { key: "B", title: "Bits by kind", from: "bits/luma" },
  ref0: { key: "r", title: "Reference 0", from: "motion/ref" },
  ref1: { key: "R", title: "Reference 1", from: "motion/ref" },
  intra: { key: "i", title: "Intra mode", from: "intra/luma" },
  skip: {
    key: "k",
    title: { h264: "Skip", hevc: "Skip, merge" },
    from: { h264: "mb/type", hevc: "pu/merge" },
  },
  sao: { key: "a", title: "SAO", from: { hevc: "ctu/sao" } },
  slice: { key: "s", title: "Slice", from: { h264: "mb/slice", hevc: "ctu/slice" } },
  tile: { key: "f", title: "Tile", from: { hevc: "ctu/tile" } },
  field: { key: "f", title: "Field", from: { h264: "mb/field" } },
  concealed: {
    key: "c",
    title: "Concealed",
    from: { h264: "mb/concealed", hevc: "ctu/concealed" },
  },
};
const LINES = {
  grid: {
    key: "x",
    title: { h264: "Macroblocks", hevc: "Coding tree" },
    from: { h264: "mb/type", hevc: "ctu/bits" },
  },
  parts: {
    key: "p",
    title: { h264: "Partitions", hevc: "Coding units" },
    from: { h264: "mb/type", hevc: "cu/size" },
  },
  units: { key: "U", title: "Transform units", from: { h264: "tu/y", hevc: "tu/size" } },
  mv0: { key: "v", title: "Vectors 0", from: "motion/mv" },
  mv1: { key: "V", title: "Vectors 1", from: "motion/mv" },
  modes: { key: "I", title: "Intra directions", from: "intra/luma" },
};

/** Leave in the tables what a codec has. */
function chooseCodec(codec) {
  for (const entries of [FILLS, LINES]) {
    for (const [name, entry] of Object.entries(entries)) {
      if (entry.title[codec]) entry.title = entry.title[codec];
      if (typeof entry.from !== "object") continue;
      if (entry.from[codec]) entry.from = entry.from[codec];
      else delete entries[name];
    }
  }
}

const BIT_KINDS = {
  "bits/type": "type",
  "bits/motion": "motion",
  "bits/luma": "luma",
  "bits/chroma": "chroma",
  "bits/qp": "QP",
};

const FRAME_COLOURS = { I: "#e5484d", P: "#4a8cf0", B: "#3fb68b" };
const TYPE_COLOURS = {
  I_4x4: "#f0484e",
  I_8x8: "#f58a3c",
  I_16x16: "#f7c843",
  I_PCM: "#a855f7",
  P_Skip: "#5a6478",
  P_16x16: "#2f6fe0",
  P_16x8: "#4f95f5",
  P_8x16: "#57b7f7",
  P_8x8: "#6fe0f5",
  B_Skip: "#4b6a5e",
  B_Direct: "#7a9a4a",
  B_16x16: "#1f9d6b",
  B_16x8: "#3cc48a",
  B_8x16: "#7adba8",
  B_8x8: "#c3f0cf",
};
const UNIT_COLOURS = { "4x4": "#ff5d8f", "8x8": "#3bceac", intra16x16: "#ffd23f", pcm: "#8b5cf6" };
const SERIES = [
  "#4a8cf0",
  "#f58a3c",
  "#3fb68b",
  "#e5484d",
  "#a98bf5",
  "#e6c229",
  "#4fc4cf",
  "#f279b2",
];
const KIND_COLOURS = {
  type: "#8a94a8",
  motion: "#4a8cf0",
  luma: "#f0b429",
  chroma: "#d65db1",
  QP: "#3fb68b",
};

const INTRA4 = [
  "vertical",
  "horizontal",
  "DC",
  "diagonal down left",
  "diagonal down right",
  "vertical right",
  "horizontal down",
  "vertical left",
  "horizontal up",
];
const INTRA16 = ["vertical", "horizontal", "DC", "plane"];
const INTRA_CHROMA = ["DC", "horizontal", "vertical", "plane"];
// Direction of each 4x4 or 8x8 mode as x, y of a line through the block; null: no direction.
const DIRECTIONS = [
  [0, 1],
  [1, 0],
  null,
  [-1, 1],
  [1, 1],
  [0.5, 1],
  [1, 0.5],
  [-0.5, 1],
  [1, -0.5],
];

const SCALES = {
  heat: ["#0b1030", "#3b1d6e", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf"],
  qp: ["#2a1a6b", "#2f5fa8", "#1f9e89", "#8fcf46", "#f4e02c"],
  change: ["#2f6fe0", "#8fb4f2", "#00000000", "#f2b08f", "#e0532f"],
};

function rgba(hex) {
  const part = (k) => parseInt(hex.slice(k, k + 2), 16);
  return [part(1), part(3), part(5), hex.length > 7 ? part(7) : 255];
}

/** A colour as the number that one pixel of ImageData is in a little-endian Uint32Array. */
function pixel([r, g, b, a = 255]) {
  return ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** 256 pixels along a scale. */
function ramp(stops) {
  const colours = stops.map(rgba);
  return Uint32Array.from({ length: 256 }, (_, k) => {
    const place = (k / 255) * (colours.length - 1);
    const low = Math.min(Math.floor(place), colours.length - 2);
    const mix = (c) =>
      Math.round(colours[low][c] + (colours[low + 1][c] - colours[low][c]) * (place - low));
    return pixel([mix(0), mix(1), mix(2), mix(3)]);
  });
}

const RAMPS = Object.fromEntries(
  Object.entries(SCALES).map(([name, stops]) => [name, ramp(stops)]),
);

/** Colour of a reference frame: by its distance in display order, so that it stays from frame to frame. */
function referenceColour(reference, frame) {
  if (reference === -2) return "#ffffff";
  const away = reference - frame;
  return SERIES[(away < 0 ? 2 * (-away - 1) : 2 * away - 1) & 7];
}

/** Make an element: tag, properties, children. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
