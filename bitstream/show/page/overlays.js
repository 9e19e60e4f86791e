// What is laid over the picture: a colour per block, lines, arrows; all from the maps of a frame.
"use strict";

/**
 * One frame of a file with all that is known of its blocks. Positions are luma samples of the coded
 * picture as displayed; maps are in macroblock order, which differs where macroblocks are fields.
 */
class Blocks {
  constructor(index, file, maps, enums) {
    Object.assign(this, { index, file, maps, enums });
    this.rows = file.coded[0] / 16;
    this.columns = file.coded[1] / 16;
    this.field = maps["mb/field"];
    this.fields = hasFields(this.field);
    this.names = enums["mb/type"];
  }

  has(path) {
    return path in this.maps;
  }

  /** Row and column of the macroblock at a sample, in map order. */
  macroblock(x, y) {
    return [Math.floor(this.row(x, y) / 16), Math.floor(x / 16)];
  }

  /** Row in macroblock order of a displayed sample. */
  row(x, y) {
    return this.fields ? orderedRow(y, Math.floor(x / 16), this.field, 16) : y;
  }

  /** Value of a map at a sample; `list` for motion, `part` for one axis of a vector. */
  at(path, x, y, list = 0, part = 0) {
    const map = this.maps[path];
    if (!map) return undefined;
    const motion = path.startsWith("motion/");
    const [rows, columns] = motion ? map.shape.slice(1) : map.shape;
    const row = Math.floor((this.row(x, y) * rows) / this.file.coded[0]);
    const column = Math.floor((x * columns) / this.file.coded[1]);
    const place = (list * rows + row) * columns + column;
    return map.data[map.shape.length > 3 ? 2 * place + part : place];
  }

  named(path, value) {
    return (this.enums[path] && this.enums[path][value]) ?? `${value}`;
  }

  type(x, y) {
    return this.named("mb/type", this.at("mb/type", x, y));
  }

  /** A displayed rectangle of rows of a macroblock: [top, height]. A field's rows lie two apart. */
  span(row, inside, height) {
    if (!this.fields || !this.field.data[row * this.columns + this.column]) return [row * 16 + inside, height];
    return [(row >> 1) * 32 + 2 * inside, 2 * height];
  }

  /** QP less that of the macroblock before it in its slice; NaN for the first, and for PCM. */
  changes() {
    if (this.changed) return this.changed;
    const { data } = this.maps["mb/qp_y"], slice = this.maps["mb/slice"].data, types = this.maps["mb/type"].data;
    const last = new Map();
    this.changed = new Float32Array(data.length).fill(NaN);
    for (const k of this.order()) {
      if (this.named("mb/type", types[k]) === "I_PCM") continue;
      if (last.has(slice[k])) this.changed[k] = data[k] - last.get(slice[k]);
      last.set(slice[k], data[k]);
    }
    return this.changed;
  }

  /** Numbers of the macroblocks as they follow each other in the stream. */
  *order() {
    const all = this.fields && this.field.data.every((v) => v);
    if (!this.fields) for (let k = 0; k < this.rows * this.columns; k++) yield k;
    else if (all) {
      for (const parity of [0, 1]) {
        for (let row = parity; row < this.rows; row += 2) {
          for (let c = 0; c < this.columns; c++) yield row * this.columns + c;
        }
      }
    } else {
      for (let row = 0; row < this.rows; row += 2) {
        for (let c = 0; c < this.columns; c++) {
          yield row * this.columns + c;
          if (row + 1 < this.rows) yield (row + 1) * this.columns + c;
        }
      }
    }
  }
}

/** What fills the blocks: {colour(k) -> pixel of map entry k, map, list, legend}. */
function fillOf(name, blocks, options) {
  const { from } = FILLS[name];
  const map = blocks.maps[from];
  if (name === "none" || !map) return null;
  const make = { type: typeFill, tu: unitFill, qp: qpFill, delta: changeFill, bits: bitsFill, kinds: kindFill,
    ref0: referenceFill, ref1: referenceFill, intra: intraFill, skip: skipFill, slice: sliceFill,
    field: flagFill, concealed: flagFill }[name];
  return { map, from, list: name === "ref1" ? 1 : 0, ...make(blocks, map, options, name) };
}

