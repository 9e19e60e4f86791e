// One view of one frame: its pixels and its numbers.
"use strict";

const PLANE_NAMES = ["y", "cb", "cr"];

/** Groups of arrays that a view needs, as [file, group]. */
function needed(view) {
  const { needs, other } = VIEWS[view];
  return [...needs.map((group) => [0, group]), ...(other ? [[1, "decoded"]] : [])];
}

/** Whether a view can be had from the files at all. */
function stored(view, files) {
  return needed(view).every(([file, group]) => files[file] && files[file].groups.includes(group));
}

function planesOf(arrays, group) {
  return PLANE_NAMES.map((name) => arrays[`${group}/${name}`]).filter(Boolean);
}

/**
 * Planes of a view as {planes, at, file}: numbers in display rows; `at` is where their first sample
 * lies in the coded picture of the first file. Null where something is missing.
 */
function viewPlanes(view, files, groups, field) {
  const planes = (file, group) => planesOf(groups[`${file}/${group}`] || {}, group);
  const own = { at: [0, 0], file: files[0] };
  let found;
  if (view === "before")
    found = sums(planes(0, "prediction"), planes(0, "residual"), files[0].depth);
  else if (view === "level")
    found = planes(0, "level").map((plane) => displayRows(plane, field, files[0]));
  else if (view === "difference")
    found = differences(files, planes(0, "decoded"), planes(1, "decoded"));
  else if (view === "other") {
    own.file = files[1];
    own.at = [files[0].left - files[1].left, files[0].top - files[1].top];
    found = planes(1, "decoded");
  } else found = planes(0, view);
  return found && found.length ? { ...own, planes: found } : null;
}

function sums(predictions, residuals, depth) {
  if (predictions.length !== residuals.length) return null;
  return predictions.map((plane, which) => {
    const top = 2 ** depth[which ? 1 : 0] - 1,
      other = residuals[which].data;
    return {
      shape: plane.shape,
      data: plane.data.map((v, k) => Math.min(top, Math.max(0, v + other[k]))),
    };
  });
}

/** Second file less first, where both show something; samples are brought to the first's depth. */
function differences(files, first, second) {
  const [one, two] = files;
  if (!two || one.width !== two.width || one.height !== two.height || !first.length) return null;
  return first.slice(0, second.length).map((plane, which) => {
    const other = second[which],
      [h, w] = plane.shape,
      out = new Int32Array(h * w);
    const down = one.coded[0] / h,
      across = one.coded[1] / w;
    const scale = 2 ** (one.depth[which ? 1 : 0] - two.depth[which ? 1 : 0]);
    const dy = Math.round((two.top - one.top) / down),
      dx = Math.round((two.left - one.left) / across);
    const [oh, ow] = other.shape;
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        if (y + dy < 0 || y + dy >= oh || x + dx < 0 || x + dx >= ow) continue;
        out[y * w + x] = other.data[(y + dy) * ow + x + dx] * scale - plane.data[y * w + x];
      }
    }
    return { shape: plane.shape, data: out };
  });
}

/** Whether any macroblock of a frame is a field macroblock. */
function hasFields(field) {
  return Boolean(field && field.data.some((v) => v));
}

/** Row of a plane in macroblock order that display row `y` of macroblock column `column` is in. */
function orderedRow(y, column, field, side) {
  const pair = Math.floor(y / (2 * side));
  const [rows, columns] = field.shape;
  if (2 * pair + 1 >= rows || !field.data[2 * pair * columns + column]) return y;
  const inside = y - pair * 2 * side;
  return (2 * pair + (inside & 1)) * side + (inside >> 1);
}

/** A plane in macroblock order (levels) in the rows in which it is displayed. */
function displayRows(plane, field, file) {
  if (!hasFields(field)) return plane;
  const [height, width] = plane.shape;
  const side = 16 * (height / file.coded[0]),
    across = 16 * (width / file.coded[1]);
  const data = new plane.data.constructor(plane.data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x += across) {
      const from = orderedRow(y, x / across, field, side) * width + x;
      data.set(plane.data.subarray(from, from + across), y * width + x);
    }
  }
  return { shape: plane.shape, data };
}

const surfaces = new Map(); // view -> {canvas, image, pixels}: making them anew costs the most

/** Where the pixels of a view are drawn; kept while its size stays. */
function surfaceOf(view, [height, width]) {
  const found = surfaces.get(view);
  if (found && found.canvas.width === width && found.canvas.height === height) return found;
  const canvas = make("canvas", { width, height });
  const image = new ImageData(width, height);
  const made = { canvas, image, pixels: new Uint32Array(image.data.buffer) };
  surfaces.set(view, made);
  return made;
}

/** A canvas with the pixels of a view, until the next call for it. `plane`: colour, y, cb or cr. */
function drawView(view, shown, plane, gain) {
  const which = Math.max(0, PLANE_NAMES.indexOf(plane));
  const one = shown.planes[Math.min(which, shown.planes.length - 1)];
  const depth = shown.file.depth[which ? 1 : 0],
    { signed } = VIEWS[view];
  const coloured = plane === "colour" && !signed;
  const { canvas, image, pixels } = surfaceOf(view, coloured ? shown.planes[0].shape : one.shape);
  if (signed) signedPixels(pixels, one.data, (gain * signed) / 2 ** (depth - 8));
  else if (coloured) colourPixels(pixels, shown.file, shown.planes);
  else greyPixels(pixels, one, depth);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** The numbers of a view at a luma sample of the coded picture: [[name, value], ...]. */
function valuesAt(shown, x, y) {
  const [height, width] = shown.planes[0].shape;
  const lx = x - shown.at[0],
    ly = y - shown.at[1];
  if (lx < 0 || ly < 0 || lx >= width || ly >= height) return [];
  return shown.planes.map((plane, which) => {
    const row = Math.min(plane.shape[0] - 1, Math.floor((ly * plane.shape[0]) / height));
    const column = Math.min(plane.shape[1] - 1, Math.floor((lx * plane.shape[1]) / width));
    return [["Y", "Cb", "Cr"][which], plane.data[row * plane.shape[1] + column]];
  });
}
