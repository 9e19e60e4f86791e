// The blocks of an HEVC frame: coding, prediction and transform units.
"use strict";

const CU_COLOURS = { SKIP: "#5a6478", INTER: "#2f6fe0", INTRA: "#f0484e", PCM: "#a855f7" };
const KIND_OF_UNIT = { dct: "#3bceac", dst: "#ff5d8f", skip: "#ffd23f", bypass: "#8b5cf6" };
const SIZE_COLOURS = { 2: "#ff5d8f", 3: "#3bceac", 4: "#ffd23f", 5: "#4aa3f0", 6: "#7a86a0" };
const PART_COLOURS = {
  PART_2NxN: "#4f95f5",
  PART_Nx2N: "#57b7f7",
  PART_NxN: "#f0484e",
  PART_2NxnU: "#3fb68b",
  PART_2NxnD: "#7adba8",
  PART_nLx2N: "#e6c229",
  PART_nRx2N: "#f58a3c",
};
const SAO_COLOURS = ["", "#f0b429", "#4a8cf0", "#3fb68b", "#d65db1", "#4fc4cf"];
const SAO_NAMES = ["none", "band", "edge 0\u00b0", "edge 90\u00b0", "edge 135\u00b0", "edge 45\u00b0"];

// Quarters of a coding block that its prediction units take: x, y, width, height (Table 7-10).
const PART_RECTS = {
  PART_2Nx2N: [[0, 0, 4, 4]],
  PART_2NxN: [
    [0, 0, 4, 2],
    [0, 2, 4, 2],
  ],
  PART_Nx2N: [
    [0, 0, 2, 4],
    [2, 0, 2, 4],
  ],
  PART_NxN: [
    [0, 0, 2, 2],
    [2, 0, 2, 2],
    [0, 2, 2, 2],
    [2, 2, 2, 2],
  ],
  PART_2NxnU: [
    [0, 0, 4, 1],
    [0, 1, 4, 3],
  ],
  PART_2NxnD: [
    [0, 0, 4, 3],
    [0, 3, 4, 1],
  ],
  PART_nLx2N: [
    [0, 0, 1, 4],
    [1, 0, 3, 4],
  ],
  PART_nRx2N: [
    [0, 0, 3, 4],
    [3, 0, 1, 4],
  ],
};

// intraPredAngle of modes 2 to 34 (Table 8-5)
const ANGLES = [
  32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26, -32, -26, -21, -17, -13, -9, -5,
  -2, 0, 2, 5, 9, 13, 17, 21, 26, 32,
];

function modeName(mode) {
  const known = { 0: "planar", 1: "DC", 10: "horizontal", 18: "diagonal", 26: "vertical" };
  return known[mode] ?? (mode < 18 ? "angle, from the left" : "angle, from above");
}

/** Line along which a mode predicts, as x, y; null: planar, DC. */
function modeLine(mode) {
  if (mode < 2) return null;
  const angle = ANGLES[mode - 2];
  return mode < 18 ? [32, -angle] : [angle, -32];
}

function modeColour(mode) {
  if (mode < 2) return mode ? "#ffffff" : "#9aa3b5";
  const hue = ((mode - 2) * 10.3) % 340,
    part = (n) => {
      const k = (n + hue / 30) % 12;
      const value = 0.58 - 0.34 * Math.max(-1, Math.min(k - 3, 9 - k, 1));
      return Math.round(255 * value)
        .toString(16)
        .padStart(2, "0");
    };
  return `#${part(0)}${part(8)}${part(4)}`;
}

/** As Blocks; maps have a value per 4x4 samples (bits per 8x8, ctu/* per coding tree unit). */
class HevcBlocks extends Blocks {
  constructor(index, file, maps, enums) {
    super(index, file, maps, enums);
    this.hevc = true;
    this.ctu = Number(file.attrs.ctu_size) || 64;
  }