function coded(colours, names) {
  const pixels = {};
  for (const [value, label] of Object.entries(names)) if (colours[label]) pixels[value] = pixel(rgba(colours[label]));
  return pixels;
}

function present(map, names, colours) {
  const found = new Set(map.data);
  return Object.entries(names).filter(([v]) => found.has(Number(v))).map(([, n]) => [n, colours(n)]).filter(([, c]) => c);
}

function typeFill(blocks, map) {
  const pixels = coded(TYPE_COLOURS, blocks.enums["mb/type"]);
  return { colour: (k) => pixels[map.data[k]] || 0, legend: present(map, blocks.enums["mb/type"], (n) => TYPE_COLOURS[n]) };
}

function unitFill(blocks, map) {
  const colour = (name) => UNIT_COLOURS[name.replace("_bypass", "")];
  const names = blocks.enums["tu/y"];
  const pixels = Object.fromEntries(Object.entries(names).map(([v, n]) => [v, colour(n) ? pixel(rgba(colour(n))) : 0]));
  return { colour: (k) => pixels[map.data[k]] || 0, legend: present(map, names, colour) };
}

function scaleFill(values, low, high, scale, unit, every) {
  const table = RAMPS[scale], span = Math.max(high - low, 1e-9);
  const colour = (k) => (Number.isNaN(values[k]) ? 0 : table[Math.max(0, Math.min(255, Math.round((255 * (every(values[k]) - low)) / span)))]);
  return { colour, scale, low, high, unit };
}

function qpFill(blocks, map, { qpRange }) {
  const pcm = Object.entries(blocks.enums["mb/type"]).find(([, n]) => n === "I_PCM")[0];
  const values = Float32Array.from(map.data, (v, k) => (blocks.maps["mb/type"].data[k] == pcm ? NaN : v));
  const real = values.filter((v) => !Number.isNaN(v));
  const [low, high] = qpRange || [Math.min(...real), Math.max(...real)];
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
  return { ...scaleFill(map.data, 0, most, "heat", logBits ? "bits, logarithmic" : "bits", every), shown };
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
  return { colour, legend: kinds.map((path) => [`most for ${BIT_KINDS[path]}`, KIND_COLOURS[BIT_KINDS[path]]]) };
}

function referenceFill(blocks, map, options, name) {
  const pixels = new Map(), half = map.data.length / 2, first = name === "ref1" ? half : 0;
  for (const v of new Set(map.data.subarray(first, first + half))) {
    pixels.set(v, v === -1 ? 0 : pixel(rgba(referenceColour(v, blocks.index))));
  }
  const legend = [...pixels.keys()].filter((v) => v !== -1).sort((a, b) => a - b)
    .map((v) => [v === -2 ? "not in this file" : `frame ${v}`, referenceColour(v, blocks.index)]);
  return { colour: (k) => pixels.get(map.data[k]) || 0, legend };
}

function intraFill(blocks, map) {
  const pixels = SERIES.map((c) => pixel(rgba(c)));
  const ninth = pixel(rgba("#c0c4cc"));
  const found = new Set(map.data);
  const legend = INTRA4.map((n, v) => [`${v} ${n}`, SERIES[v] || "#c0c4cc"]).filter((_, v) => found.has(v));
  return { colour: (k) => (map.data[k] < 0 ? 0 : pixels[map.data[k]] || ninth), legend };
}

function skipFill(blocks, map) {
  const names = blocks.enums["mb/type"], on = pixel(rgba("#8b93a7"));
  const skipped = new Set(Object.entries(names).filter(([, n]) => n.endsWith("_Skip")).map(([v]) => Number(v)));
  return { colour: (k) => (skipped.has(map.data[k]) ? on : 0), legend: [["skipped", "#8b93a7"]] };
}

function sliceFill(blocks, map) {
  const pixels = SERIES.map((c) => pixel(rgba(c)));
  const found = [...new Set(map.data)].sort((a, b) => a - b);
  return { colour: (k) => pixels[map.data[k] & 7], legend: found.slice(0, 12).map((v) => [`slice ${v}`, SERIES[v & 7]]) };
}

function flagFill(blocks, map, options, name) {
  const on = pixel(rgba(name === "field" ? "#a98bf5" : "#e5484d"));
  return { colour: (k) => (map.data[k] ? on : 0), legend: [[name === "field" ? "field macroblock" : "concealed", name === "field" ? "#a98bf5" : "#e5484d"]] };
}

