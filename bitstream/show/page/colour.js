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
function colourPixels(out, file, planes) {
  const [luma, cb, cr] = planes,
    [height, width] = luma.shape;
  const [ys, bs, rs] = colourTables(file),
    add = 64 * CLAMP + 32;
  if (!cb || !cr) {
    const pixels = Uint32Array.from(ys[1], (v) => grey(CLAMPED[(v + add) >> 6]));
    for (let k = 0; k < out.length; k++) out[k] = pixels[luma.data[k]];
    return;
  }
  const right = width / cb.shape[1] > 1.5 ? 2 : 1;
  const down = height / cb.shape[0] > 1.5 ? 1 : 0;
  const alike = ys[0].every((v, k) => v === ys[1][k] && v === ys[2][k]);
  const row = alike ? mixAlike : mixApart;
  for (let k = 0; k < height; k++) {
    row(out, k * width, width, luma.data, cb.data, cr.data, (k >> down) * cb.shape[1], right);
  }

  /** A row where luma adds the same to all three, as it does but for GBR. */
  function mixAlike(pixels, first, count, y, cbs, crs, chroma, step) {
    const [br, bg, bb] = bs,
      [rr, rg, rb] = rs,
      shade = ys[0];
    for (let k = first, c = chroma, end = first + count; k < end; c++) {
      const b = cbs[c],
        r = crs[c];
      const red = br[b] + rr[r] + add,
        green = bg[b] + rg[r] + add,
        blue = bb[b] + rb[r] + add;
      let v = shade[y[k]];
      pixels[k++] =
        -16777216 |
        (CLAMPED[(v + blue) >> 6] << 16) |
        (CLAMPED[(v + green) >> 6] << 8) |
        CLAMPED[(v + red) >> 6];
      if (step === 1 || k === end) continue;
      v = shade[y[k]];
      pixels[k++] =
        -16777216 |
        (CLAMPED[(v + blue) >> 6] << 16) |
        (CLAMPED[(v + green) >> 6] << 8) |
        CLAMPED[(v + red) >> 6];
    }
  }

  function mixApart(pixels, first, count, y, cbs, crs, chroma, step) {
    for (let n = 0; n < count; n++) {
      const k = first + n,
        c = chroma + Math.floor(n / step);
      const mix = (colour) =>
        CLAMPED[(ys[colour][y[k]] + bs[colour][cbs[c]] + rs[colour][crs[c]] + add) >> 6];
      pixels[k] = pixel([mix(0), mix(1), mix(2)]);
    }
  }
}

function grey(v) {
  return (0xff000000 | (v << 16) | (v << 8) | v) >>> 0;
}

/** Pixels of one plane in grey. */
function greyPixels(out, plane, depth) {
  const pixels = Uint32Array.from({ length: 2 ** depth }, (_, v) => grey(v >> (depth - 8)));
  for (let k = 0; k < out.length; k++) out[k] = pixels[plane.data[k]];
}

const SIGNED = ramp(["#b9dcff", "#3f8cff", "#173a80", "#0e1016", "#7a2b10", "#ff6a2b", "#ffe1b8"]);

let signedTable = { gain: 0, pixels: null };

/** Pixels of signed values: nothing is dark, below zero is blue, above is orange. */
function signedPixels(out, data, gain) {
  if (signedTable.gain !== gain) {
    const pixels = Uint32Array.from({ length: 65536 }, (_, k) => {
      const v = (k < 32768 ? k : k - 65536) * gain;
      return SIGNED[v <= -128 ? 0 : v >= 127 ? 255 : Math.trunc(v + 128)];
    });
    signedTable = { gain, pixels };
  }
  const { pixels } = signedTable;
  for (let k = 0; k < out.length; k++) out[k] = pixels[data[k] & 65535];
}
