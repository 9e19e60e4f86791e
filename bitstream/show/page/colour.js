// Planes as pixels: YCbCr to RGB, signed differences, grey.
"use strict";

const CLAMP = 1024; // how far below 0 and above 255 the clamping table reaches
const CLAMPED = Uint8ClampedArray.from({ length: 2 * CLAMP + 256 }, (_, v) => v - CLAMP);
const tableCache = new WeakMap();

/** What each code of each plane adds to red, green and blue, 0..255, in 1/64: tables[plane][colour]. */
function colourTables(file) {
  if (!tableCache.has(file)) {
    const { matrix, offset } = file.rgb;
    tableCache.set(
      file,
      [0, 1, 2].map((plane) => {
        const codes = 2 ** file.depth[plane ? 1 : 0];
        const share = (v, colour) => matrix[colour][plane] * (v / (codes - 1) - offset[plane]);
        return [0, 1, 2].map((colour) =>
          Int32Array.from({ length: codes }, (_, v) => Math.round(64 * 255 * share(v, colour))),
        );
      }),
    );
  }
  return tableCache.get(file);
}

/** Pixels of y, cb, cr as a player would colour them; chroma samples are repeated, not smoothed. */
function colourPixels(file, planes) {
  const [luma, cb, cr] = planes,
    [height, width] = luma.shape;
  const [ys, bs, rs] = colourTables(file),
    add = 64 * CLAMP + 32;
  const out = new Uint32Array(width * height);
  if (!cb || !cr) {
    const pixels = Uint32Array.from(ys[1], (v) => grey(CLAMPED[(v + add) >> 6]));
    for (let k = 0; k < out.length; k++) out[k] = pixels[luma.data[k]];
    return out;
  }
  const [yr, yg, yb] = ys,
    [br, bg, bb] = bs,
    [rr, rg, rb] = rs,
    y = luma.data;
  const right = width / cb.shape[1] > 1.5 ? 2 : 1,
    down = height / cb.shape[0] > 1.5 ? 1 : 0;
  for (let row = 0, k = 0; row < height; row++) {
    for (let c = (row >> down) * cb.shape[1], end = (row + 1) * width; k < end; c++) {
      const b = cb.data[c],
        r = cr.data[c];
      const red = br[b] + rr[r] + add,
        green = bg[b] + rg[r] + add,
        blue = bb[b] + rb[r] + add;
      for (let n = 0; n < right && k < end; n++, k++) {
        const v = y[k];
        out[k] =
          0xff000000 |
          (CLAMPED[(yb[v] + blue) >> 6] << 16) |
          (CLAMPED[(yg[v] + green) >> 6] << 8) |
          CLAMPED[(yr[v] + red) >> 6];
      }
    }
  }
  return out;
}

function grey(v) {
  return (0xff000000 | (v << 16) | (v << 8) | v) >>> 0;
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
  const { pixels } = signedTable,
    out = new Uint32Array(data.length);
  for (let k = 0; k < out.length; k++) out[k] = pixels[data[k] & 65535];
  return out;
}