/** A canvas with one pixel per block; with fields, one row per displayed row. */
function fillCanvas(fill, blocks) {
  const { map, list } = fill;
  const [rows, columns] = fill.from.startsWith("motion/") ? map.shape.slice(1) : map.shape;
  const height = blocks.fields ? blocks.file.coded[0] : rows;
  const side = blocks.file.coded[0] / rows, across = blocks.file.coded[1] / columns;
  const out = new Uint32Array(height * columns);
  for (let y = 0, k = 0; y < height; y++) {
    for (let x = 0; x < columns; x++, k++) {
      const row = blocks.fields ? Math.floor(blocks.row(x * across, y) / side) : y;
      out[k] = fill.colour((list * rows + row) * columns + x);
    }
  }
  const canvas = make("canvas", { width: columns, height });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(out.buffer), columns, height), 0, 0);
  return canvas;
}

function grid(width, height) {
  const parts = [];
  for (let y = 0; y < 16; y += height) for (let x = 0; x < 16; x += width) parts.push([x, y, width, height]);
  return parts;
}

const WHOLE = grid(16, 16), QUARTERED = grid(8, 8), FOURS = grid(4, 4);
const GRIDS = { 4: FOURS, 8: QUARTERED, 16: WHOLE };
const PARTS = { I_4x4: FOURS, I_8x8: QUARTERED, P_16x8: grid(16, 8), B_16x8: grid(16, 8), P_8x16: grid(8, 16), B_8x16: grid(8, 16) };

/** Parts of a macroblock as [x, y, width, height] inside it. */
function partsOf(blocks, row, column) {
  const name = blocks.names[blocks.maps["mb/type"].data[row * blocks.columns + column]];
  if (PARTS[name]) return PARTS[name];
  if (name === "P_8x8" || name === "B_8x8") return smallParts(blocks, row, column, QUARTERED);
  return name === "B_Direct" || name === "B_Skip" ? smallParts(blocks, row, column, WHOLE) : WHOLE;
}

/** Parts of which only the vectors tell: 8x8, or 4x4 where they differ inside; `usual` if none do. */
function smallParts(blocks, row, column, usual) {
  const { maps } = blocks;
  if (!maps["motion/mv"]) return usual;
  const wide = blocks.columns * 4, mv = new Int32Array(maps["motion/mv"].data.buffer, maps["motion/mv"].data.byteOffset, maps["motion/mv"].data.length / 2);
  const ref = maps["motion/ref"].data, list = wide * blocks.rows * 4, place = row * 4 * wide + column * 4;
  const same = (a, b) => mv[a] === mv[b] && mv[list + a] === mv[list + b];
  const small = [0, 2].flatMap((y) => [0, 2].map((x) => place + y * wide + x));
  const split = small.map((a) => !(same(a, a + 1) && same(a, a + wide) && same(a, a + wide + 1)));
  if (!split.includes(true) && usual === QUARTERED) return QUARTERED;
  const half = blocks.columns * 2, other = half * blocks.rows * 2, corner = row * 2 * half + column * 2;
  const alike = [1, half, half + 1].every((d) => ref[corner] === ref[corner + d] && ref[other + corner] === ref[other + corner + d]);
  if (!split.includes(true) && alike && small.every((a) => same(a, small[0]))) return usual;
  return QUARTERED.flatMap(([x, y, w, h], k) => (split[k] ? [[x, y, 4, 4], [x + 4, y, 4, 4], [x, y + 4, 4, 4], [x + 4, y + 4, 4, 4]] : [[x, y, w, h]]));
}

/** Run over the macroblocks that are at least partly inside a box of luma samples. */
function* seen(blocks, [left, top, right, bottom]) {
  const first = Math.max(0, Math.floor(top / 32) * 2), last = Math.min(blocks.rows, 2 * Math.ceil(bottom / 32));
  for (let row = first; row < last; row++) {
    for (let column = Math.max(0, Math.floor(left / 16)); column < Math.min(blocks.columns, Math.ceil(right / 16)); column++) {
      blocks.column = column;
      yield [row, column];
    }
  }
}

