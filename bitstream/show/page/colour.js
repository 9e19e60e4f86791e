// Planes as pixels: YCbCr to RGB, signed differences, grey.
"use strict";

/** Pixels of y, cb, cr as a player would colour them; chroma samples are repeated, not smoothed. */
function colourPixels(file, planes) {
  const [luma, cb, cr] = planes;
  const [height, width] = luma.shape;
  const out = new Uint32Array(width * height);
  const tables = colourTables(file);
  if (!cb || !cr) {
    for (let k = 0; k < out.length; k++) out[k] = grey(tables.clamp[tables.luma[luma.data[k]] + CLAMP]);
    return out;
  }
  const right = width / cb.shape[1] > 1.5 ? 1 : 0;
  const down = height / cb.shape[0] > 1.5 ? 1 : 0;
  if (file.matrix === "gbr") return planarPixels(out, luma, cb, cr, tables);
  const { clamp, luma: ys, red, greenB, greenR, blue } = tables;
  for (let y = 0, k = 0; y < height; y++) {
    const row = (y >> down) * cb.shape[1];
    for (let x = 0; x < width; x++, k++) {
      const c = row + (x >> right), v = ys[luma.data[k]] + CLAMP, b = cb.data[c], r = cr.data[c];
      out[k] = 0xff000000 | (clamp[v + blue[b]] << 16) | (clamp[v + greenB[b] + greenR[r]] << 8) | clamp[v + red[r]];
    }
  }
  return out;
}

function planarPixels(out, g, b, r, { clamp, luma }) {
  const value = (plane, k) => clamp[luma[plane.data[k]] + CLAMP];
  for (let k = 0; k < out.length; k++) out[k] = pixel([value(r, k), value(g, k), value(b, k)]);
  return out;
}

function grey(v) {
  return (0xff000000 | (v << 16) | (v << 8) | v) >>> 0;
}

const CLAMP = 1024; // what may be added below 0 before the clamping table ends
const tableCache = new Map();

/** What each code adds to red, green and blue, 0..255, by range, depth and weights of the matrix. */
function colourTables(file) {
  const key = JSON.stringify([file.depth, file.full, file.weights]);
  if (tableCache.has(key)) return tableCache.get(key);
  const [kr, kb] = file.weights, kg = 1 - kr - kb;
  const table = (depth, scale) => Int16Array.from({ length: 2 ** Math.max(depth, 8) }, (_, v) => Math.round(scale(v / 2 ** (depth - 8))));
  const chroma = (v) => ((v - 128) * 255) / (file.full ? 255 : 224);
  const made = {
    clamp: Uint8ClampedArray.from({ length: 3 * CLAMP + 256 }, (_, v) => v - CLAMP),
    luma: table(file.depth[0], (v) => (file.full ? v : ((v - 16) * 255) / 219)),
    red: table(file.depth[1], (v) => 2 * (1 - kr) * chroma(v)),
    blue: table(file.depth[1], (v) => 2 * (1 - kb) * chroma(v)),
    greenB: table(file.depth[1], (v) => (-2 * kb * (1 - kb) * chroma(v)) / kg),
    greenR: table(file.depth[1], (v) => (-2 * kr * (1 - kr) * chroma(v)) / kg),
  };
  tableCache.set(key, made);
  return made;
}

/** Pixels of one plane in grey. */
function greyPixels(plane, depth) {
  const shift = depth - 8;
  return Uint32Array.from(plane.data, (v) => grey(v >> shift));
}

const SIGNED = ramp(["#b9dcff", "#3f8cff", "#173a80", "#0e1016", "#7a2b10", "#ff6a2b", "#ffe1b8"]);

let signedTable = { gain: 0, pixels: null };

/** Pixels of signed values: nothing is dark, below zero is blue, above is orange. */
function signedPixels(data, gain) {
  if (signedTable.gain !== gain) {
    const pixels = Uint32Array.from({ length: 65536 }, (_, k) => {
      const v = (k < 32768 ? k : k - 65536) * gain;
      return SIGNED[v <= -128 ? 0 : v >= 127 ? 255 : Math.trunc(v + 128)];
    });
    signedTable = { gain, pixels };
  }
  const { pixels } = signedTable, out = new Uint32Array(data.length);
  for (let k = 0; k < out.length; k++) out[k] = pixels[data[k] & 65535];
  return out;
}