  /** Luma samples of one value of a map. */
  side(path) {
    if (path.startsWith("ctu/")) return this.ctu;
    return path === "cu/bits" || path.startsWith("bits/") ? 8 : 4;
  }

  /** Value of a map at a sample; of ctu/sao `list` is the plane and `part` which of its numbers. */
  at(path, x, y, list = 0, part = 0) {
    const map = this.maps[path];
    if (!map) return undefined;
    const side = this.side(path),
      [rows, columns] = path.startsWith("motion/") ? map.shape.slice(1) : map.shape;
    const place = Math.floor(y / side) * columns + Math.floor(x / side);
    if (path === "ctu/sao") return map.data[(place * 3 + list) * 6 + part];
    return map.data[(list * rows * columns + place) * (path === "motion/mv" ? 2 : 1) + part];
  }

  cells({ from, list }) {
    const side = Math.min(this.side(from), 8),
      [height, width] = this.file.coded.map((n) => n / side);
    const { shape } = this.maps[from],
      [rows, columns] = from.startsWith("motion/") ? shape.slice(1) : shape;
    const step = this.side(from) / side;
    const place = (y, x) => (list * rows + Math.floor(y / step)) * columns + Math.floor(x / step);
    return { height, width, place };
  }

  type(x, y) {
    return this.named("cu/mode", this.at("cu/mode", x, y));
  }

  tip(x, y) {
    const kind = this.named("tu/kind", this.at("tu/kind", x, y)),
      side = this.unit(x, y).side;
    const coding = this.coding(x, y);
    return [
      `${this.type(x, y)} ${coding.side}x${coding.side}`,
      `QP ${this.at("qp/y", x, y)}`,
      kind === "none" ? "no levels" : `${kind} ${side}x${side}`,
    ];
  }

  square(x, y, log2) {
    const side = 1 << log2;
    return { side, left: Math.floor(x / side) * side, row: Math.floor(y / side) * side };
  }

  coding(x, y) {
    return this.square(x, y, this.at("cu/size", x, y) || 3);
  }

  /** The transform block at a sample; the coding block where there is none. */
  unit(x, y) {
    return this.square(x, y, this.at("tu/size", x, y) || this.at("cu/size", x, y) || 3);
  }

  outline(x, y) {
    const { side, left, row } = this.coding(x, y);
    return [left, row, side, side];
  }

  unitOutline(x, y) {
    const { side, left, row } = this.unit(x, y);
    return [left, row, side, side];
  }

  /** Square units that a map of sizes has at least partly inside a box of luma samples. */
  *units(path, [left, top, right, bottom]) {
    const [height, width] = this.file.coded,
      { data, shape } = this.maps[path];
    const first = (v) => Math.max(0, Math.floor(v / 64) * 64);
    for (let y = first(top); y < Math.min(height, bottom); y += 4) {
      for (let x = first(left); x < Math.min(width, right); x += 4) {
        const side = 1 << data[(y / 4) * shape[1] + x / 4];
        if (side > 1 && x % side === 0 && y % side === 0) yield [x, y, side];
      }
    }
  }

  /** Prediction units, likewise, as [x, y, width, height]. */
  *predicted(box) {
    for (const [x, y, side] of this.units("cu/size", box)) {
      const part = this.named("cu/part", this.at("cu/part", x, y)),
        quarter = side / 4;
      for (const [px, py, w, h] of PART_RECTS[part] || PART_RECTS.PART_2Nx2N)
        yield [x + px * quarter, y + py * quarter, w * quarter, h * quarter];
    }
  }

