// Lines over the picture: partitions, transform units, vectors, directions.
"use strict";

function grid(width, height) {
  const parts = [];
  for (let y = 0; y < 16; y += height)
    for (let x = 0; x < 16; x += width) parts.push([x, y, width, height]);
  return parts;
}

const WHOLE = grid(16, 16),
  QUARTERED = grid(8, 8),
  FOURS = grid(4, 4);
const GRIDS = { 4: FOURS, 8: QUARTERED, 16: WHOLE };
const PARTS = {
  I_4x4: FOURS,
  I_8x8: QUARTERED,
  P_16x8: grid(16, 8),
  B_16x8: grid(16, 8),
  P_8x16: grid(8, 16),
  B_8x16: grid(8, 16),
};

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
  const wide = blocks.columns * 4,
    mv = new Int32Array(
      maps["motion/mv"].data.buffer,
      maps["motion/mv"].data.byteOffset,
      maps["motion/mv"].data.length / 2,
    );
  const ref = maps["motion/ref"].data,
    list = wide * blocks.rows * 4,
    place = row * 4 * wide + column * 4;
  const same = (a, b) => mv[a] === mv[b] && mv[list + a] === mv[list + b];
  const small = [0, 2].flatMap((y) => [0, 2].map((x) => place + y * wide + x));
  const split = small.map((a) => !(same(a, a + 1) && same(a, a + wide) && same(a, a + wide + 1)));
  if (!split.includes(true) && usual === QUARTERED) return QUARTERED;
  const half = blocks.columns * 2,
    other = half * blocks.rows * 2,
    corner = row * 2 * half + column * 2;
  const alike = [1, half, half + 1].every(
    (d) => ref[corner] === ref[corner + d] && ref[other + corner] === ref[other + corner + d],
  );
  if (!split.includes(true) && alike && small.every((a) => same(a, small[0]))) return usual;
  return QUARTERED.flatMap(([x, y, w, h], k) =>
    split[k]
      ? [
          [x, y, 4, 4],
          [x + 4, y, 4, 4],
          [x, y + 4, 4, 4],
          [x + 4, y + 4, 4, 4],
        ]
      : [[x, y, w, h]],
  );
}

/** Run over the macroblocks that are at least partly inside a box of luma samples. */
function* seen(blocks, [left, top, right, bottom]) {
  const first = Math.max(0, Math.floor(top / 32) * 2),
    last = Math.min(blocks.rows, 2 * Math.ceil(bottom / 32));
  for (let row = first; row < last; row++) {
    for (
      let column = Math.max(0, Math.floor(left / 16));
      column < Math.min(blocks.columns, Math.ceil(right / 16));
      column++
    ) {
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
    const kinds = Object.entries(blocks.enums["tu/y"]),
      { data } = blocks.maps["tu/y"],
      wide = blocks.columns * 4;
    for (const [kind, side] of [
      ["4x4", 4],
      ["8x8", 8],
      ["intra16x16", 16],
      ["pcm", 16],
    ]) {
      const values = kinds
        .filter(([, n]) => n.replace("_bypass", "") === kind)
        .map(([v]) => Number(v));
      const is = (row, column, x, y) =>
        values.includes(data[(row * 4 + y / 4) * wide + column * 4 + x / 4]);
      const parts = (row, column) => GRIDS[side].filter(([x, y]) => is(row, column, x, y));
      strokeRects(context, blocks, box, parts, UNIT_COLOURS[kind]);
    }
  },
  mv0: (context, blocks, box) => vectors(context, blocks, box, 0),
  mv1: (context, blocks, box) => vectors(context, blocks, box, 1),
  modes(context, blocks, box) {
    const path = new Path2D(),
      dots = new Path2D(),
      { data } = blocks.maps["intra/luma"];
    for (const [row, column] of seen(blocks, box)) {
      const type = blocks.named(
        "mb/type",
        blocks.maps["mb/type"].data[row * blocks.columns + column],
      );
      const side = { I_4x4: 4, I_8x8: 8, I_16x16: 16 }[type];
      if (!side) continue;
      for (const [x, y] of GRIDS[side]) {
        const mode = data[(row * 4 + y / 4) * blocks.columns * 4 + column * 4 + x / 4];
        const line = side === 16 ? [[0, 1], [1, 0], null, null][mode] : DIRECTIONS[mode];
        const [top, height] = blocks.span(row, y, side);
        const cx = column * 16 + x + side / 2,
          cy = top + height / 2;
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
  const mv = blocks.maps["motion/mv"].data,
    ref = blocks.maps["motion/ref"].data;
  for (const [row, column] of seen(blocks, box)) {
    for (const [x, y, width, height] of partsOf(blocks, row, column)) {
      const r = row * 4 + y / 4,
        c = column * 4 + x / 4;
      const reference = ref[(list * blocks.rows * 2 + (r >> 1)) * blocks.columns * 2 + (c >> 1)];
      if (reference === -1) continue;
      const place = 2 * ((list * blocks.rows * 4 + r) * blocks.columns * 4 + c);
      const [top, tall] = blocks.span(row, y, height);
      const cx = column * 16 + x + width / 2,
        cy = top + tall / 2,
        stretch = tall / height;
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