const DRAW = {
  grid(context, blocks, box) {
    strokeRects(context, blocks, box, () => WHOLE, "#ffffff55");
  },
  parts(context, blocks, box) {
    strokeRects(context, blocks, box, (row, column) => partsOf(blocks, row, column), "#ffffffb0");
  },
  units(context, blocks, box) {
    const kinds = Object.entries(blocks.enums["tu/y"]), { data } = blocks.maps["tu/y"], wide = blocks.columns * 4;
    for (const [kind, side] of [["4x4", 4], ["8x8", 8], ["intra16x16", 16], ["pcm", 16]]) {
      const values = kinds.filter(([, n]) => n.replace("_bypass", "") === kind).map(([v]) => Number(v));
      const is = (row, column, x, y) => values.includes(data[(row * 4 + y / 4) * wide + column * 4 + x / 4]);
      const parts = (row, column) => GRIDS[side].filter(([x, y]) => is(row, column, x, y));
      strokeRects(context, blocks, box, parts, UNIT_COLOURS[kind]);
    }
  },
  mv0: (context, blocks, box) => vectors(context, blocks, box, 0),
  mv1: (context, blocks, box) => vectors(context, blocks, box, 1),
  modes(context, blocks, box) {
    const path = new Path2D(), dots = new Path2D(), { data } = blocks.maps["intra/luma"];
    for (const [row, column] of seen(blocks, box)) {
      const type = blocks.named("mb/type", blocks.maps["mb/type"].data[row * blocks.columns + column]);
      const side = { I_4x4: 4, I_8x8: 8, I_16x16: 16 }[type];
      if (!side) continue;
      for (const [x, y] of GRIDS[side]) {
        const mode = data[(row * 4 + y / 4) * blocks.columns * 4 + column * 4 + x / 4];
        const line = side === 16 ? [[0, 1], [1, 0], null, null][mode] : DIRECTIONS[mode];
        const [top, height] = blocks.span(row, y, side);
        const cx = column * 16 + x + side / 2, cy = top + height / 2;
        if (!line) dots.rect(cx - side / 10, cy - side / 10, side / 5, side / 5);
        else {
          const scale = (side * 0.4) / Math.max(Math.abs(line[0]), Math.abs(line[1]));
          path.moveTo(cx - line[0] * scale, cy - line[1] * scale);
          path.lineTo(cx + line[0] * scale, cy + line[1] * scale);
        }
      }
    }
    context.strokeStyle = context.fillStyle = "#ffe169";
    context.stroke(path);
    context.fill(dots);
  },
};

function strokeRects(context, blocks, box, parts, colour) {
  const path = new Path2D();
  for (const [row, column] of seen(blocks, box)) {
    for (const [x, y, width, height] of parts(row, column)) {
      const [top, tall] = blocks.span(row, y, height);
      path.rect(column * 16 + x, top, width, tall);
    }
  }
  context.strokeStyle = colour;
  context.stroke(path);
}

/** A line from the middle of each part to where its samples come from, by colour of the reference. */
function vectors(context, blocks, box, list) {
  const paths = new Map();
  const mv = blocks.maps["motion/mv"].data, ref = blocks.maps["motion/ref"].data;
  for (const [row, column] of seen(blocks, box)) {
    for (const [x, y, width, height] of partsOf(blocks, row, column)) {
      const r = row * 4 + y / 4, c = column * 4 + x / 4;
      const reference = ref[(list * blocks.rows * 2 + (r >> 1)) * blocks.columns * 2 + (c >> 1)];
      if (reference === -1) continue;
      const place = 2 * ((list * blocks.rows * 4 + r) * blocks.columns * 4 + c);
      const [top, tall] = blocks.span(row, y, height);
      const cx = column * 16 + x + width / 2, cy = top + tall / 2, stretch = tall / height;
      const path = paths.get(reference) || paths.set(reference, new Path2D()).get(reference);
      path.moveTo(cx, cy);
      path.lineTo(cx + mv[place] / 4, cy + (mv[place + 1] / 4) * stretch);
      path.rect(cx - 0.6, cy - 0.6, 1.2, 1.2);
    }
  }
  for (const [reference, path] of paths) {
    context.strokeStyle = referenceColour(reference, blocks.index);
    context.stroke(path);
  }
}