  syntax(x, y) {
    const type = this.type(x, y),
      coding = this.coding(x, y),
      unit = this.unit(x, y);
    const column = Math.floor(x / this.ctu),
      row = Math.floor(y / this.ctu),
      across = Math.ceil(this.file.coded[1] / this.ctu);
    const place = ({ side, left, row: top }) => [`${side}x${side}`, `at ${left}, ${top}`];
    const rows = [
      ["Sample", `${x}, ${y}`],
      ["CTU", `${column}, ${row}`, `CtbAddrInRs ${row * across + column}`],
      ["Coding unit", ...place(coding)],
      ["Mode", swatch(CU_COLOURS[type] || "#888", type)],
      ["PartMode", this.named("cu/part", this.at("cu/part", x, y))],
    ];
    if (type === "SKIP" || type === "INTER")
      rows.push(["merge_flag", this.at("pu/merge", x, y) ? 1 : 0]);
    if (this.at("cu/bypass", x, y)) rows.push(["cu_transquant_bypass", 1]);
    rows.push(["QpY", this.at("qp/y", x, y)]);
    if (this.has("qp/cb"))
      rows.push(["QpCb, QpCr", `${this.at("qp/cb", x, y)}, ${this.at("qp/cr", x, y)}`]);
    if (this.at("tu/size", x, y)) rows.push(["Transform unit", ...place(unit)]);
    else rows.push(["Transform unit", "none"]);
    for (const [path, name] of [
      ["tu/kind", "Levels Y"],
      ["tu/kind_cb", "Levels Cb"],
      ["tu/kind_cr", "Levels Cr"],
    ]) {
      const kind = this.at(path, x, y);
      if (kind) rows.push([name, this.named(path, kind).replaceAll("_", " ")]);
    }
    for (const plane of ["cb", "cr"]) {
      const scale = this.at(`tu/res_scale_${plane}`, x, y);
      if (scale) rows.push([`ResScaleVal ${plane}`, scale]);
    }
    for (const [path, name] of [
      ["intra/luma", "IntraPredModeY"],
      ["intra/chroma", "IntraPredModeC"],
    ]) {
      const mode = this.at(path, x, y);
      if (mode >= 0) rows.push([name, mode, modeName(mode)]);
    }
    rows.push(...motionRows(this, x, y));
    rows.push(...bitRows(this, x, y));
    const planes = this.file.chroma === "4:0:0" ? ["Y"] : ["Y", "Cb", "Cr"];
    for (const [plane, name] of planes.entries()) {
      const [kind, which, ...offsets] = Array.from({ length: 6 }, (_, k) =>
        this.at("ctu/sao", x, y, plane, k),
      );
      if (kind)
        rows.push([
          `SAO ${name}`,
          kind === 1 ? `band ${which}` : SAO_NAMES[2 + which],
          offsets.join(", "),
        ]);
    }
    rows.push(["Slice segment", this.at("ctu/slice", x, y)], ["Tile", this.at("ctu/tile", x, y)]);
    if (this.at("ctu/concealed", x, y)) rows.push(["Concealed", "yes: invented by the decoder"]);
    return rows;
  }

  histograms() {
    const count = (path, name) => counted(this.maps[path].data, name);
    const side = (v) => (v ? `${1 << v}x${1 << v}` : "none"),
      label = new Map([...Object.keys(SIZE_COLOURS)].map((v) => [side(v), SIZE_COLOURS[v]]));
    return [
      ...bars(
        "Modes, share of the picture",
        count("cu/mode", (v) => this.named("cu/mode", v)),
        (n) => CU_COLOURS[n] || "#888",
      ),
      ...bars("Coding blocks, share", count("cu/size", side), (n) => label.get(n) || "#888"),
      ...bars("Transform blocks, share", count("tu/size", side), (n) => label.get(n) || "#888"),
      ...bars(
        "QP luma, share",
        count("qp/y", (v) => `${v}`),
        () => "var(--accent)",
      ),
    ];
  }

