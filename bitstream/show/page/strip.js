// The strip of frames, and the curves over time; a click on either goes to a frame.
"use strict";

function fitCanvas(canvas, height) {
  const ratio = devicePixelRatio || 1,
    width = canvas.clientWidth;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width };
}

function inks() {
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(name).trim();
  return {
    ink: ink("--ink"),
    soft: ink("--soft"),
    line: ink("--line"),
    accent: ink("--accent"),
    back: ink("--card"),
  };
}

class Strip {
  constructor(canvas, go) {
    Object.assign(this, { canvas, go, step: 14, first: 0, height: 132 });
    canvas.addEventListener("pointerdown", (e) => this.press(e));
    canvas.addEventListener(
      "wheel",
      (e) => {
        e.preventDefault();
        const before = this.first + e.offsetX / this.step;
        if (e.ctrlKey || e.metaKey) {
          this.step = Math.max(3, Math.min(40, this.step * (e.deltaY < 0 ? 1.15 : 1 / 1.15)));
          this.first = before - e.offsetX / this.step;
        } else this.first += (e.deltaX || e.deltaY) / this.step;
        this.draw();
      },
      { passive: false },
    );
  }

  press(event) {
    const from = this.first,
      at = event.clientX;
    let moved = false;
    this.canvas.setPointerCapture(event.pointerId);
    const move = (e) => {
      moved ||= Math.abs(e.clientX - at) > 4;
      if (moved) this.first = from - (e.clientX - at) / this.step;
      this.draw();
    };
    const up = (e) => {
      this.canvas.removeEventListener("pointermove", move);
      if (!moved) this.go(Math.floor(this.first + e.offsetX / this.step));
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", up, { once: true });
  }

  /** Bring a frame into sight. */
  show(index) {
    const across = this.canvas.clientWidth / this.step;
    if (index < this.first + 2 || index > this.first + across - 3) this.first = index - across / 2;
  }

  draw() {
    if (!app.ready) return;
    const { context, width } = fitCanvas(this.canvas, this.height);
    const across = width / this.step,
      { count } = app.files[0];
    this.first = Math.max(
      Math.min(this.first, count - across + 1),
      Math.min(0, (count - across) / 2),
    );
    const ink = inks(),
      low = Math.max(0, Math.floor(this.first)),
      high = Math.min(count, Math.ceil(this.first + across) + 1);
    context.font = "10px system-ui, sans-serif";
    this.frames(context, low, high, ink);
    this.line(context, low, high, ink);
    this.arrows(context, ink);
    context.fillStyle = ink.soft;
    const sizes = app.columns["frames/bytes"]
      ? "bar: bytes of the frame"
      : "sizes are not in this file";
    context.fillText(`${sizes}   line: mean QP   below: decoding order`, 8, this.height - 4);
  }

  x(index) {
    return (index - this.first) * this.step;
  }

  frames(context, low, high, ink) {
    const types = app.columns["frames/picture_type"]?.data,
      sizes = app.columns["frames/bytes"]?.data;
    const keys = app.columns["frames/keyframe"]?.data,
      orders = app.columns["frames/decode_order"]?.data;
    const bad = app.columns["frames/concealed"]?.data || app.course.concealed;
    const most = app.mostBytes || 1,
      names = app.about.enums["frames/picture_type"];
    const gap = Math.min(2, this.step / 4),
      base = 104,
      tall = 62,
      current = app.state.frame;
    for (let k = low; k < high; k++) {
      const x = this.x(k),
        colour = FRAME_COLOURS[names[types?.[k]]] || ink.soft;
      if (k === current) {
        context.fillStyle = ink.accent;
        context.globalAlpha = 0.22;
        context.fillRect(x, 22, this.step, base - 8);
        context.globalAlpha = 1;
      }
      const height = sizes ? Math.max(2, tall * Math.sqrt(sizes[k] / most)) : 14;
      context.fillStyle = colour;
      context.fillRect(x + gap / 2, base - height, this.step - gap, height);
      if (keys?.[k]) {
        context.fillStyle = ink.ink;
        context.fillRect(x + gap / 2, base - height - 3, this.step - gap, 2);
      }
      if (this.step >= 12) {
        context.fillStyle = "#fff";
        context.textAlign = "center";
        context.fillText(names[types?.[k]] || "", x + this.step / 2, base - 3);
        context.textAlign = "left";
      }
      if (bad?.[k]) {
        context.fillStyle = "#e5484d";
        context.fillRect(x + gap / 2, base + 1, this.step - gap, 3);
      }
      if (this.step >= 12 && orders) {
        const text = `${orders[k]}`;
        context.fillStyle = k === current ? ink.ink : ink.soft;
        context.textAlign = "center";
        if (this.step >= 7 * text.length || k % Math.ceil((8 * text.length) / this.step) === 0) {
          context.fillText(text, x + this.step / 2, base + 13);
        }
        context.textAlign = "left";
      }
    }
  }

  /** Mean QP as a line, 51 at the top. */
  line(context, low, high, ink) {
    const { qp } = app.course;
    if (!qp) return;
    context.beginPath();
    for (let k = low; k < Math.min(high, app.courseDone); k++)
      context.lineTo(this.x(k) + this.step / 2, 100 - (74 * Math.max(0, qp[k])) / 51);
    context.strokeStyle = ink.back;
    context.lineWidth = 4;
    context.stroke();
    context.strokeStyle = ink.ink;
    context.lineWidth = 1.5;
    context.stroke();
  }

  /** Arcs from the frame on show to those that it refers to. */
  arrows(context, ink) {
    const from = app.state.frame,
      start = this.x(from) + this.step / 2;
    for (const reference of app.references()) {
      const end = this.x(reference) + this.step / 2,
        lift = Math.min(18, 6 + Math.abs(end - start) / 8);
      context.strokeStyle = context.fillStyle = referenceColour(reference, from);
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(start, 22);
      context.quadraticCurveTo((start + end) / 2, 22 - 1.6 * lift, end, 20);
      context.stroke();
      context.beginPath();
      context.moveTo(end, 25);
      context.lineTo(end - 3.5, 18);
      context.lineTo(end + 3.5, 18);
      context.fill();
    }
  }
}

/** Curves over the whole film: one canvas each. */
class Curves {
  constructor(go) {
    this.go = go;
  }

