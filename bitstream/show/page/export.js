// What is seen, as a file: PNG of the picture, CSV of its blocks and of the frames.
"use strict";

function save(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A file name of plain letters. */
function fileName(suffix) {
  const base = app.files[0].name.replace(/[^\w.-]+/g, "_").slice(0, 80);
  return `${base}.frame${app.state.frame}.${suffix}`;
}

function savePicture() {
  app.canvas.toBlob((blob) => save(fileName("png"), blob), "image/png");
}

/** Rows of numbers as CSV; text is quoted. */
function csv(rows) {
  const cell = (v) =>
    typeof v === "number" ? `${v}` : `"${String(v ?? "").replaceAll('"', '""')}"`;
  return new Blob([rows.map((row) => `${row.map(cell).join(",")}\n`).join("")], {
    type: "text/csv",
  });
}

/** The macroblocks in sight with all that is known of each. */
function macroblockRows(blocks, box) {
  const paths = Object.keys(blocks.maps).filter(
    (path) => blocks.maps[path].data.length === blocks.rows * blocks.columns,
  );
  const rows = [["frame", "column", "row", "x", "y", ...paths]];
  for (const [row, column] of seen(blocks, box)) {
    const k = row * blocks.columns + column,
      [top] = blocks.span(row, 0, 16);
    const values = paths.map((path) =>
      path === "mb/type"
        ? blocks.named(path, blocks.maps[path].data[k])
        : blocks.maps[path].data[k],
    );
    rows.push([blocks.index, column, row, column * 16, top, ...values]);
  }
  return rows;
}

/** All frames with all that is known of each. */
function frameRows() {
  const columns = Object.entries(app.columns).map(([path, { data }]) => [
    path.replace("frames/", ""),
    data,
  ]);
  const figures = Object.entries(app.course);
  const rows = [["frame", ...columns.map(([n]) => n), ...figures.map(([n]) => n)]];
  for (let k = 0; k < app.files[0].count; k++) {
    rows.push([
      k,
      ...columns.map(([, d]) => d[k]),
      ...figures.map(([, d]) => (k < app.courseDone ? d[k] : "")),
    ]);
  }
  return rows;
}

/** Samples in sight, a row of the plane a line. */
function sampleRows(plane, [left, top, right, bottom], at, size) {
  const down = size[0] / plane.shape[0],
    across = size[1] / plane.shape[1],
    rows = [];
  const first = Math.max(0, Math.floor((left - at[0]) / across)),
    last = Math.min(plane.shape[1], Math.ceil((right - at[0]) / across));
  for (
    let y = Math.max(0, Math.floor((top - at[1]) / down));
    y < Math.min(plane.shape[0], (bottom - at[1]) / down);
    y++
  ) {
    rows.push(
      Array.from(plane.data.subarray(y * plane.shape[1] + first, y * plane.shape[1] + last)),
    );
  }
  return rows;
}