  /** The coding units in sight with all that is known of each. */
  rowsOf(box) {
    const paths = Object.keys(this.maps).filter((path) => /^(cu|qp|pu|tu)\//.test(path));
    const rows = [["frame", "x", "y", "side", ...paths]];
    for (const [x, y, side] of this.units("cu/size", box))
      rows.push([
        this.index,
        x,
        y,
        side,
        ...paths.map((path) => {
          const value = this.at(path, x, y);
          return this.enums[path] ? this.named(path, value) : value;
        }),
      ]);
    return rows;
  }
}

/** Blocks of a frame of either codec; null where nothing is known of them. */
function blocksOf(index, file, maps, enums) {
  if (maps?.["cu/size"]) return new HevcBlocks(index, file, maps, enums);
  return maps?.["mb/type"] ? new Blocks(index, file, maps, enums) : null;
}

// ------------------------------------------------------------------------------------------ fills

function byName(colours, path) {
  return (blocks, map) => ({
    colour: ((pixels) => (k) => pixels[map.data[k]] || 0)(coded(colours, blocks.enums[path])),
    legend: present(map, blocks.enums[path], (n) => colours[n]),
  });
}

function sizeFill(blocks, map) {
  const pixels = Object.fromEntries(
    Object.entries(SIZE_COLOURS).map(([v, colour]) => [v, pixel(rgba(colour))]),
  );
  const found = new Set(map.data);
  return {
    colour: (k) => pixels[map.data[k]] || 0,
    legend: Object.entries(SIZE_COLOURS)
      .filter(([v]) => found.has(Number(v)))
      .map(([v, colour]) => [`${1 << v}x${1 << v}`, colour]),
  };
}

function transformFill(blocks, map) {
  const colour = (name) => KIND_OF_UNIT[name.split("_")[0]];
  const names = blocks.enums["tu/kind"];
  const pixels = Object.fromEntries(
    Object.entries(names).map(([v, n]) => [v, colour(n) ? pixel(rgba(colour(n))) : 0]),
  );
  return { colour: (k) => pixels[map.data[k]] || 0, legend: present(map, names, colour) };
}

function plainQpFill(blocks, map, { qpRange }) {
  const ends = [
    map.data.reduce((a, b) => Math.min(a, b), 51),
    map.data.reduce((a, b) => Math.max(a, b), -99),
  ];
  const [low, high] = qpRange || ends;
  return scaleFill(map.data, low, Math.max(high, low + 1), "qp", "QP", (v) => v);
}

function angleFill(blocks, map) {
  const pixels = Array.from({ length: 35 }, (_, mode) => pixel(rgba(modeColour(mode))));
  const found = [...new Set(map.data)].filter((v) => v >= 0).sort((a, b) => a - b);
  return {
    colour: (k) => (map.data[k] < 0 ? 0 : pixels[map.data[k]] || 0),
    legend: found.slice(0, 10).map((v) => [`${v} ${modeName(v)}`, modeColour(v)]),
  };
}

function mergeFill(blocks, map) {
  const modes = blocks.maps["cu/mode"].data,
    skip = Number(Object.entries(blocks.enums["cu/mode"]).find(([, n]) => n === "SKIP")[0]);
  const [skipped, merged] = ["#8b93a7", "#3fb68b"].map((c) => pixel(rgba(c)));
  return {
    colour: (k) => (modes[k] === skip ? skipped : map.data[k] ? merged : 0),
    legend: [
      ["skipped", "#8b93a7"],
      ["merged, with residual", "#3fb68b"],
    ],
  };
}

function saoFill(blocks, map) {
  const pixels = SAO_COLOURS.map((c) => (c ? pixel(rgba(c)) : 0));
  const kind = (k) => {
    const [type, which] = [map.data[k * 18], map.data[k * 18 + 1]];
    return type === 2 ? 2 + which : type;
  };
  const found = new Set(Array.from({ length: map.data.length / 18 }, (_, k) => kind(k)));
  return {
    colour: (k) => pixels[kind(k)] || 0,
    legend: SAO_NAMES.map((n, k) => [`luma ${n}`, SAO_COLOURS[k]]).filter(
      ([, c], k) => c && found.has(k),
    ),
  };
}

const HEVC_MAKE = {
  type: byName(CU_COLOURS, "cu/mode"),
  size: sizeFill,
  part: byName(PART_COLOURS, "cu/part"),
  tu: transformFill,
  tusize: sizeFill,
  qp: plainQpFill,
  bits: bitsFill,
  kinds: kindFill,
  ref0: referenceFill,
  ref1: referenceFill,
  intra: angleFill,
  skip: mergeFill,
  sao: saoFill,
  slice: sliceFill,
  tile: sliceFill,
  concealed: flagFill,
};

// ------------------------------------------------------------------------------------------ lines

const HEVC_DRAW = {
  grid(context, blocks, [left, top, right, bottom]) {
    const path = new Path2D(),
      [height, width] = blocks.file.coded,
      { ctu } = blocks;
    for (let y = 0; y < Math.min(height, bottom); y += ctu)
      for (let x = 0; x < Math.min(width, right); x += ctu)
        if (x + ctu > left && y + ctu > top)
          path.rect(x, y, Math.min(ctu, width - x), Math.min(ctu, height - y));
    context.strokeStyle = "#ffffff80";
    context.stroke(path);
  },
  parts(context, blocks, box) {
    const coding = new Path2D(),
      inside = new Path2D();
    for (const [x, y, side] of blocks.units("cu/size", box)) coding.rect(x, y, side, side);
    for (const rect of blocks.predicted(box)) inside.rect(...rect);
    context.strokeStyle = "#ffffff70";
    context.stroke(inside);
    context.strokeStyle = "#ffffffd0";
    context.stroke(coding);
  },
  units(context, blocks, box) {
    const paths = new Map();
    for (const [x, y, side] of blocks.units("tu/size", box)) {
      if (!paths.has(side)) paths.set(side, new Path2D());
      paths.get(side).rect(x, y, side, side);
    }
    for (const [side, path] of paths) {
      context.strokeStyle = SIZE_COLOURS[Math.log2(side)] || "#fff";
      context.stroke(path);
    }
  },
  mv0: (context, blocks, box) => hevcVectors(context, blocks, box, 0),
  mv1: (context, blocks, box) => hevcVectors(context, blocks, box, 1),
  modes(context, blocks, box) {
    const path = new Path2D(),
      dots = new Path2D();
    for (const [x, y, side] of blocks.predicted(box)) {
      const mode = blocks.at("intra/luma", x, y);
      if (mode < 0) continue;
      const line = modeLine(mode),
        cx = x + side / 2,
        cy = y + side / 2;
      if (!line) {
        const r = side / (mode ? 12 : 7); // planar large, DC small
        dots.rect(cx - r, cy - r, 2 * r, 2 * r);
        continue;
      }
      const scale = (side * 0.4) / 32;
      path.moveTo(cx - line[0] * scale, cy - line[1] * scale);
      path.lineTo(cx + line[0] * scale, cy + line[1] * scale);
    }
    context.strokeStyle = context.fillStyle = "#ffe169";
    context.stroke(path);
    context.fill(dots);
  },
};

function hevcVectors(context, blocks, box, list) {
  const paths = new Map();
  for (const [x, y, width, height] of blocks.predicted(box)) {
    const reference = blocks.at("motion/ref", x, y, list);
    if (reference === -1) continue;
    const path = paths.get(reference) || paths.set(reference, new Path2D()).get(reference);
    const cx = x + width / 2,
      cy = y + height / 2;
    path.moveTo(cx, cy);
    path.lineTo(
      cx + blocks.at("motion/mv", x, y, list, 0) / 4,
      cy + blocks.at("motion/mv", x, y, list, 1) / 4,
    );
    path.rect(cx - 0.6, cy - 0.6, 1.2, 1.2);
  }
  for (const [reference, path] of paths) {
    context.strokeStyle = referenceColour(reference, blocks.index);
    context.stroke(path);
  }
}
