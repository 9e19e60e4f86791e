// The blocks of a frame: values of the maps by place, in display rows.
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

  /** Canvas cells of a fill: how many, and the map's entry of each; with fields, of every row. */
  cells({ map, from, list }) {
    const [rows, columns] = from.startsWith("motion/") ? map.shape.slice(1) : map.shape;
    const height = this.fields ? this.file.coded[0] : rows,
      side = this.file.coded[0] / rows,
      across = this.file.coded[1] / columns;
    const place = (y, x) => {
      const row = this.fields ? Math.floor(this.row(x * across, y) / side) : y;
      return (list * rows + row) * columns + x;
    };
    return { height, width: columns, place };
  }

  /** The block at a sample in a few words. */
  tip(x, y) {
    const type = this.type(x, y);
    return [
      type,
      type !== "I_PCM" && `QP ${this.at("mb/qp_y", x, y)}`,
      this.named("tu/y", this.at("tu/y", x, y)),
    ];
  }

  /** Side of the transform block at a sample, its first column, and its first row in map order. */
  unit(x, y) {
    const kind = this.named("tu/y", this.at("tu/y", x, y));
    const side = kind.startsWith("8x8") ? 8 : 4;
    return {
      side,
      left: Math.floor(x / side) * side,
      row: Math.floor(this.row(x, y) / side) * side,
    };
  }

  /** Displayed rectangle of the macroblock at a sample: left, top, width, height. */
  outline(x, y) {
    const [row, column] = this.macroblock(x, y);
    this.column = column;
    const [top, height] = this.span(row, 0, 16);
    return [column * 16, top, 16, height];
  }

  /** The same of the transform block. */
  unitOutline(x, y) {
    const [row, column] = this.macroblock(x, y),
      { side, left, row: first } = this.unit(x, y);
    this.column = column;
    const [top, height] = this.span(row, first - row * 16, side);
    return [left, top, side, height];
  }

  syntax(x, y) {
    return syntaxOf(this, x, y);
  }

  histograms() {
    return histograms(this);
  }

  rowsOf(box) {
    return macroblockRows(this, box);
  }

  type(x, y) {
    return this.named("mb/type", this.at("mb/type", x, y));
  }

  /** A displayed rectangle of rows of a macroblock: [top, height]. A field's rows lie two apart. */
  span(row, inside, height) {
    if (!this.fields || !this.field.data[row * this.columns + this.column])
      return [row * 16 + inside, height];
    return [(row >> 1) * 32 + 2 * inside, 2 * height];
  }

  /** QP less that of the macroblock before it in its slice; NaN for the first, and for PCM. */
  changes() {
    if (this.changed) return this.changed;
    const { data } = this.maps["mb/qp_y"],
      slice = this.maps["mb/slice"].data,
      types = this.maps["mb/type"].data;
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