  /** The figures to be drawn: title, unit, and lines of values. */
  plots() {
    const sizes = app.columns["frames/bytes"]?.data,
      { qp, qp_low: low, qp_high: high, intra, skip } = app.course;
    const share = (values) => Float32Array.from(values, (v) => 100 * v);
    return [
      sizes
        ? { title: "Bytes of a frame", lines: [["bytes", sizes, "#4a8cf0"]], zero: true }
        : { title: "Bytes of a frame", missing: "not in this file" },
      qp && {
        title: "QP luma: mean, least, greatest",
        lines: [["mean", qp, "#f0b429"]],
        band: [low, high],
      },
      intra && {
        title: "Share of macroblocks, %",
        lines: [
          ["intra", share(intra), "#e5484d"],
          ["skipped", share(skip), "#8b93a7"],
        ],
        zero: true,
      },
    ].filter(Boolean);
  }

  render(panel) {
    panel.replaceChildren();
    this.drawn = this.plots().map((plot) => {
      const title = make("h3", {}, plot.title);
      for (const [name, , colour] of plot.lines || [])
        if (plot.lines.length > 1) title.append(swatch(colour, name));
      const canvas = make("canvas", { className: "curve" });
      panel.append(title, plot.missing ? make("p", { className: "soft" }, plot.missing) : canvas);
      canvas.addEventListener("pointerdown", (e) =>
        this.go(Math.floor((e.offsetX / canvas.clientWidth) * app.files[0].count)),
      );
      return { ...plot, canvas };
    });
    this.draw();
  }

  draw() {
    for (const plot of this.drawn || [])
      if (!plot.missing && plot.canvas.isConnected) this.curve(plot);
  }

  curve({ canvas, lines, band, zero }) {
    const { context, width } = fitCanvas(canvas, 92),
      ink = inks(),
      { count } = app.files[0];
    const done = lines[0][1] === app.columns["frames/bytes"]?.data ? count : app.courseDone;
    const groups = lines.map(([, values, colour]) => [thin(values, done, count, width), colour]);
    const edges = band ? band.map((values, k) => thin(values, done, count, width, k)) : [];
    let low = zero ? 0 : Infinity,
      high = -Infinity;
    for (const points of [...groups.map(([p]) => p), ...edges])
      for (const [, v] of points) [low, high] = [Math.min(low, v), Math.max(high, v)];
    if (!(high > low)) [low, high] = [low - 1, low + 1];
    const y = (v) => 84 - (76 * (v - low)) / (high - low);
    if (band) {
      context.beginPath();
      for (const [x, v] of edges[0]) context.lineTo(x, y(v));
      for (const [x, v] of edges[1].reverse()) context.lineTo(x, y(v));
      context.fillStyle = `${lines[0][2]}33`;
      context.fill();
    }
    for (const [points, colour] of groups) {
      context.beginPath();
      for (const [x, v] of points) context.lineTo(x, y(v));
      context.strokeStyle = colour;
      context.lineWidth = 1.5;
      context.stroke();
    }
    const at = ((app.state.frame + 0.5) / count) * width;
    context.strokeStyle = ink.ink;
    context.lineWidth = 1;
    context.strokeRect(at, 2, 0, 86);
    context.fillStyle = ink.soft;
    context.font = "10px system-ui, sans-serif";
    const text = (v) =>
      Math.abs(v) >= 1000 ? v.toLocaleString("en") : Number(v.toFixed(1)).toString();
    context.fillText(text(high), 2, 12);
    context.fillText(text(low), 2, 90);
  }
}

/** At most one point a pixel: the mean, or the least (0) or greatest (1) of its frames. */
function thin(values, done, count, width, kind = 2) {
  const per = Math.max(1, count / width),
    points = [];
  for (let first = 0; first < done; first += per) {
    const part = values.subarray(
      Math.floor(first),
      Math.max(Math.floor(first) + 1, Math.min(done, Math.floor(first + per))),
    );
    const value =
      kind === 2
        ? part.reduce((a, b) => a + b, 0) / part.length
        : kind
          ? Math.max(...part)
          : Math.min(...part);
    points.push([((first + 0.5) / count) * width, value]);
  }
  return points;
}
